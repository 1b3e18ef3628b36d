//! The error that a server said last, noted on its way to whoever reads the reply.

use crate::store::reply_visitor::ReplyVisitor;

/// Bytes of an error reply that are kept in case it is the last reply of the connection.
const MAX_KEPT_ERROR: usize = 256;
/// The error that the latest reply is, if it is one: a server that does not understand what it is sent, or takes it for too
/// long, says so and closes the connection.
#[derive(Default)]
pub(super) struct LastError {
    pub(super) text: Vec<u8>,
    pub(super) is_latest: bool,
}

/// Notes errors on the way to a visitor.
pub(super) struct Noting<'a, V> {
    pub(super) visitor: &'a mut V,
    pub(super) error: &'a mut LastError,
}

impl<V: ReplyVisitor> ReplyVisitor for Noting<'_, V> {
    fn status(&mut self, text: &[u8]) {
        self.visitor.status(text);
    }

    fn error(&mut self, text: &[u8]) {
        self.error.text.clear();
        self.error.text.extend_from_slice(&text[..text.len().min(MAX_KEPT_ERROR)]);
        self.error.is_latest = true;
        self.visitor.error(text);
    }

    fn integer(&mut self, value: i64) {
        self.visitor.integer(value);
    }

    fn nil(&mut self) {
        self.visitor.nil();
    }

    fn bulk_start(&mut self, length: usize) {
        self.visitor.bulk_start(length);
    }

    fn bulk_bytes(&mut self, bytes: &[u8]) {
        self.visitor.bulk_bytes(bytes);
    }

    fn bulk_end(&mut self) {
        self.visitor.bulk_end();
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.visitor.bulk(bytes);
    }

    fn array(&mut self, length: usize) {
        self.visitor.array(length);
    }
}

/// Throws replies away.
pub(super) struct Ignored;

impl ReplyVisitor for Ignored {
    fn status(&mut self, _: &[u8]) {}
    fn error(&mut self, _: &[u8]) {}
    fn integer(&mut self, _: i64) {}
    fn nil(&mut self) {}
    fn bulk_start(&mut self, _: usize) {}
    fn bulk_bytes(&mut self, _: &[u8]) {}
    fn bulk_end(&mut self) {}
    fn array(&mut self, _: usize) {}
}
