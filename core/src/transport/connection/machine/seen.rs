//! What can be seen of the connection: whether calls can be sent, what was counted, and what is tried again.

use std::mem;
use std::time::{Duration, Instant};

use super::{Beside, Machine, State};
use crate::error::StoreError;
use crate::transport::observed::Counts;

/// Retries that are kept until they are told. More in one turn tell nothing new.
const MAX_RETRIES: usize = 16;

impl Machine {
    /// Whether calls can be sent: the server has answered, is not silent, and has not refused us.
    pub fn is_ready(&self) -> bool {
        matches!(&self.state, State::Serving(serving) if serving.beside == Beside::No && serving.session.was_greeted())
    }

    /// Why there was no connection, when that was so last.
    pub fn connect_error(&self) -> &StoreError {
        self.connect_error.error()
    }

    /// What was counted since it was taken last.
    pub fn take_counts(&mut self) -> Counts {
        mem::take(&mut self.counts)
    }

    /// What is tried again, and after which pause, since it was taken last.
    pub fn take_retries(&mut self) -> Vec<(StoreError, Duration)> {
        mem::take(&mut self.retries)
    }

    /// Something is tried again.
    pub(super) fn note_retry(&mut self, error: &StoreError, at: Instant, now: Instant) {
        if self.retries.len() < MAX_RETRIES {
            self.retries.push((error.clone(), at.saturating_duration_since(now)));
        }
    }
}
