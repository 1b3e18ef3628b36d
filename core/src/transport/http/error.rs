//! What the failures of requests are called.

use std::error::Error;
use std::fmt;

use crate::config::Address;
use crate::error::StoreError;
use crate::error_texts::{append_advice, http as texts, replies};
use crate::store::{Call, ErrorReply};
use crate::transport::error::{ConnectError, display_address};
use crate::transport::retry_policy;

/// Why there is no connection, as the HTTP client passes it on.
#[derive(Debug)]
pub struct NotConnected(pub ConnectError);

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error().fmt(f)
    }
}

impl Error for NotConnected {}

/// The server accepted the request and does not answer.
pub fn unresponsive(address: &Address) -> ConnectError {
    ConnectError::Transient(texts::unresponsive(display_address(address)).error())
}

/// The endpoint closed the connection before it had ever answered.
pub fn hung_up(address: &Address, lost: &StoreError) -> StoreError {
    StoreError { cause: lost.cause.clone(), ..texts::hung_up(display_address(address)).error() }
}

/// The token was refused.
pub fn wrong_token(ErrorReply { code, detail }: ErrorReply) -> StoreError {
    let words = detail.trim_end_matches('.');
    // A text without a code.
    let code = Some(code).filter(|code| code != "ERR");
    let said = code.as_ref().map_or(words.to_owned(), |code| format!("{code} {words}"));
    StoreError { reply: code, ..texts::token_refused(said).error() }
}

/// The request was refused.
pub fn refused(status: u16, error_reply: ErrorReply) -> StoreError {
    let mut error = retry_policy::refused(error_reply);
    if status == 413 {
        append_advice(&mut error.message, texts::PLAN_LIMITS_REQUEST);
    }
    error
}

/// A transaction is aborted without a word about the command that was refused: says what it may have been.
pub fn with_cause_of_abort(mut error: StoreError, call: &Call) -> StoreError {
    if error.reply.as_deref() == Some("EXECABORT") && call.uses_field_expiry() {
        append_advice(&mut error.message, replies::NO_FIELD_EXPIRY);
    }
    error
}

/// The rate limit was reached.
pub fn too_many(error_reply: ErrorReply) -> StoreError {
    let mut error = retry_policy::refused(error_reply);
    append_advice(&mut error.message, texts::RATE_LIMIT);
    error
}

/// The endpoint, or something before it, does not work.
pub fn broken(status: u16, address: &Address) -> StoreError {
    texts::status(display_address(address), status).error()
}

/// What answered is no such endpoint.
pub fn not_an_answer(status: u16) -> StoreError {
    texts::not_an_answer(status).error()
}

/// The answer is larger than `limit`, the most bytes that are kept.
pub fn answer_too_large(limit: usize) -> StoreError {
    texts::answer_too_large(limit >> 20).error()
}
