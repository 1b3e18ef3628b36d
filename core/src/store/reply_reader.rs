//! What the replies to one call mean, read while they come.

use redis::Value;

use super::call::Call;
use super::error_reply::ErrorReply;
use super::reply::{self, Reply};
use super::reply_visitor::ReplyVisitor;
use crate::transport::protocol::value_visitor::ValueVisitor;

/// Reads the replies to one call after the other.
#[derive(Debug, Default)]
pub struct ReplyReader {
    visitor: ValueVisitor,
    replies: Vec<Value>,
    bytes: usize,
}

impl ReplyReader {
    /// Begins with the replies to another call.
    pub fn begin(&mut self, _call: &Call) {
        *self = Self::default();
    }

    /// A reply is complete.
    pub fn end_of_reply(&mut self) {
        self.replies.extend(self.visitor.take());
    }

    /// What the replies say, when as many have come as [`Call::append`] announced.
    ///
    /// # Errors
    /// When the server refused the call or answered with something else than its commands bring.
    pub fn finish(&mut self, call: &Call) -> Result<Reply, ErrorReply> {
        reply::read(call, &mut self.replies)
    }

    /// The bytes that have been decoded for this call.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl ReplyVisitor for ReplyReader {
    fn status(&mut self, text: &[u8]) {
        self.visitor.status(text);
    }

    fn error(&mut self, text: &[u8]) {
        self.visitor.error(text);
    }

    fn integer(&mut self, number: i64) {
        self.visitor.integer(number);
    }

    fn nil(&mut self) {
        self.visitor.nil();
    }

    fn bulk_start(&mut self, length: usize) {
        self.visitor.bulk_start(length);
    }

    fn bulk_bytes(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.visitor.bulk_bytes(bytes);
    }

    fn bulk_end(&mut self) {
        self.visitor.bulk_end();
    }

    fn array(&mut self, length: usize) {
        self.visitor.array(length);
    }
}
