//! Which replies a call brings, and what each value in them is for.

use crate::store::call::Call;
use crate::store::cluster_steps::Act;
use crate::store::command_writer::Counter;
use crate::store::keys::Role;
use crate::store::operation::Operation;
use crate::store::prefetch::{Prefetch, Read};
use crate::store::server_features::ServerFeatures;

/// Which replies a call brings.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the last reply to the call's own commands is for.
    pub last: Purpose,
    /// The reads that it carries.
    pub prefetch: Prefetch,
    /// These one by one, in their order.
    reads: &'static [Read],
    /// Replies to carried reads before those to the call's own commands.
    before: usize,
    /// Replies to carried reads behind them.
    behind: usize,
    /// Replies to the call's own commands.
    pub own: usize,
    /// Whether its own commands may be a transaction.
    pub is_transaction: bool,
    /// How many replies come, if the call and the reads that it carries are one transaction: then the last reply has in it what
    /// `before` and `own` count.
    isolated: Option<usize>,
}

impl Plan {
    /// That of no call.
    pub const NOTHING: Self = Self {
        last: Purpose::Unknown,
        prefetch: Prefetch::Nothing,
        reads: &[],
        before: 0,
        behind: 0,
        own: 0,
        is_transaction: false,
        isolated: None,
    };

    /// Whether the reply with a number is the first to the call's own commands. Of one transaction with carried reads, `MULTI` is
    /// not one of them.
    pub fn is_first(&self, place: usize) -> bool {
        !self.is_isolated() && place == self.before
    }

    /// That of a call made for a server with these features, to which so many replies come.
    pub fn of(call: &Call, features: ServerFeatures, replies: usize) -> Self {
        let (carried, (before, behind)) = (call.carried(features), call.carried_replies(features));
        let last = match call.operation {
            _ if call.act.asks() || call.act == Act::Withdraw || call.claims_here() => Purpose::Touched,
            _ if call.act == Act::Restore => Purpose::Acknowledgement,
            Operation::BeginExecution if call.restores() => Purpose::Done,
            Operation::BeginExecution if call.only.is_none_or(|role| role == Role::Execution) => Purpose::Previous,
            Operation::BeginTask if call.is_leased() => Purpose::Done,
            Operation::Touch if call.only.is_none_or(|role| role == Role::Execution) => Purpose::Touched,
            Operation::Touch => Purpose::Done,
            Operation::BeginExecution | Operation::BeginTask | Operation::CommitResult | Operation::Dispose => {
                Purpose::Acknowledgement
            }
            Operation::IsExecutionInProgress | Operation::IsTaskInProgress => Purpose::Presence,
            Operation::GetResult => Purpose::Value,
            Operation::GetResults => Purpose::Results,
        };
        let isolated = call.is_isolated(features).then_some(replies);
        // Between `MULTI` and `EXEC`, which over HTTP are not there.
        let commands = if isolated.is_some() { call.append(features, &mut Counter).saturating_sub(2) } else { replies };
        Self {
            last,
            prefetch: carried,
            reads: carried.reads(call.operation),
            before: before.min(commands),
            behind,
            own: commands.saturating_sub(before + behind),
            is_transaction: isolated.is_none() && call.is_transaction(features),
            isolated,
        }
    }

    /// Whether the call and the reads that it carries are one transaction.
    pub fn is_isolated(&self) -> bool {
        self.isolated.is_some()
    }

    /// Whether an array of so many answers is what `EXEC` brings.
    pub fn brings(&self, length: usize) -> bool {
        length == self.before + self.own + self.behind
    }

    /// What the reply with a number is for.
    pub fn purpose_of(&self, place: usize) -> Purpose {
        match self.isolated {
            None => self.purpose_of_command(place),
            Some(replies) if place + 1 == replies => Purpose::Transaction,
            // The first reply is that to `MULTI`.
            Some(_) => match place.checked_sub(1) {
                Some(command) if (self.before..self.before + self.own).contains(&command) => Purpose::Step,
                _ => Purpose::CarriedStep,
            },
        }
    }

    /// What the answer to a command with a number is for, `MULTI` and `EXEC` around all of them not counted.
    pub fn purpose_of_command(&self, place: usize) -> Purpose {
        let Plan { last, before, own, .. } = *self;
        if (before..before + own).contains(&place) {
            let is_last = place + 1 == before + own;
            let acknowledges = self.is_isolated() && matches!(last, Purpose::Acknowledgement | Purpose::Done);
            return if is_last || acknowledges { last } else { Purpose::Step };
        }
        let number = if place < before { place } else { place - own };
        match self.reads.get(number) {
            Some(Read::Mark) => Purpose::CarriedMark,
            Some(Read::Marks) => Purpose::CarriedMarks,
            Some(Read::Results) => Purpose::CarriedResults,
            Some(Read::MarkNames) => Purpose::CarriedMarkNames,
            Some(Read::ResultNames) => Purpose::CarriedResultNames,
            Some(Read::Execution) => Purpose::CarriedExecution,
            None => Purpose::Unknown,
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
    /// That nothing was refused: of commands whose answers are of several kinds.
    Done,
    /// Whether the key was there that was asked for last: text, or a number above zero.
    Touched,
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
    /// Carried: the names of all tasks in progress.
    CarriedMarkNames,
    /// Carried: the names of all tasks that have a result.
    CarriedResultNames,
    /// `MULTI`, or a carried read that waits for `EXEC`: if it is refused although the call's own commands are not, the call
    /// may be sent in another form.
    CarriedStep,
    /// What `EXEC` brings for the call's own commands and the carried reads.
    Transaction,
    /// Nothing asked for it.
    Unknown,
}

impl Purpose {
    /// Whether it is the reply to one of the call's own commands.
    pub fn is_own(self) -> bool {
        use Purpose::{Acknowledgement, Done, Presence, Previous, Results, Step, Touched, Transaction, Value};
        matches!(self, Step | Previous | Acknowledgement | Done | Touched | Presence | Value | Results | Transaction)
    }

    /// Whether a hash is what answers it.
    pub fn is_hash(self) -> bool {
        matches!(self, Purpose::Results | Purpose::CarriedMarks | Purpose::CarriedResults)
    }

    /// Whether a list of names is what answers it.
    pub fn is_list(self) -> bool {
        matches!(self, Purpose::CarriedMarkNames | Purpose::CarriedResultNames)
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

/// Where in what `EXEC` brings the next value is.
#[derive(Debug)]
pub struct Exec {
    /// The number of the command that is being answered.
    pub command: usize,
    /// Values still to come in each array that has begun in its answer.
    open: Vec<usize>,
}

impl Exec {
    /// Before the first answer.
    pub fn begin() -> Self {
        Self { command: 0, open: Vec::new() }
    }

    /// An array of so many values has begun. Returns whether the answer to a command is complete.
    pub fn array(&mut self, length: usize) -> bool {
        if length == 0 {
            return self.end();
        }
        self.open.push(length);
        false
    }

    /// A value is complete. Returns whether the answer to a command is.
    pub fn end(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        self.command += 1;
        true
    }
}

impl Items {
    /// The place of the next value.
    pub fn next_slot(&mut self, purpose: Purpose) -> Slot {
        let index = self.next;
        self.next += 1;
        match purpose {
            _ if self.wrong => Slot::Ignored,
            Purpose::Acknowledgement | Purpose::Done | Purpose::Touched => Slot::Step,
            _ if purpose.is_list() => Slot::Field,
            // The last of an odd number is no field, and what is in it is none either.
            _ if !purpose.is_hash() || index >= self.length - self.length % 2 => Slot::Ignored,
            _ if index.is_multiple_of(2) => Slot::Field,
            _ => Slot::Value,
        }
    }
}
