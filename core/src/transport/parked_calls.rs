//! Calls that are kept from a connection for a while, with everything that came after them for the same executions: what the
//! server refused for now, and what the last connections may have ended because of.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use super::pending_calls::{PendingCall, expired, requeue};
use super::retry_policy::{ends_connections, poison_pause};

/// The calls that are kept aside, in the order in which they came, until a moment that is the same for all.
#[derive(Default)]
pub struct ParkedCalls {
    calls: VecDeque<PendingCall>,
    until: Option<Instant>,
}

impl ParkedCalls {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// When something has to be done about them: their pause is over, or the first one's time.
    pub fn moments(&self) -> [Option<Instant>; 2] {
        [self.until, self.calls.front().map(|pending| pending.deadline)]
    }

    /// Keeps a call, and all of them no longer than until this moment.
    pub fn put(&mut self, pending: PendingCall, until: Instant) {
        self.until = Some(self.until.map_or(until, |earlier| earlier.min(until)));
        requeue(&mut self.calls, pending);
    }

    /// For a new connection: takes out of the queue what may have ended the last ones, so that other executions go first.
    pub fn take_poison_candidates(&mut self, queue: &mut VecDeque<PendingCall>, now: Instant) {
        for mut pending in take_out(queue, |pending| poison_pause(pending.losses).is_some()) {
            let until = poison_pause(pending.losses).map(|pause| now + pause);
            self.until = self.until.max(until);
            pending.error_reply = Some(Box::new(ends_connections(pending.losses, pending.request.call.size())));
            requeue(&mut self.calls, pending);
        }
    }

    /// Takes out of the queue what came after these calls for the same executions.
    pub fn hold_back(&mut self, queue: &mut VecDeque<PendingCall>) {
        if self.calls.is_empty() || queue.is_empty() {
            return;
        }
        let mut executions: HashSet<Vec<u8>> = HashSet::new();
        executions.extend(self.calls.iter().map(|pending| pending.request.call.id().to_vec()));
        for pending in take_out(queue, |pending| executions.contains(pending.request.call.id())) {
            requeue(&mut self.calls, pending);
        }
    }

    /// Puts them at the head of the queue when their pause is over.
    pub fn release(&mut self, queue: &mut VecDeque<PendingCall>, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            while let Some(pending) = self.calls.pop_back() {
                queue.push_front(pending);
            }
        }
    }

    /// Takes out what is past its deadline.
    pub fn expired(&mut self, now: Instant) -> impl Iterator<Item = PendingCall> + '_ {
        expired(&mut self.calls, now)
    }

    /// Takes out all of them.
    pub fn take(&mut self) -> VecDeque<PendingCall> {
        std::mem::take(self).calls
    }
}

/// Takes out of a queue what is meant; the order stays.
fn take_out(queue: &mut VecDeque<PendingCall>, is_meant: impl Fn(&PendingCall) -> bool) -> VecDeque<PendingCall> {
    let (meant, others) = queue.drain(..).partition(is_meant);
    *queue = others;
    meant
}
