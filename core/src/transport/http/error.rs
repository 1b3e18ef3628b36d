//! What the failures of requests are called.

use std::error::Error;
use std::fmt;

use crate::config::Address;
use crate::error::{Code, StoreError};
use crate::store::ErrorReply;
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

/// The server took the request and does not answer.
pub fn unresponsive(address: &Address) -> ConnectError {
    let message = format!("{} took the request but does not answer.", display_address(address));
    ConnectError::Transient(StoreError::new(Code::Timeout, message))
}

/// The token was refused.
pub fn wrong_token(ErrorReply { code, detail }: ErrorReply) -> StoreError {
    let words = detail.trim_end_matches('.');
    // A text without a code.
    let code = Some(code).filter(|code| code != "ERR");
    let said = code.as_ref().map_or(words.to_owned(), |code| format!("{code} {words}"));
    let message =
        format!("Upstash refused the token ({said}): is it the REST token of this very database, and still valid?");
    StoreError { reply: code, ..StoreError::new(Code::Reply, message) }
}

/// The request was refused.
pub fn refused(status: u16, error_reply: ErrorReply) -> StoreError {
    let mut error = retry_policy::refused(error_reply);
    if status == 413 {
        error.message += ": a request may not be larger than the database's plan allows";
    }
    error
}

/// The rate limit was reached.
pub fn too_many(error_reply: ErrorReply) -> StoreError {
    let mut error = retry_policy::refused(error_reply);
    error.message += ": the rate limit of the database is reached.";
    error
}

/// The endpoint, or something before it, does not work.
pub fn broken(status: u16, address: &Address) -> StoreError {
    StoreError::new(Code::Connection, format!("{} answered with HTTP status {status}.", display_address(address)))
}

/// What answered is no such endpoint.
pub fn not_an_answer(status: u16) -> StoreError {
    let message = format!(
        "what was answered, with HTTP status {status}, is no answer of Upstash's REST interface: is the URL right, and does \
         nothing in between answer in its place?"
    );
    StoreError::new(Code::Connection, message)
}

/// The answer is larger than `limit`, the most bytes that are kept.
pub fn answer_too_large(limit: usize) -> StoreError {
    let message = format!(
        "the answer is larger than {} MiB, the most that is read over HTTP: connect with a rediss:// URL to read it",
        limit >> 20
    );
    StoreError::new(Code::Reply, message)
}
