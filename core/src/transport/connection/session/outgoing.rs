//! The bytes that are to be written to a connection, and how many have been.

use crate::transport::protocol::encode::Encoder;

/// Room for bytes to be written that is kept when it is not needed.
const KEPT_ROOM: usize = 512 * 1024;

/// The bytes that are to be written, numbered from the connection's first one.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Takes commands.
    pub(super) encoder: Encoder,
    /// Bytes of the encoder that have been written.
    written: usize,
    /// Bytes that were written before those in the encoder.
    written_before: u64,
}

impl Outgoing {
    /// The number that the next byte to be encoded gets.
    pub(super) fn end(&self) -> u64 {
        self.written_before + self.encoder.bytes.len() as u64
    }

    /// The bytes that are to be written.
    pub(super) fn unwritten(&self) -> &[u8] {
        &self.encoder.bytes[self.written..]
    }

    /// So many of them have been written. Returns the number of the first one that has not.
    pub(super) fn wrote(&mut self, bytes: usize) -> u64 {
        self.written += bytes;
        let end = self.written_before + self.written as u64;
        if self.written == self.encoder.bytes.len() {
            self.written_before = end;
            self.encoder.bytes.clear();
            self.encoder.bytes.shrink_to(KEPT_ROOM);
            self.written = 0;
        }
        end
    }
}
