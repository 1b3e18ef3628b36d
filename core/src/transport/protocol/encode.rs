//! Commands as RESP2, written straight into the buffer that is sent: `*` and the number of arguments, then `$`, its length and its
//! bytes for each.

use redis::Pipeline;

use crate::store::command_writer::{CommandWriter, Decimal};
use crate::store::keys::Key;

/// Writes commands behind each other.
#[derive(Debug, Default)]
pub struct Encoder {
    /// What is to be sent. Whoever sends it takes it out, in part or as a whole.
    pub bytes: Vec<u8>,
}

impl Encoder {
    /// Writes one command, its name first.
    pub fn command(&mut self, arguments: &[&[u8]]) {
        self.begin(arguments.len());
        arguments.iter().for_each(|argument| self.argument(argument));
    }

    /// Writes the commands of a pipeline of the redis crate.
    pub fn pipeline(&mut self, pipeline: &Pipeline) {
        self.bytes.extend_from_slice(&pipeline.get_packed_pipeline());
    }

    fn header(&mut self, kind: u8, number: usize) {
        if number < 10 {
            self.bytes.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']);
            return;
        }
        self.bytes.push(kind);
        self.bytes.extend_from_slice(Decimal::new(number as u64).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }
}

impl CommandWriter for Encoder {
    fn begin(&mut self, arguments: usize) {
        self.header(b'*', arguments);
    }

    fn argument(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn key(&mut self, key: &Key<'_>) {
        self.header(b'$', key.size());
        key.append_to(&mut self.bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
