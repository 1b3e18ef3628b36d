//! Pings, over the connection that calls use: sent when there is one, answered at once where it is known that there is none.

use std::collections::VecDeque;
use std::time::Instant;

use redis::Value;

use super::{Machine, State};
use crate::error::StoreError;
use crate::store::ErrorReply;
use crate::transport::error::ConnectError;
use crate::transport::ping::Ping;
use crate::transport::retry_policy::refused;

/// The pings of a connection. Who asks limits their number.
#[derive(Default)]
pub struct Pings {
    /// To be sent.
    waiting: Vec<Ping>,
    /// Sent, in the order of their replies; `None` is one that was given up.
    sent: VecDeque<Option<Ping>>,
    /// The last attempt to connect failed, and none is under way.
    hopeless: bool,
}

impl Machine {
    /// Somebody asks whether the server is there.
    pub fn ping(&mut self, ping: Ping, now: Instant) {
        match self.state {
            State::Pausing(_) if self.pings.hopeless => ping.answer(Err(self.connect_error.error().clone())),
            State::Refused(at) if at > now => ping.answer(Err(self.connect_error.error().clone())),
            _ => self.pings.waiting.push(ping),
        }
    }

    /// Whether there is a ping to be sent.
    pub(super) fn has_ping(&self) -> bool {
        !self.pings.waiting.is_empty()
    }

    /// When the first ping is given up.
    pub(super) fn ping_deadline(&self) -> Option<Instant> {
        self.pings.waiting.iter().chain(self.pings.sent.iter().flatten()).map(|ping| ping.deadline).min()
    }

    /// Whether a ping that was sent is past its deadline.
    pub(super) fn has_overdue_ping(&self, now: Instant) -> bool {
        self.pings.sent.iter().flatten().any(|ping| ping.deadline <= now)
    }

    /// Sends the pings that wait.
    pub(super) fn send_pings(&mut self, now: Instant) {
        let State::Serving(serving) = &mut self.state else { return };
        for ping in self.pings.waiting.drain(..) {
            serving.session.ping(now);
            self.pings.sent.push_back(Some(ping));
        }
    }

    /// The first ping was answered.
    pub(super) fn ponged(&mut self, reply: &Value, sent_at: Instant, now: Instant) {
        let Some(Some(ping)) = self.pings.sent.pop_front() else { return };
        ping.answer(match reply {
            Value::ServerError(error) => match ErrorReply::new(error) {
                // Who may not ask has been answered all the same.
                error_reply if error_reply.code == "NOPERM" => Ok(now.saturating_duration_since(sent_at)),
                error_reply => Err(refused(error_reply)),
            },
            _ => Ok(now.saturating_duration_since(sent_at)),
        });
    }

    /// The connection ended: what has no answer is asked over the next one.
    pub(super) fn requeue_pings(&mut self) {
        self.pings.waiting.extend(self.pings.sent.drain(..).flatten());
        self.pings.hopeless = false;
    }

    /// There is no connection.
    pub(super) fn fail_pings(&mut self, error: &StoreError) {
        self.pings.hopeless = true;
        for ping in self.pings.waiting.drain(..) {
            ping.answer(Err(error.clone()));
        }
    }

    /// Gives up the pings that are past their deadline.
    pub(super) fn expire_pings(&mut self, now: Instant) {
        if self.ping_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let reason = match &self.state {
            State::Serving(serving) => serving.session.why_nameless().map(ConnectError::error),
            _ => Some(self.connect_error.error()),
        };
        let is_over = |ping: &Ping| ping.deadline <= now;
        let waiting = self.pings.waiting.extract_if(.., |ping| is_over(ping));
        let sent = self.pings.sent.iter_mut().filter_map(|ping| ping.take_if(|ping| is_over(ping)));
        for ping in waiting.chain(sent) {
            ping.expire(reason);
        }
    }
}
