//! A call on keys that are on different servers of a cluster, taken apart into commands on one key each. The result is
//! written before the task's entry among those in progress is removed: a task may be both in progress and done for a
//! moment, but never neither.

use super::call::Call;
use super::keys::Role;
use super::operation::Operation;

/// The keys that a call writes, in steps: those of one step side by side, the next step when they have been acknowledged.
/// `None` when it is about one key only.
pub fn steps(call: &Call) -> Option<&'static [&'static [Role]]> {
    use Role::{Execution, Results, Transactions};
    let slides = call.key_options.ttl.is_some() && call.key_options.sliding_ttl;
    match call.operation {
        Operation::CommitResult if slides => Some(&[&[Results], &[Transactions, Execution]]),
        Operation::CommitResult => Some(&[&[Results], &[Transactions]]),
        Operation::Dispose => Some(&[&[Execution, Transactions, Results]]),
        Operation::BeginTask if slides => Some(&[&[Transactions, Execution, Results]]),
        _ => None,
    }
}
