//! The calls of one batch, in the order in which they were sent.

use std::time::{Duration, Instant};

use super::pending_calls::PendingCall;
use super::request::Finished;

/// The calls of one batch, whose order is also that of their deadlines. `T` is what is known of a call's replies.
pub struct BatchSlots<T> {
    slots: Vec<Slot<T>>,
    /// Slots before this one were given up.
    given_up: usize,
}

/// A call's place in its batch.
pub struct Slot<T> {
    /// `None` once it was given up; its replies are still expected and are then thrown away.
    pub pending: Option<PendingCall>,
    /// What is known of its replies.
    pub replies: T,
}

impl<T> BatchSlots<T> {
    /// No calls yet, and room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { slots: Vec::with_capacity(capacity), given_up: 0 }
    }

    /// Adds a call.
    pub fn push(&mut self, pending: PendingCall, replies: T) {
        self.slots.push(Slot { pending: Some(pending), replies });
    }

    /// The number of calls, those that were given up among them.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The calls, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot<T>> {
        self.slots.iter_mut()
    }

    /// Whether every call was given up.
    pub fn are_given_up(&self) -> bool {
        self.given_up == self.slots.len()
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.slots.get(self.given_up)?.pending.as_ref().map(|pending| pending.deadline)
    }

    /// Gives up what is past its deadline.
    pub fn expire(&mut self, now: Instant, timeout: Duration, finished: &mut Vec<Finished>) {
        while let Some(slot) = self.slots.get_mut(self.given_up)
            && let Some(pending) = slot.pending.take_if(|pending| pending.deadline <= now)
        {
            finished.push(pending.expire(timeout, None));
            self.given_up += 1;
        }
    }
}

impl<T> IntoIterator for BatchSlots<T> {
    type Item = Slot<T>;
    type IntoIter = std::vec::IntoIter<Slot<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.slots.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Call, Operation};
    use crate::transport::request::{Nowhere, Request};

    #[test]
    fn what_is_past_its_deadline_is_given_up_from_the_front() {
        let now = Instant::now();
        let mut slots = BatchSlots::with_capacity(3);
        assert!(slots.len() == 0 && slots.deadline().is_none() && slots.are_given_up());
        for sequence in 0..3 {
            let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), b"run".into(), 3, 3);
            let request = Request::new(call, 0, Arc::new(Nowhere));
            let deadline = now + Duration::from_secs(sequence);
            slots.push(PendingCall { request, sequence, deadline, error_reply: None, losses: 0 }, ());
        }
        let mut finished = Vec::new();
        slots.expire(now + Duration::from_secs(1), Duration::from_secs(1), &mut finished);
        assert_eq!((finished.len(), slots.len()), (2, 3));
        assert_eq!(slots.deadline(), Some(now + Duration::from_secs(2)));
        assert!(!slots.are_given_up());
        let left: Vec<bool> = slots.iter_mut().map(|slot| slot.pending.is_some()).collect();
        assert_eq!(left, [false, false, true]);
        slots.expire(now + Duration::from_secs(2), Duration::from_secs(1), &mut finished);
        assert!(slots.are_given_up() && slots.deadline().is_none());
    }
}
