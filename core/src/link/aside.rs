//! Calls that are kept from a connection for a while, with everything that came after them for the same executions: what the
//! server refused for now, and what the last connections may have ended because of.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use super::pending::{Waiting, expired, put_back};
use super::retry::{ends_connections, suspect_pause};

/// The calls that are kept aside, in the order in which they came, until a moment that is the same for all.
#[derive(Default)]
pub struct Aside {
    calls: VecDeque<Waiting>,
    until: Option<Instant>,
}

impl Aside {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// When something has to be done about them: their pause is over, or the first one's time.
    pub fn moments(&self) -> [Option<Instant>; 2] {
        [self.until, self.calls.front().map(|waiting| waiting.deadline)]
    }

    /// Keeps a call, and all of them no longer than until this moment.
    pub fn put(&mut self, waiting: Waiting, until: Instant) {
        self.until = Some(self.until.map_or(until, |earlier| earlier.min(until)));
        put_back(&mut self.calls, waiting);
    }

    /// For a new connection: takes out of the queue what may have ended the last ones, so that other executions go first.
    pub fn take_suspects(&mut self, queue: &mut VecDeque<Waiting>, now: Instant) {
        for mut waiting in take_out(queue, |waiting| suspect_pause(waiting.losses).is_some()) {
            let until = suspect_pause(waiting.losses).map(|pause| now + pause);
            self.until = self.until.max(until);
            waiting.refusal = Some(Box::new(ends_connections(waiting.losses, waiting.request.call.size())));
            put_back(&mut self.calls, waiting);
        }
    }

    /// Takes out of the queue what came after these calls for the same executions.
    pub fn hold_back(&mut self, queue: &mut VecDeque<Waiting>) {
        if self.calls.is_empty() || queue.is_empty() {
            return;
        }
        let mut executions: HashSet<Vec<u8>> = HashSet::new();
        executions.extend(self.calls.iter().map(|waiting| waiting.request.call.id().to_vec()));
        for waiting in take_out(queue, |waiting| executions.contains(waiting.request.call.id())) {
            put_back(&mut self.calls, waiting);
        }
    }

    /// Puts them at the head of the queue when their pause is over.
    pub fn release(&mut self, queue: &mut VecDeque<Waiting>, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            while let Some(waiting) = self.calls.pop_back() {
                queue.push_front(waiting);
            }
        }
    }

    /// Takes out what is past its deadline.
    pub fn expired(&mut self, now: Instant) -> impl Iterator<Item = Waiting> + '_ {
        expired(&mut self.calls, now)
    }

    /// Takes out all of them.
    pub fn take(&mut self) -> VecDeque<Waiting> {
        std::mem::take(self).calls
    }
}

/// Takes out of a queue what is meant; the order stays.
fn take_out(queue: &mut VecDeque<Waiting>, is_meant: impl Fn(&Waiting) -> bool) -> VecDeque<Waiting> {
    let (meant, others) = queue.drain(..).partition(is_meant);
    *queue = others;
    meant
}
