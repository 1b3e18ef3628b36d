//! A call's answer and snapshot, read from replies that have come as trees of values.

use redis::Value;

use super::answer::Answer;
pub use super::answer::{Entry, Results};
use super::call::Call;
use super::error_reply::ErrorReply;
use super::reply_reader::ReplyReader;
use super::reply_visitor::ReplyVisitor;
use super::server_features::ServerFeatures;
use super::snapshot::Snapshot;

/// What a call returned: its answer, and a snapshot from the reads it carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// What else is now known of the execution.
    pub snapshot: Option<Box<Snapshot>>,
}

/// Reads the replies to the commands of a call that was made for a server with these features, as many as [`Call::append`]
/// announced, or one for each transaction.
///
/// # Errors
/// When the server refused the call or answered with something else than its commands bring.
pub fn read(call: &Call, features: ServerFeatures, replies: &[Value]) -> Result<Reply, ErrorReply> {
    read_with(&mut ReplyReader::default(), call, features, replies)
}

/// The same. Returns with a refusal whether it is that of the call's first command.
///
/// # Errors
/// As [`read`].
pub fn read_noting_first(
    call: &Call,
    features: ServerFeatures,
    replies: &[Value],
) -> Result<Reply, (ErrorReply, bool)> {
    let mut reader = ReplyReader::default();
    let reply = read_with(&mut reader, call, features, replies);
    reply.map_err(|error_reply| (error_reply, reader.has_refused_first()))
}

/// The same as [`read`], with a reader.
pub(super) fn read_with(
    reader: &mut ReplyReader,
    call: &Call,
    features: ServerFeatures,
    replies: &[Value],
) -> Result<Reply, ErrorReply> {
    reader.begin_with(call, features, replies.len());
    for reply in replies {
        visit(reply, reader);
        reader.end_of_reply();
    }
    reader.finish(call)
}

/// Tells a reader of a tree of values.
fn visit(value: &Value, reader: &mut ReplyReader) {
    match value {
        Value::Nil => reader.nil(),
        Value::Int(number) => reader.integer(*number),
        Value::BulkString(bytes) => reader.bulk(bytes),
        Value::SimpleString(text) => reader.status(text.as_bytes()),
        Value::Okay => reader.status(b"OK"),
        Value::ServerError(error) => {
            let detail = error.details().unwrap_or_default();
            reader.error(format!("{} {detail}", error.code()).as_bytes());
        }
        Value::Array(items) => {
            reader.array(items.len());
            items.iter().for_each(|item| visit(item, reader));
        }
        _ => reader.other(),
    }
}

/// Whether the commands of a write that was refused were carried out in part: one was refused inside its transaction, or there
/// is no transaction with this server.
pub fn is_partly_done(call: &Call, features: ServerFeatures, replies: &[Value]) -> bool {
    let acknowledged = |reply: &Value| match reply {
        Value::Int(_) => true,
        Value::Array(items) => items.iter().any(|item| matches!(item, Value::Int(_))),
        _ => false,
    };
    // Of one transaction, what carried reads bring is no number.
    let (before, behind) = if call.is_isolated(features) { (0, 0) } else { call.carried_replies(features) };
    let own = replies.get(before..replies.len().saturating_sub(behind)).unwrap_or_default();
    call.operation.writes() && own.iter().any(acknowledged)
}

#[cfg(test)]
mod tests;
