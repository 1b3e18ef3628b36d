//! What is done when bytes come: answers to their calls, and refusals to what waits.

use std::time::{Duration, Instant};

use super::loss::Abandon;
use super::{Beside, Machine, State};
use crate::error::StoreError;
use crate::error_texts::connections::REPLY_OF_ANOTHER_KIND;
use crate::store::server_features::{Refused, ServerFeatures};
use crate::store::{ErrorReply, Prefetch};
use crate::transport::connection::refusal::{Gate, Refusal, Scope, decide};
use crate::transport::connection::session::{Answered, Event};
use crate::transport::error::ConnectError;
use crate::transport::ordered_calls::CallKey;
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::Redirect;
use crate::transport::result_budget::SMALL;

/// The pause before a call is sent again that was refused for its execution alone.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

impl Machine {
    /// Bytes came.
    pub fn received(&mut self, mut bytes: &[u8], now: Instant) {
        self.heard(now);
        self.counts.bytes_read += bytes.len() as u64;
        while let State::Serving(serving) = &mut self.state {
            let calls = &self.calls;
            match serving.session.read(bytes, |key| &calls.get(key).request.call) {
                Ok(Event::Nothing) => break,
                Ok(Event::Answered(answered, used)) => {
                    bytes = &bytes[used..];
                    if self.answered(answered, now) == Trust::No {
                        let error = ConnectError::lost(REPLY_OF_ANOTHER_KIND);
                        self.lose(error, None, Abandon::Yes, now);
                        return;
                    }
                }
                Ok(Event::Named(used)) => {
                    bytes = &bytes[used..];
                    if let Err(error) = serving.session.learn_name(now) {
                        serving.replace = Some(error);
                    }
                }
                Ok(Event::Told(reply, used)) => {
                    bytes = &bytes[used..];
                    self.told(&reply);
                }
                Ok(Event::Ponged(reply, sent_at, used)) => {
                    bytes = &bytes[used..];
                    self.ponged(&reply, sent_at, now);
                }
                Err(violation) => {
                    let error = ConnectError::lost(&violation.to_string());
                    self.lose(error, Some(violation), Abandon::Yes, now);
                    return;
                }
            }
        }
        self.count_coming(now);
        if let State::Serving(serving) = &mut self.state
            && let Some(error) = serving.replace.clone()
        {
            self.lose(error, None, Abandon::Yes, now);
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        if let State::Serving(serving) = &mut self.state {
            serving.session.heard(now);
            (serving.beside, serving.silence) = (Beside::No, self.config.silence());
            serving.idle_since = now;
        }
    }

    /// A call was answered. Returns whether the replies behind it can be those to the calls behind it.
    pub(super) fn answered(&mut self, answered: Answered, now: Instant) -> Trust {
        let Answered { key, position, features, bytes, .. } = answered;
        if self.calls.is_overtaken(key) {
            self.calls.get_mut(key).request.charge = None;
            return self.answered_out_of_turn(key, features, now);
        }
        if answered.dropped || bytes > SMALL && !self.charge(key, bytes, now) {
            self.put_back(key, bytes, answered.dropped);
            return Trust::Yes;
        }
        let State::Serving(serving) = &mut self.state else { return Trust::No };
        let error_reply = match serving.session.reply_to(&self.calls.get(key).request.call) {
            Ok(reply) => {
                self.open_gate(key);
                let pending = self.calls.finish(key);
                if pending.request.call.is_isolated(features) {
                    self.isolation_losses = 0;
                }
                self.finished.push(pending.finish(Ok(reply)).at(Some(position)));
                return Trust::Yes;
            }
            Err(error_reply) => error_reply,
        };
        let trust = if error_reply.is_unexpected() { Trust::No } else { Trust::Yes };
        let refused = Refused { error_reply, at_first: serving.session.has_refused_first(), sent_with: features };
        let is_unread = serving.session.has_refused_isolation();
        let refusal = judge(self.calls.get_mut(key), refused, is_unread, &mut self.features);
        match refusal.concerns_others() {
            Some((error, scope)) => self.close_gate(key, error, scope, now),
            None => self.open_gate(key),
        }
        let State::Serving(serving) = &mut self.state else { return Trust::No };
        match refusal {
            Refusal::Report(error) => {
                let mut pending = self.calls.finish(key);
                if serving.session.has_done_part_of(&pending.request.call) {
                    pending.request.delivery.partly_done();
                }
                self.finished.push(pending.refuse(error));
            }
            Refusal::HandBack(redirect, error, scope) => {
                let pending = self.calls.finish(key);
                self.finished.push(pending.hand_back(redirect, error.clone()));
                if scope.is_some() {
                    // So that they all go on together, in their order, wherever that is.
                    let others = self.calls.take_unsent().into_iter();
                    self.finished.extend(others.map(|pending| pending.hand_back(Redirect::Later, error.clone())));
                }
            }
            Refusal::Reshape => {
                // Without MULTI, what stands behind it is carried out.
                let pending = self.calls.get_mut(key);
                if serving.session.has_done_part_of(&pending.request.call) {
                    pending.request.delivery.partly_done();
                }
                self.park_until(key, now);
            }
            Refusal::Retry(error, scope) => self.retry(key, error, scope, now),
            Refusal::Reconnect(error, scope) => {
                serving.replace = Some(ConnectError::Transient(error.clone()));
                self.retry(key, error, scope, now);
            }
        }
        trust
    }

    /// A call was answered that goes on behind what it overtook.
    pub(super) fn answered_out_of_turn(&mut self, key: CallKey, features: ServerFeatures, now: Instant) -> Trust {
        let State::Serving(serving) = &mut self.state else { return Trust::No };
        let error_reply = serving.session.reply_to(&self.calls.get(key).request.call).err();
        let is_unexpected = error_reply.as_ref().is_some_and(ErrorReply::is_unexpected);
        let at_first = serving.session.has_refused_first();
        let is_unread = serving.session.has_refused_isolation();
        let refusal = error_reply.map(|error_reply| {
            let refused = Refused { error_reply, at_first, sent_with: features };
            judge(self.calls.get_mut(key), refused, is_unread, &mut self.features)
        });
        if refusal.is_some() {
            self.calls.get_mut(key).request.call.drop_prefetch();
        }
        let delivery = &mut self.calls.get_mut(key).request.delivery;
        match &refusal {
            None | Some(Refusal::Report(_)) => delivery.repeated(),
            Some(_) => delivery.postponed(),
        }
        self.calls.park(key);
        match (&mut self.gate, refusal) {
            (_, None) => self.open_gate(key),
            (Some(gate), Some(refusal)) => match refusal.concerns_others() {
                Some((error, scope)) => gate.refused(key, error.clone(), scope, now),
                None => gate.gave_up(key, now),
            },
            (None, Some(_)) => {}
        }
        if is_unexpected { Trust::No } else { Trust::Yes }
    }

    pub(super) fn park_until(&mut self, key: CallKey, moment: Instant) {
        self.calls.get_mut(key).request.delivery.postponed();
        self.calls.park(key);
        self.release_at = Some(self.release_at.map_or(moment, |earlier| earlier.min(moment)));
    }

    /// A call was refused for now.
    pub(super) fn retry(&mut self, key: CallKey, error: StoreError, scope: Scope, now: Instant) {
        self.calls.get_mut(key).error_reply = Some(Box::new(error));
        if scope == Scope::Execution {
            let at = now + REFUSED_PAUSE;
            let error = self.calls.get(key).error_reply.clone();
            error.iter().for_each(|error| self.note_retry(error, at, now));
            return self.park_until(key, at);
        }
        self.calls.get_mut(key).request.delivery.postponed();
        self.calls.park(key);
    }

    /// The server refuses more than one call.
    pub(super) fn close_gate(&mut self, key: CallKey, error: &StoreError, scope: Scope, now: Instant) {
        let paused_until = self.gate.as_ref().and_then(Gate::probes_at);
        let gate = match &mut self.gate {
            Some(gate) => {
                gate.refused(key, error.clone(), scope, now);
                gate
            }
            None => self.gate.insert(Gate::new(error.clone(), scope, now)),
        };
        if let Some(at) = gate.probes_at().filter(|at| Some(*at) != paused_until) {
            self.note_retry(error, at, now);
        }
    }

    /// The server has carried out a call, or refused it for good.
    pub(super) fn open_gate(&mut self, key: CallKey) {
        let pending = self.calls.get(key);
        if self.gate.as_ref().is_some_and(|gate| gate.concerns(pending)) {
            (self.gate, self.release_at) = (None, None);
            self.calls.release();
        }
    }
}

/// Whether a call carries the names of tasks.
/// What becomes of a call that was refused. What the server may have refused beside it is left out first: `is_unread` is whether
/// that was a read that it carried, or the transaction for the sake of those reads.
fn judge(pending: &mut PendingCall, refused: Refused, is_unread: bool, features: &mut ServerFeatures) -> Refusal {
    let call = &pending.request.call;
    if is_unread && features.learn_isolation(refused.sent_with, call.prefetch == Prefetch::Tasks) {
        return Refusal::Reshape;
    }
    if call.is_isolated(refused.sent_with) && concerns_transactions(pending, &refused.error_reply) {
        pending.request.call.drop_prefetch();
        return Refusal::Reshape;
    }
    decide(pending, refused, features)
}

/// Whether a call that is one transaction with the reads that it carries may have been refused because of that: a server without
/// memory left takes reads, but not in a transaction, and one whose slots move does not find all keys of several commands.
fn concerns_transactions(pending: &PendingCall, error_reply: &ErrorReply) -> bool {
    match error_reply.code.as_str() {
        "TRYAGAIN" => true,
        "OOM" => !pending.request.call.operation.writes(),
        _ => false,
    }
}

/// Whether replies can be taken for those to the calls that they seem to be for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Yes,
    No,
}
