//! Since when nothing has come over the connections of an HTTP endpoint.

use std::time::{Duration, Instant};

use super::batch::HttpBatch;

/// The connections over which requests are sent.
#[derive(Default)]
pub struct ConnectionsInUse {
    /// When those before them were left; `None` if these are the first.
    since: Option<Instant>,
    /// When something came over them last.
    heard_at: Option<Instant>,
}

impl ConnectionsInUse {
    /// New ones.
    pub fn made_at(now: Instant) -> Self {
        Self { since: Some(now), heard_at: None }
    }

    fn carry(&self, batch: &HttpBatch) -> bool {
        self.since.is_none_or(|since| since <= batch.sent_at)
    }

    /// Looks whether something came over them of the answer to a request.
    pub fn heard(&mut self, batch: &HttpBatch) {
        if self.carry(batch) && batch.heard_at() > batch.sent_at {
            self.heard_at = self.heard_at.max(Some(batch.heard_at()));
        }
    }

    /// When they will have been silent for so long since one of these requests was sent over them.
    pub fn silent_at(&self, batches: &[HttpBatch], patience: Duration) -> Option<Instant> {
        let unheard = |batch: &&HttpBatch| self.carry(batch) && self.heard_at.is_none_or(|at| at < batch.sent_at);
        batches.iter().filter(unheard).map(|batch| batch.sent_at + patience).min()
    }
}
