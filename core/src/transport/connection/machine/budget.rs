//! Answers that are too much for their environment for now: left in the socket, or thrown away and asked for again.

use std::task::Context;
use std::time::Instant;

use super::{Machine, State};
use crate::transport::ordered_calls::CallKey;
use crate::transport::result_budget::{Blocked, SMALL};

impl Machine {
    /// Counts the bytes of a call's answer, which has come as a whole. Returns whether it may be handed over: what is too
    /// much for its environment is thrown away, so that others are not kept waiting for theirs.
    pub(super) fn charge(&mut self, key: CallKey, bytes: usize, now: Instant) -> bool {
        let Some(charge) = self.calls.get_mut(key).request.charge() else { return true };
        if !charge.coming(bytes) && self.throws_away(key, now) {
            return false;
        }
        if let Some(charge) = self.calls.get_mut(key).request.charge() {
            charge.complete(bytes);
        }
        true
    }

    /// Counts what has come of the answer that is coming, and throws it away if it is too much.
    pub(super) fn count_coming(&mut self, now: Instant) {
        let State::Serving(serving) = &self.state else { return };
        let Some((key, bytes)) = serving.session.coming().filter(|(_, bytes)| *bytes > SMALL) else { return };
        let is_too_much = self.calls.get_mut(key).request.charge().is_some_and(|charge| !charge.coming(bytes));
        if is_too_much && self.throws_away(key, now) {
            if let Some(charge) = &mut self.calls.get_mut(key).request.charge {
                charge.give_back();
            }
            if let State::Serving(serving) = &mut self.state {
                serving.session.drop_coming();
            }
        }
    }

    /// Whether a call's answer is thrown away when it is too much, and asked for again. Otherwise it is left in the socket.
    pub(super) fn throws_away(&mut self, key: CallKey, now: Instant) -> bool {
        let is_left = self.calls.has_one_environment() && !self.is_past_deadline(now);
        !is_left && !self.calls.is_followed_by_write(key)
    }

    pub(super) fn is_past_deadline(&mut self, now: Instant) -> bool {
        self.calls.earliest_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// A call's answer was too much, and is asked for again later.
    pub(super) fn put_back(&mut self, key: CallKey, bytes: usize, dropped: bool) {
        if let State::Serving(serving) = &mut self.state
            && !dropped
        {
            serving.session.drop_answer();
        }
        // The server answers.
        self.open_gate(key);
        let pending = self.calls.get_mut(key);
        pending.request.delivery.repeated();
        if let Some(charge) = pending.request.charge() {
            charge.put_back(bytes);
        }
        let budget = pending.request.counted_by();
        pending.error_reply = budget.map(|budget| Box::new(budget.why_waiting()));
        if let Some(budget) = self.calls.get(key).request.counted_by() {
            Blocked::note(&mut self.blocked, budget);
            if self.calls.get(key).request.is_within_budget() {
                // There is room since.
                self.blocked.iter_mut().for_each(Blocked::look_again);
            }
        }
        self.calls.hold(key);
    }

    /// Whether what comes is to be read. It is left in the socket while its environment, which alone uses the connection,
    /// has no time to take it, unless a deadline has passed: then what is there is read.
    pub fn reads(&mut self, now: Instant) -> bool {
        let paused = self.too_much_coming(now);
        let State::Serving(serving) = &mut self.state else { return true };
        if paused.is_some() || serving.paused.is_some() {
            // It is we who are silent.
            serving.session.heard(now);
        }
        serving.paused = paused;
        serving.paused.is_none()
    }

    pub(super) fn too_much_coming(&mut self, now: Instant) -> Option<Blocked> {
        let State::Serving(serving) = &self.state else { return None };
        let (key, bytes) = serving.session.coming()?;
        let budget = self.calls.get(key).request.counted_by().filter(|budget| budget.is_over())?;
        let blocked = Blocked::new(budget);
        if !self.calls.has_one_environment() || self.is_past_deadline(now) {
            return None;
        }
        let goes_on = self.calls.get_mut(key).request.charge()?.coming(bytes);
        (!goes_on).then_some(blocked)
    }

    /// Leaves word to be woken when environments have taken what they have to take first; false when one has.
    pub fn register_waker(&mut self, cx: &Context<'_>) -> bool {
        let paused = match &self.state {
            State::Serving(serving) => serving.paused.as_ref(),
            _ => None,
        };
        self.blocked.iter().chain(paused).all(|blocked| blocked.register(cx))
    }
}
