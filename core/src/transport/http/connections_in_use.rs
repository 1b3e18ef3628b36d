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
    /// When the first ping was sent over them since, whether or not it was given up.
    pinged_at: Option<Instant>,
}

impl ConnectionsInUse {
    /// New ones.
    pub fn made_at(now: Instant) -> Self {
        Self { since: Some(now), ..Self::default() }
    }

    fn carry(&self, sent_at: Instant) -> bool {
        self.since.is_none_or(|since| since <= sent_at)
    }

    /// A ping is sent over them.
    pub fn pinged(&mut self, now: Instant) {
        self.pinged_at.get_or_insert(now);
    }

    /// A ping that was sent then is answered.
    pub fn ponged(&mut self, sent_at: Instant, now: Instant) {
        if self.carry(sent_at) {
            self.heard_something(now);
        }
    }

    fn heard_something(&mut self, at: Instant) {
        self.heard_at = self.heard_at.max(Some(at));
        self.pinged_at.take_if(|pinged_at| *pinged_at <= at);
    }

    /// Looks whether something came over them of the answer to a request.
    pub fn heard(&mut self, batch: &HttpBatch) {
        if self.carry(batch.sent_at) && batch.heard_at() > batch.sent_at {
            self.heard_something(batch.heard_at());
        }
    }

    /// When they will have been silent for so long since one of these requests was sent over them.
    pub fn silent_at(&self, batches: &[HttpBatch], patience: Duration) -> Option<Instant> {
        let unheard = |sent_at: &Instant| self.carry(*sent_at) && self.heard_at.is_none_or(|at| at < *sent_at);
        let sent = batches.iter().map(|batch| batch.sent_at).filter(unheard);
        sent.chain(self.pinged_at).map(|sent_at| sent_at + patience).min()
    }
}
