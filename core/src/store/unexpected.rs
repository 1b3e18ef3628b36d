//! Replies of kinds that the commands sent never bring.

use super::error_reply::{ErrorReply, UNEXPECTED};
use crate::error_texts::replies::unexpected_kind;

/// The kind of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Nothing,
    /// An integer.
    Integer,
    /// An array.
    Array,
    /// A string or a status.
    Text,
    /// What only newer protocols have.
    Other,
}

/// The error for a reply of a kind that the command never brings.
pub fn unexpected(kind: Kind) -> ErrorReply {
    let kind = match kind {
        Kind::Nothing => "nothing",
        Kind::Integer => "an integer",
        Kind::Array => "an array",
        Kind::Text => "a string",
        Kind::Other => "a reply of another kind",
    };
    ErrorReply { code: UNEXPECTED.into(), detail: unexpected_kind(kind) }
}
