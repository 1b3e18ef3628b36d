//! Which replies a call brings, and what each value in them is for.

use crate::store::call::Call;
use crate::store::operation::Operation;
use crate::store::prefetch::Prefetch;

/// Which replies a call brings.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the last reply to the call's own commands is for.
    pub last: Purpose,
    /// The reads that it carries.
    pub prefetch: Prefetch,
    /// Replies to carried reads before those to the call's own commands.
    before: usize,
    /// Replies to the call's own commands.
    pub own: usize,
    /// Whether its commands may be a transaction.
    pub is_transaction: bool,
}

impl Plan {
    /// That of no call.
    pub const NOTHING: Self =
        Self { last: Purpose::Unknown, prefetch: Prefetch::Nothing, before: 0, own: 0, is_transaction: false };

    /// Whether the reply with a number is the first to the call's own commands.
    pub fn is_first(&self, place: usize) -> bool {
        place == self.before
    }

    /// That of a call to which so many replies come. `multi` is whether there are transactions.
    pub fn of(call: &Call, replies: usize, multi: bool) -> Self {
        let (before, behind) = call.prefetch.replies();
        let last = match call.operation {
            Operation::BeginExecution if call.only.is_none() => Purpose::Previous,
            Operation::BeginExecution | Operation::BeginTask | Operation::CommitResult | Operation::Dispose => {
                Purpose::Acknowledgement
            }
            Operation::IsExecutionInProgress | Operation::IsTaskInProgress => Purpose::Presence,
            Operation::GetResult => Purpose::Value,
            Operation::GetResults => Purpose::Results,
        };
        Self {
            last,
            prefetch: call.prefetch,
            before: before.min(replies),
            own: replies.saturating_sub(before + behind),
            is_transaction: multi && call.is_transaction(),
        }
    }

    /// What the reply with a number is for.
    pub fn purpose_of(&self, place: usize) -> Purpose {
        let Plan { last, prefetch, before, own, .. } = *self;
        if (before..before + own).contains(&place) {
            return if place + 1 == before + own { last } else { Purpose::Step };
        }
        let behind = place >= before + own;
        let number = if behind { place - before - own } else { place };
        match (prefetch, behind, number) {
            (Prefetch::Execution | Prefetch::ExecutionAndMarks, true, 0) => Purpose::CarriedExecution,
            (Prefetch::OwnMark, false, 0) => Purpose::CarriedMark,
            (Prefetch::ExecutionAndMarks, false, 0) | (Prefetch::MarksAndResults, true, 0) => Purpose::CarriedMarks,
            (Prefetch::MarksAndResults, true, 1) => Purpose::CarriedResults,
            _ => Purpose::Unknown,
        }
    }
}

/// What a reply is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One of the call's own commands before the last: it may only be refused.
    Step,
    /// What was there before, or that nothing was.
    Previous,
    /// How many fields or keys were written; in a transaction, what each of its commands was answered.
    Acknowledgement,
    /// Whether something is there.
    Presence,
    /// A result.
    Value,
    /// All results.
    Results,
    /// Carried: whether the execution is in progress.
    CarriedExecution,
    /// Carried: whether the call's task is in progress.
    CarriedMark,
    /// Carried: all tasks in progress.
    CarriedMarks,
    /// Carried: all results.
    CarriedResults,
    /// Nothing asked for it.
    Unknown,
}

impl Purpose {
    /// Whether it is the reply to one of the call's own commands.
    pub fn is_own(self) -> bool {
        use Purpose::{Acknowledgement, Presence, Previous, Results, Step, Value};
        matches!(self, Step | Previous | Acknowledgement | Presence | Value | Results)
    }

    /// Whether a hash is what answers it.
    pub fn is_hash(self) -> bool {
        matches!(self, Purpose::Results | Purpose::CarriedMarks | Purpose::CarriedResults)
    }
}

/// The values of an array that have come.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    /// How many have come.
    pub next: usize,
    /// How many there will be.
    pub length: usize,
    /// Whether it is not the array that it should be. Then only errors in it count.
    pub wrong: bool,
}

/// The place of a value in its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It is the reply.
    Reply,
    /// A field of a hash.
    Field,
    /// The value of a field.
    Value,
    /// The answer to one command of a transaction.
    Step,
    /// It says nothing.
    Ignored,
}

impl Items {
    /// The place of the next value.
    pub fn next_slot(&mut self, purpose: Purpose) -> Slot {
        let index = self.next;
        self.next += 1;
        match purpose {
            _ if self.wrong => Slot::Ignored,
            Purpose::Acknowledgement => Slot::Step,
            // The last of an odd number is no field, and what is in it is none either.
            _ if !purpose.is_hash() || index >= self.length - self.length % 2 => Slot::Ignored,
            _ if index.is_multiple_of(2) => Slot::Field,
            _ => Slot::Value,
        }
    }
}
