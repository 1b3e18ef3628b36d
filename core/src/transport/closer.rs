//! Who waits for a connection to have ended: when its last handle is closed, what may still be on its way is fenced off.

use std::sync::Arc;

use super::error::display_address;
use super::request::CompletionSink;
use super::warning::Warning;
use crate::config::Address;
use crate::error_texts::connections::closed_unfenced;

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
        let warning = Warning::new("IDIOTEQUE_REDIS_UNFENCED", address, closed_unfenced(display_address(address)));
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
