//! What a decoder tells of the replies that it reads.

/// Is told of the values of replies as they come. The values of an array follow it, so that a visitor counts them itself.
pub trait ReplyVisitor {
    /// A status such as `OK`.
    fn status(&mut self, text: &[u8]);
    /// An error: its code and what else it says.
    fn error(&mut self, text: &[u8]);
    /// An integer.
    fn integer(&mut self, number: i64);
    /// Nothing: a string or an array that is absent.
    fn nil(&mut self);
    /// A string of so many bytes begins.
    fn bulk_start(&mut self, length: usize);
    /// The string's next bytes.
    fn bulk_bytes(&mut self, bytes: &[u8]);
    /// The string is complete.
    fn bulk_end(&mut self);
    /// An array of so many values begins.
    fn array(&mut self, length: usize);

    /// A string that has come as a whole.
    fn bulk(&mut self, bytes: &[u8]) {
        self.bulk_start(bytes.len());
        self.bulk_bytes(bytes);
        self.bulk_end();
    }
}
