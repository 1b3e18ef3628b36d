//! What a reply means: the answer to a call, or the server's refusal.

use redis::Value;

use super::answer::{Answer, splice};
use super::call::Call;
use super::error_reply::{ErrorReply, find_error_reply};
use super::operation::Operation;
use super::prefetch::Prefetch;
use super::reply_values::{entries, text, unexpected};
use super::snapshot::{Known, Snapshot};

/// What a call returned: its answer, and a snapshot from the reads it carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// What else is now known of the execution.
    pub snapshot: Option<Box<Snapshot>>,
}

/// Reads the replies to one call's commands, as many as [`Call::append`] announced. Takes them out of the slice.
pub fn read(call: &Call, replies: &mut [Value]) -> Result<Reply, ErrorReply> {
    let (before, behind) = call.prefetch.replies();
    let (carried_before, rest) = replies.split_at_mut(before.min(replies.len()));
    let (own, carried_behind) = rest.split_at_mut(rest.len().saturating_sub(behind));
    // A refusal of what is only carried must not fail the call.
    if let Some(error_reply) = find_error_reply(own) {
        return Err(error_reply);
    }
    let last = own.last_mut().map(std::mem::take).unwrap_or_default();
    let mut kept = None;
    let answer = match call.operation {
        // What was there before, or that nothing was.
        Operation::BeginExecution if call.only.is_none() => text(last).map(|_| Answer::Nothing)?,
        // How many fields or keys it was; in a transaction, what each of its commands was answered.
        Operation::BeginExecution | Operation::BeginTask | Operation::CommitResult | Operation::Dispose => match last {
            Value::Int(_) if own.len() == 1 => Answer::Nothing,
            Value::Array(items) if call.is_transaction() && acknowledges(&items, own.len()) => Answer::Nothing,
            other => return Err(unexpected(&other)),
        },
        Operation::IsExecutionInProgress | Operation::IsTaskInProgress => Answer::Flag(text(last)?.is_some()),
        Operation::GetResult => Answer::Value(text(last)?),
        Operation::GetResults => {
            let entries = entries(last)?;
            kept = (call.prefetch != Prefetch::Nothing).then(|| Known::of(&entries));
            Answer::Results(splice(entries))
        }
    };
    let carried = carried_before.iter_mut().chain(carried_behind).map(std::mem::take);
    Ok(Reply { answer, snapshot: Snapshot::new(call.prefetch, call.task(), carried, kept).map(Box::new) })
}

/// Whether the answer to EXEC, the last of so many replies, has an integer for each command in between. Over HTTP, it is the
/// only reply.
fn acknowledges(items: &[Value], replies: usize) -> bool {
    let complete = if replies == 1 { !items.is_empty() } else { items.len() + 2 == replies };
    complete && items.iter().all(|item| matches!(item, Value::Int(_)))
}

#[cfg(test)]
mod tests;
