//! The end of a connection: what may still be on its way, what may have ended it, and where its calls go.

use std::time::Instant;

use super::{Beside, Machine, Serving, State};
use crate::store::operation::Operation;
use crate::transport::error::ConnectError;
use crate::transport::ordered_calls::{CallKey, Place};
use crate::transport::protocol::violation::ProtocolViolation;
use crate::transport::request::Redirect;
use crate::transport::retry_policy::{closing_error, ends_connections, poison_pause, refuses_connection};

/// Abandoned connections to remember. Older ones have had their time to be reset by the peer.
const MAX_ABANDONED: usize = 16;

impl Machine {
    /// The connection in use ended. `done_with` is whether the server has read everything that it will ever read of it.
    pub fn disconnected(&mut self, error: ConnectError, done_with: bool, now: Instant) {
        self.lose(error, None, if done_with { Abandon::No } else { Abandon::Yes }, now);
    }

    /// The connection is not to be used any longer.
    pub fn replace(&mut self, error: ConnectError, now: Instant) {
        self.lose(error, None, Abandon::Yes, now);
    }

    /// Whether something is on its way that was given up, and there is time to make a connection that ends the one it was sent
    /// over.
    pub(super) fn fences(&mut self, now: Instant) -> bool {
        let Some(until) = self.fence_until else { return false };
        match &self.state {
            State::Serving(serving) if serving.session.owes_given_up_write() => self.abandon_session(),
            State::Serving(_) => return false,
            _ => {}
        }
        // A server that refuses the login will not do so for others' sake.
        let is_over = until <= now || matches!(self.state, State::Refused(_));
        self.unfenced = is_over && !self.abandoned.is_empty();
        !is_over && !self.abandoned.is_empty()
    }

    /// Ends the use of a connection over which something may be on its way.
    pub(super) fn abandon_session(&mut self) {
        if let State::Serving(serving) = &self.state {
            self.abandoned.extend(serving.session.identity().filter(|_| serving.session.owes()));
        }
        self.end_session();
    }

    pub(super) fn lose(
        &mut self,
        error: ConnectError,
        violation: Option<ProtocolViolation>,
        abandon: Abandon,
        now: Instant,
    ) {
        let State::Serving(serving) = &self.state else { return };
        let error = match serving.session.last_words() {
            Some(words) if refuses_connection(&words) => ConnectError::handshake(words),
            _ if serving.session.has_heard_nothing() && violation.is_none() && serving.beside == Beside::No => {
                ConnectError::hung_up(&self.config.address, error.error().cause.clone())
            }
            _ => error,
        };
        let owes = serving.session.owes();
        // A server that refuses what it is there for has not answered.
        let refused_us = serving.replace.is_some();
        let answered = serving.session.has_answered() && !refused_us;
        let (was_silent, made_at) = (serving.beside != Beside::No, serving.made_at);
        let identity = serving.session.identity().filter(|_| owes && abandon == Abandon::Yes);
        self.find_poison_call(violation);
        let gate = self.gate.take().filter(|_| refused_us);
        self.end_session();
        self.gate = gate.map(|gate| gate.of_next_connection(now));
        self.abandoned.extend(identity);
        let surplus = self.abandoned.len().saturating_sub(MAX_ABANDONED);
        self.abandoned.drain(..surplus);
        // That it was silent says more than how it ended then.
        if !was_silent || matches!(error, ConnectError::Fatal(_)) {
            self.connect_error = error;
        }
        self.has_lost = true;
        self.hand_back_if_routed();
        self.state = match &self.connect_error {
            ConnectError::Fatal(error) => {
                let error = error.clone();
                self.finished.extend(self.calls.take_unsent().into_iter().map(|pending| pending.fail(error.clone())));
                self.fail_pings(&error);
                State::Refused(now + self.reconnect.after_refusal())
            }
            ConnectError::Transient(_) => State::Pausing(now + self.reconnect.after_connection(answered, made_at, now)),
        };
    }

    /// Ends the use of a connection: what has no answer waits again.
    pub(super) fn end_session(&mut self) {
        self.state = State::Connecting;
        (self.gate, self.release_at) = (None, None);
        self.blocked.clear();
        self.calls.requeue();
        self.requeue_pings();
        self.forget_question();
    }

    /// Looks for what may have ended the connection, and would do so again and again and let no other call through: the call
    /// that the server refused or answered with too much is over, and one that it did not answer is noted.
    pub(super) fn find_poison_call(&mut self, violation: Option<ProtocolViolation>) {
        let State::Serving(Serving { session, .. }) = &self.state else { return };
        let next = session.next_call();
        let closing = session.last_error().and_then(|(key, error)| Some((key, closing_error(error)?)));
        if let Some(key) = next.filter(|_| violation == Some(ProtocolViolation::TooLarge)) {
            if !self.drop_prefetch(key) {
                let pending = self.calls.finish(key);
                self.finished.push(pending.fail_too_large());
            }
        } else if let Some((key, error)) = closing {
            if !self.drop_prefetch(key) {
                let pending = self.calls.finish(key);
                self.finished.push(pending.refuse(error));
            }
        } else if let Some(key) = next {
            let pending = self.calls.get_mut(key);
            pending.losses += 1;
            if pending.request.call.is_isolated(self.features) {
                // Without what it carries it is no transaction any more: the losses of several calls count.
                self.isolation_losses += 1;
                self.doubts_multi |= poison_pause(self.isolation_losses).is_some();
            }
            if poison_pause(pending.losses).is_some() {
                // Some proxies hang up at commands that they do not know.
                let call = &pending.request.call;
                self.features.unlink &= call.operation != Operation::Dispose;
                self.doubts_multi |= call.is_transaction(self.features);
            }
            // It may have been what it carried.
            self.drop_prefetch(key);
        }
    }

    /// Takes away from a call the reads that it carries. Returns whether there were any.
    pub(super) fn drop_prefetch(&mut self, key: CallKey) -> bool {
        self.calls.get_mut(key).request.call.drop_prefetch()
    }

    /// For a new connection: parks what may have ended the last ones, so that other executions go first.
    pub(super) fn park_poison_candidates(&mut self, now: Instant) {
        let mut longest = None;
        for pending in self.calls.waiting() {
            longest = longest.max(poison_pause(pending.losses));
        }
        if let Some(pause) = longest {
            self.calls.park_waiting(
                |pending| poison_pause(pending.losses).is_some(),
                |pending| {
                    let error = ends_connections(pending.losses, pending.request.call.size());
                    pending.error_reply = Some(Box::new(error));
                },
            );
            self.release_at = Some(now + pause);
        }
    }

    /// A router wants back what it has sent for these slots: the server is silent, and another one has them by now. What was sent
    /// may still be carried out; its replies are not waited for.
    pub fn recall(&mut self, slots: &[u16], now: Instant) {
        let error = ConnectError::unresponsive(&self.config.address);
        for (key, mut pending, place) in self.calls.recall(slots) {
            if let Some(gate) = &mut self.gate {
                gate.gave_up(key, now);
            }
            if let (State::Serving(serving), Place::InFlight(number)) = (&mut self.state, place) {
                serving.session.give_up(number);
                pending.request.delivery.lost();
            }
            pending.request.charge = None;
            self.finished.push(pending.hand_back(Redirect::Lost, error.error().clone()));
        }
    }

    /// Returns everything that was not sent to whoever routes it: there may be another server for it by now.
    pub(super) fn hand_back_if_routed(&mut self) {
        if self.config.is_routed {
            let error = self.connect_error.error().clone();
            let all = self.calls.take_unsent().into_iter();
            self.finished.extend(all.map(|pending| pending.hand_back(Redirect::Lost, error.clone())));
        }
    }
}

/// Whether a lost connection may have bytes of ours on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Abandon {
    Yes,
    No,
}
