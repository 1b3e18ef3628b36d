//! What can be seen of the connection: whether calls can be sent, what was counted, and what is tried again.

use std::mem;
use std::time::{Duration, Instant};

use redis::Value;

use super::{About, Beside, Machine, State};
use crate::error::StoreError;
use crate::transport::connection::server_facts::ServerFacts;
use crate::transport::observed::Counts;

/// Retries that are kept until they are told. More in one turn tell nothing new.
const MAX_RETRIES: usize = 16;
/// A server that is never idle is asked about itself after so many times as long.
const BUSY_FACTOR: u32 = 10;

impl Machine {
    /// Whether calls can be sent: the server has answered, is not silent, and has not refused us.
    pub fn is_ready(&self) -> bool {
        matches!(&self.state, State::Serving(serving) if serving.beside == Beside::No && serving.session.was_greeted())
    }

    /// Why there was no connection, when that was so last.
    pub fn connect_error(&self) -> &StoreError {
        self.connect_error.error()
    }

    /// Why a connection was lost, if one was since this was asked last. It may not have served any call.
    pub fn take_loss(&mut self) -> Option<StoreError> {
        mem::take(&mut self.has_lost).then(|| self.connect_error.error().clone())
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

    /// When the server is asked about itself: later while calls are in flight, which would be sent again if the questions end
    /// the connection.
    pub(super) fn asks_at(&self) -> Option<Instant> {
        let (State::Serving(serving), About::Unasked) = (&self.state, &self.about) else { return None };
        let is_idle = !serving.session.owes() && !self.calls.has_unsent();
        let after = self.config.asks_after? * if is_idle { 1 } else { BUSY_FACTOR };
        (serving.beside == Beside::No && serving.session.has_answered()).then(|| serving.made_at + after)
    }

    /// Asks the server about itself, if it is time to.
    pub(super) fn ask_about_server(&mut self, now: Instant) {
        if self.asks_at().is_some_and(|at| at <= now)
            && let State::Serving(serving) = &mut self.state
        {
            serving.session.ask_facts(&ServerFacts::questions(), now);
            self.about = About::Asked(ServerFacts::default());
        }
    }

    /// The server answered one of those questions.
    pub(super) fn told(&mut self, reply: &Value) {
        if let About::Asked(facts) = &mut self.about
            && facts.add(reply)
        {
            self.about = About::Told(mem::take(facts));
        }
    }

    /// The connection ended: what it was asked may have ended it, so that it is not asked again.
    pub(super) fn forget_question(&mut self) {
        if let About::Asked(_) = self.about {
            self.about = About::Over;
        }
    }

    /// There is another server, of which nothing is known.
    pub fn is_another_server(&mut self) {
        self.about = About::Unasked;
    }

    /// What the server has told of itself, once; and whether keys are written that expire.
    pub fn take_facts(&mut self) -> Option<(ServerFacts, bool)> {
        let About::Told(facts) = &mut self.about else { return None };
        let facts = mem::take(facts);
        self.about = About::Over;
        Some((facts, self.expires))
    }
}
