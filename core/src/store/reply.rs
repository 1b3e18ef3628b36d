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

/// Reads the replies to one call's commands, as many as [`Call::append`] announced, or one for each transaction.
///
/// # Errors
/// When the server refused the call or answered with something else than its commands bring.
pub fn read(call: &Call, replies: &[Value]) -> Result<Reply, ErrorReply> {
    read_sent_with(call, ServerFeatures::default(), replies).map_err(|(error_reply, _)| error_reply)
}

/// The same of a call that was sent as for a server with these features. Returns with a refusal whether it is that of the call's
/// first command.
///
/// # Errors
/// As [`read`].
pub fn read_sent_with(call: &Call, features: ServerFeatures, replies: &[Value]) -> Result<Reply, (ErrorReply, bool)> {
    let mut reader = ReplyReader::default();
    reader.begin_with(call, replies.len(), features);
    for reply in replies {
        visit(reply, &mut reader);
        reader.end_of_reply();
    }
    let refused_first = reader.has_refused_first();
    reader.finish(call).map_err(|error_reply| (error_reply, refused_first))
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
pub fn is_partly_done(call: &Call, replies: &[Value]) -> bool {
    let acknowledged = |reply: &Value| match reply {
        Value::Int(_) => true,
        Value::Array(items) => items.iter().any(|item| matches!(item, Value::Int(_))),
        _ => false,
    };
    let (before, behind) = call.prefetch.replies();
    let own = replies.get(before..replies.len().saturating_sub(behind)).unwrap_or_default();
    call.operation.writes() && own.iter().any(acknowledged)
}

#[cfg(test)]
mod tests;
