//! A call on keys that are on different servers of a cluster, taken apart into commands on one key each. The result is
//! written before the task's entry among those in progress is removed: a task may be both in progress and done for a
//! moment, but never neither.
//!
//! What is written although its execution is gone can expire here too: the execution is asked for first, and where it is gone, what is
//! written gets an expiry, and the execution is asked for again. If it has begun meanwhile, the expiry is taken back; and a beginning
//! takes back what it finds. So whichever of the two comes last sees the other: an orphan may be left, but no execution expires.

use super::answer::Answer;
use super::call::Call;
use super::claims;
use super::keys::Role;
use super::operation::Operation;
use super::reply::Reply;

/// What a part of a call does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Act {
    /// What the call does to the key.
    #[default]
    Write,
    /// Asks whether the execution is there, before anything is written.
    AskFirst,
    /// The same, with the expiry of an orphan.
    Shorten,
    /// Asks whether the execution is there by now.
    AskAgain,
    /// Takes the expiry of an orphan back.
    Restore,
    /// Asks whether the task has a result.
    AskResult,
    /// Takes the mark of a claim back.
    Withdraw,
}

impl Act {
    /// Whether it only asks.
    pub fn asks(self) -> bool {
        matches!(self, Act::AskFirst | Act::AskAgain | Act::AskResult)
    }
}

/// Parts of a call, in steps: those of one step side by side, the next step when they have been acknowledged.
pub type Steps = &'static [&'static [(Act, Role)]];

/// All keys, the hashes when the execution's own key has been acknowledged.
const EXECUTION_FIRST: Steps =
    &[&[(Act::Write, Role::Execution)], &[(Act::Write, Role::Transactions), (Act::Write, Role::Results)]];

/// The steps of a call that is about several keys; `None` when it is about one key only.
pub fn steps(call: &Call) -> Option<Steps> {
    use Act::{AskFirst, Restore, Write};
    use Role::{Execution, Results, Transactions};
    let guards = call.key_options.orphan_ttl.is_some();
    match call.operation {
        _ if call.act == Act::Withdraw => None,
        _ if call.is_claim() => Some(claims::MARK_FIRST),
        Operation::CommitResult | Operation::BeginTask if guards => Some(&[&[(AskFirst, Execution)]]),
        Operation::BeginExecution if guards => {
            Some(&[&[(Write, Execution)], &[(Restore, Transactions), (Restore, Results)]])
        }
        // An execution that is gone is not renewed in part.
        Operation::Touch if call.touches_several() && call.key_options.ttl.is_none() => {
            Some(&[&[(Write, Execution)], &[(Write, Transactions)]])
        }
        Operation::Touch if call.touches_several() => Some(EXECUTION_FIRST),
        // A claim finds either a result or that the execution is gone.
        Operation::Dispose if call.key_options.claims => Some(EXECUTION_FIRST),
        Operation::Dispose => Some(&[&[(Write, Execution), (Write, Transactions), (Write, Results)]]),
        Operation::CommitResult | Operation::BeginTask => writes(call),
        _ => None,
    }
}

/// The steps of a call that writes about a task of an execution that is there.
fn writes(call: &Call) -> Option<Steps> {
    use Act::Write;
    use Role::{Execution, Results, Transactions};
    let slides = call.key_options.ttl.is_some() && call.key_options.sliding_ttl;
    match call.operation {
        Operation::CommitResult if slides => Some(&[&[(Write, Results)], &[(Write, Transactions), (Write, Execution)]]),
        Operation::CommitResult => Some(&[&[(Write, Results)], &[(Write, Transactions)]]),
        Operation::BeginTask if slides => Some(&[&[(Write, Transactions), (Write, Execution), (Write, Results)]]),
        _ => None,
    }
}

/// The steps that follow on the answer to a part, where they depend on it.
pub fn steps_after(call: &Call, act: Act, reply: &Reply) -> Option<Steps> {
    use Act::{AskAgain, AskFirst, Restore, Shorten, Write};
    use Role::{Execution, Results, Transactions};
    if call.is_claim() {
        return claims::steps_after(call, act, reply);
    }
    let is_there = reply.answer == Answer::Flag(true);
    let commits = call.operation == Operation::CommitResult;
    match act {
        AskFirst if is_there => Some(writes(call).unwrap_or(&[&[(Write, Transactions)]])),
        AskFirst if commits => Some(&[&[(Shorten, Results)], &[(Shorten, Transactions)], &[(AskAgain, Execution)]]),
        AskFirst => Some(&[&[(Shorten, Transactions)], &[(AskAgain, Execution)]]),
        AskAgain if is_there && commits => Some(&[&[(Restore, Results)]]),
        AskAgain if is_there => Some(&[&[(Restore, Transactions)]]),
        Write if call.operation == Operation::Touch && reply.answer == Answer::Flag(false) => Some(&[]),
        _ => None,
    }
}

/// Whether what follows for the same execution has to wait until the last step is on its way.
pub fn holds_back_all(call: &Call) -> bool {
    let is_guarded = call.key_options.orphan_ttl.is_some();
    match call.operation {
        Operation::BeginTask => is_guarded || call.key_options.claims,
        Operation::CommitResult => is_guarded,
        Operation::Dispose => call.key_options.claims,
        _ => false,
    }
}
