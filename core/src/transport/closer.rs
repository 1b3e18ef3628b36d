//! Who waits for a connection to have ended: when its last handle is closed, what may still be on its way is fenced off.

use std::sync::Arc;

use super::error::display_address;
use super::request::CompletionSink;
use super::warning::Warning;
use crate::config::Address;

/// Says so when it is dropped: the connection has ended, however it did.
pub struct Closer {
    sink: Arc<dyn CompletionSink>,
    token: u32,
    /// Nobody is to be warned.
    quiet: bool,
}

impl Closer {
    /// The end is told to `sink` under `token`.
    pub fn new(sink: Arc<dyn CompletionSink>, token: u32, quiet: bool) -> Self {
        Self { sink, token, quiet }
    }

    /// What may still be on its way to a server could not be fenced off.
    pub(super) fn warn_unfenced(&self, address: &Address) {
        let server = display_address(address);
        let message = format!(
            "the store was closed while a call to {server} had no answer, and the server could not be reached within \
             commandTimeout to end its connection: a write that was given up may still be applied when the network lets it \
             through."
        );
        let warning = Warning::new("IDIOTEQUE_REDIS_UNFENCED", address, message);
        if !self.quiet && warning.is_first() {
            self.sink.warn(warning);
        }
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.sink.closed(self.token);
    }
}
