//! What is done about a call that the server refused, and about everything else when a server refuses for now: it is asked
//! again with one call, after pauses that grow.

use std::time::{Duration, Instant};

use crate::error::StoreError;
use crate::store::server_features::{Refused, ServerFeatures};
use crate::transport::ordered_calls::{Admission, CallKey};
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::Redirect;
use crate::transport::retry_policy::{RetryDecision, refused, retry_decision};

/// What is done about a call that the server refused.
#[derive(Debug)]
pub enum Refusal {
    /// It is over.
    Report(StoreError),
    /// It goes back to whoever routes it. With a scope, the server will refuse others as well.
    HandBack(Redirect, StoreError, Option<Scope>),
    /// It is sent again in another form, which the server takes.
    Reshape,
    /// It is sent again later over this connection.
    Retry(StoreError, Scope),
    /// It is sent again over a new connection.
    Reconnect(StoreError, Scope),
}

impl Refusal {
    /// What the server said, and which calls that concerns, if it refuses more than the one.
    pub fn concerns_others(&self) -> Option<(&StoreError, Scope)> {
        let (error, scope) = match self {
            Refusal::Retry(error, scope) | Refusal::Reconnect(error, scope) => (error, *scope),
            Refusal::HandBack(_, error, Some(scope)) => (error, *scope),
            Refusal::HandBack(_, _, None) | Refusal::Report(_) | Refusal::Reshape => return None,
        };
        (scope != Scope::Execution).then_some((error, scope))
    }
}

/// Which calls a refusal concerns besides the refused one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// None but those for the same execution.
    Execution,
    /// All that write.
    Writes,
    /// All.
    Everything,
}

impl Scope {
    /// That of a code.
    pub fn of(code: &str) -> Self {
        match code {
            "NOREPLICAS" | "READONLY" => Scope::Writes,
            "TRYAGAIN" => Scope::Execution,
            _ => Scope::Everything,
        }
    }

    fn concerns(self, pending: &PendingCall) -> bool {
        match self {
            Scope::Execution => false,
            Scope::Writes => pending.request.call.operation.writes(),
            Scope::Everything => true,
        }
    }
}

/// Decides what is done about a refused call, and learns from it what the server takes.
pub fn decide(pending: &PendingCall, refused_call: Refused, features: &mut ServerFeatures) -> Refusal {
    let (call, route) = (&pending.request.call, &pending.request.route);
    if retry_decision(&refused_call.error_reply) == RetryDecision::Report
        && features.learn(&refused_call, call, route.is_none())
    {
        return Refusal::Reshape;
    }
    let error_reply = refused_call.error_reply;
    let code = error_reply.code.as_str();
    if route.as_ref().is_some_and(|route| !route.sharded) {
        let redirect = match code {
            "MOVED" | "ASK" => Some(Redirect::Elsewhere { ask: code == "ASK", detail: error_reply.detail.clone() }),
            "TRYAGAIN" | "CLUSTERDOWN" | "READONLY" | "MASTERDOWN" => Some(Redirect::Later),
            _ => None,
        };
        if let Some(redirect) = redirect {
            // That no node serves a slot says nothing about the other slots.
            let all = match code {
                "CLUSTERDOWN" => error_reply.detail.starts_with("The cluster is down"),
                "READONLY" | "MASTERDOWN" => true,
                _ => false,
            };
            return Refusal::HandBack(redirect, refused(error_reply), all.then_some(Scope::Everything));
        }
    }
    let scope = Scope::of(code);
    match retry_decision(&error_reply) {
        RetryDecision::Report => Refusal::Report(refused(error_reply)),
        RetryDecision::Retry => Refusal::Retry(refused(error_reply), scope),
        RetryDecision::Reconnect => Refusal::Reconnect(refused(error_reply), scope),
    }
}

/// Keeps calls from a server that refuses for now. One call at a time finds out whether it still does.
#[derive(Debug)]
pub struct Gate {
    scope: Scope,
    /// What the server said last.
    error: StoreError,
    refusals: u32,
    state: GateState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GateState {
    /// Nothing is sent before this moment.
    Pausing(Instant),
    /// This call was sent.
    Probing(CallKey),
}

impl Gate {
    /// The first pause. It doubles.
    const FIRST: Duration = Duration::from_millis(50);
    /// The longest, which is also how late a server may be noticed that takes calls again.
    const LONGEST: Duration = Duration::from_millis(500);

    /// The server has refused.
    pub fn new(error: StoreError, scope: Scope, now: Instant) -> Self {
        Self { scope, error, refusals: 1, state: GateState::Pausing(now + Self::FIRST) }
    }

    /// What the server said.
    pub fn error(&self) -> &StoreError {
        &self.error
    }

    /// Whether a call may be sent.
    pub fn admits(&self, pending: &PendingCall) -> Admission {
        match self.scope {
            Scope::Everything => Admission::Stop,
            scope if scope.concerns(pending) => Admission::Park,
            _ => Admission::Send,
        }
    }

    /// Whether a call would find out whether the server still refuses.
    pub fn concerns(&self, pending: &PendingCall) -> bool {
        self.scope.concerns(pending)
    }

    /// When the next call is to be sent that finds out.
    pub fn probes_at(&self) -> Option<Instant> {
        match self.state {
            GateState::Pausing(at) => Some(at),
            GateState::Probing(_) => None,
        }
    }

    /// This call was sent to find out.
    pub fn probe(&mut self, key: CallKey) {
        self.state = GateState::Probing(key);
    }

    /// There is no call that could be sent to find out.
    pub fn wait(&mut self, now: Instant) {
        self.state = GateState::Pausing(now + Self::FIRST);
    }

    /// The server has refused another call, perhaps the one that was to find out.
    pub fn refused(&mut self, key: CallKey, error: StoreError, scope: Scope, now: Instant) {
        self.error = error;
        if scope == Scope::Everything {
            self.scope = scope;
        }
        if self.state == GateState::Probing(key) {
            self.refusals = self.refusals.saturating_add(1);
            let pause = Self::FIRST.saturating_mul(1 << (self.refusals - 1).min(8)).min(Self::LONGEST);
            self.state = GateState::Pausing(now + pause);
        }
    }

    /// The connection ended because of the refusal: the next one begins as this one ended.
    pub fn of_next_connection(mut self, now: Instant) -> Self {
        if let GateState::Probing(_) = self.state {
            self.state = GateState::Pausing(now);
        }
        self
    }

    /// The call that was to find out was given up.
    pub fn gave_up(&mut self, key: CallKey, now: Instant) {
        if self.state == GateState::Probing(key) {
            self.state = GateState::Pausing(now);
        }
    }
}
