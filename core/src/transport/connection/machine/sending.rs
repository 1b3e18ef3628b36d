//! What is sent when, and what is given up.

use std::time::{Duration, Instant};

use super::{Beside, Machine, State};
use crate::transport::error::ConnectError;
use crate::transport::ordered_calls::{Admission, Place};
use crate::transport::pending_calls::PendingCall;
use crate::transport::result_budget::Blocked;

/// How long a connection is taken to be used by several stores that once was: one that asks one question after the other
/// mostly has none in flight.
const SHARED: Duration = Duration::from_secs(1);
/// A connection without traffic for so long may have been forgotten by something on the way.
const IDLE: Duration = Duration::from_secs(30);
/// How long the answer to the first call over such a connection may take before another connection is made beside it.
const IDLE_SILENCE: Duration = Duration::from_millis(500);

impl Machine {
    pub(super) fn serve(&mut self, now: Instant) {
        if self.blocked.iter().any(Blocked::has_changed) {
            self.blocked.clear();
            self.calls.release_held();
        }
        let State::Serving(serving) = &mut self.state else { return };
        let session = &mut serving.session;
        if let Some(since) = session.silent_since() {
            match serving.beside {
                Beside::No if since + serving.silence <= now && serving.paused.is_none() => {
                    serving.beside = Beside::Connecting;
                    self.connect_error = ConnectError::unresponsive(&self.config.address);
                }
                Beside::Pausing(at) if at <= now => serving.beside = Beside::Connecting,
                _ => {}
            }
        }
        if serving.beside != Beside::No {
            // What is not sent is certainly not applied.
            return;
        }
        self.send_pings(now);
        self.ask_about_server(now);
        let State::Serving(serving) = &mut self.state else { return };
        let session = &mut serving.session;
        if !self.features.cross_slot && !self.config.is_routed {
            // What is in flight is awaited; then the calls are taken apart.
            if !session.owes() {
                self.end_session();
                self.state = State::Sharded;
            }
            return;
        }
        if self.calls.has_unsent() {
            session.ask_name(now);
        }
        let names_missing = !session.takes_writes();
        match (&mut self.gate, self.release_at) {
            (Some(gate), _) => {
                // A router that holds what was refused sends it again after a while.
                let may_probe = !self.config.is_routed || self.calls.has_unsent();
                if may_probe && gate.probes_at().is_some_and(|at| at <= now) {
                    let waits = |pending: &PendingCall| names_missing && pending.request.call.operation.writes();
                    match self.calls.take_first(|pending| gate.concerns(pending), waits) {
                        Some(key) => {
                            gate.probe(key);
                            self.expiries_apart |=
                                !self.features.multi && self.calls.get(key).request.call.expires_apart();
                            let number = session.send(key, self.calls.get(key), self.features, now);
                            let attempts = self.calls.sent(key, number, now);
                            self.counts.note_sent(attempts);
                        }
                        // What it refused was given up; so nobody knows whether it still would.
                        None if !names_missing => {
                            (self.gate, self.release_at) = (None, None);
                            self.calls.release();
                        }
                        None => gate.wait(now),
                    }
                }
            }
            (None, Some(at)) if at > now => {}
            (None, Some(_)) => {
                self.release_at = None;
                self.calls.release();
            }
            (None, None) if !names_missing => self.calls.release(),
            (None, None) => {}
        }
        if self.calls.has_several_stores() {
            self.shared_until = Some(now + SHARED);
        }
        let is_shared = self.shared_until.is_some_and(|until| now < until);
        let (gate, blocked) = (&self.gate, &mut self.blocked);
        let mut admit = |pending: &PendingCall| {
            if names_missing && pending.request.call.operation.writes() {
                return Admission::Park;
            }
            match gate.as_ref().map_or(Admission::Send, |gate| gate.admits(pending)) {
                Admission::Send if Blocked::admits(blocked, &pending.request) => Admission::Send,
                Admission::Send => Admission::Hold,
                other => other,
            }
        };
        while session.has_room(is_shared)
            && let Some(key) = self.calls.next(&mut admit)
        {
            if !session.owes() && now.saturating_duration_since(serving.idle_since) >= IDLE {
                serving.silence = IDLE_SILENCE.min(serving.silence);
            }
            serving.idle_since = now;
            if let Some(charge) = &mut self.calls.get_mut(key).request.charge {
                charge.reserve();
            }
            let pending = self.calls.get(key);
            self.expiries_apart |= !self.features.multi && pending.request.call.expires_apart();
            let number = session.send(key, pending, self.features, now);
            let attempts = self.calls.sent(key, number, now);
            self.counts.note_sent(attempts);
        }
    }

    /// Gives up what is past its deadline, wherever it is.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((key, pending, place)) = self.calls.expire(now) {
            if let Some(gate) = &mut self.gate {
                gate.gave_up(key, now);
            }
            let (mut reason, mut in_flight) = (None, false);
            let waiting = pending.request.budget().filter(|budget| budget.is_over()).map(|budget| budget.why_waiting());
            match (&mut self.state, place) {
                (State::Serving(serving), Place::InFlight(number)) => {
                    serving.session.give_up(number);
                    in_flight = true;
                }
                (State::Serving(serving), _) => reason = serving.session.why_nameless().map(ConnectError::error),
                _ => reason = Some(self.connect_error.error()),
            }
            reason = reason.or(waiting.as_ref());
            if !in_flight && let Some(gate) = &self.gate {
                reason = Some(gate.error());
            }
            let finished = pending.expire(self.config.command_timeout, reason);
            self.finished.push(finished);
        }
    }
}
