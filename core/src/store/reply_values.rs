//! Strings and hashes in replies.

use redis::Value;

use super::answer::Entry;
use super::error_reply::ErrorReply;
use crate::error_texts::replies::unexpected_kind;

/// The error for a reply of a kind that the command never brings.
pub fn unexpected(reply: &Value) -> ErrorReply {
    let kind = match reply {
        Value::Nil => "nothing",
        Value::Int(_) => "an integer",
        Value::Array(_) => "an array",
        Value::Map(_) => "a map",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        _ => "a reply of another kind",
    };
    ErrorReply { code: "UNEXPECTED".into(), detail: unexpected_kind(kind) }
}

/// A string, or nothing.
pub fn text(reply: Value) -> Result<Option<Vec<u8>>, ErrorReply> {
    match reply {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::Okay => Ok(Some(b"OK".to_vec())),
        other => Err(unexpected(&other)),
    }
}

/// The fields and values of a hash.
pub fn entries(reply: Value) -> Result<Vec<Entry>, ErrorReply> {
    let pair = |field: Value, value: Value| -> Result<Entry, ErrorReply> {
        Ok((text(field)?.unwrap_or_default(), text(value)?.unwrap_or_default()))
    };
    match reply {
        Value::Nil => Ok(Vec::new()),
        Value::Map(items) => items.into_iter().map(|(field, value)| pair(field, value)).collect(),
        Value::Array(items) => {
            let mut result = Vec::with_capacity(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(field), Some(value)) = (items.next(), items.next()) {
                result.push(pair(field, value)?);
            }
            Ok(result)
        }
        other => Err(unexpected(&other)),
    }
}
