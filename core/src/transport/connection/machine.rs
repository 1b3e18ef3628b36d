//! The connection to one server as a state machine without sockets, threads and clocks: it is told of calls, of bytes that
//! came, of connections made and lost, and of the time; it says which bytes are to be written, whether to connect, when it
//! wants to be told of the time again, and which calls are over.
//!
//! It answers each call by itself, gives up each by its own deadline, and after a lost connection sends again what was in
//! flight, in its old order, once the old connection is fenced off.

mod answers;
mod budget;
mod loss;
mod pings;
mod seen;
mod sending;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::attempts::OVERLAP;
use super::handshake::{Fences, Identity};
use super::reconnect::Reconnect;
use super::refusal::Gate;
use super::server_facts::ServerFacts;
use super::session::{Opening, Session};
use crate::config::Address;
use crate::error::StoreError;
use crate::moment::Moment;
use crate::store::server_features::ServerFeatures;
use crate::transport::backoff::Backoff;
use crate::transport::error::ConnectError;
use crate::transport::observed::Counts;
use crate::transport::ordered_calls::OrderedCalls;
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::{Finished, Request};
use crate::transport::result_budget::Blocked;

/// What does not change.
#[derive(Clone, Debug)]
pub struct Config {
    /// Deadline of a call.
    pub command_timeout: Duration,
    /// Whether calls come from a router, to which those go back that there is no connection for.
    pub is_routed: bool,
    /// The server, for errors.
    pub address: Address,
    /// How long after the connection was made the server is asked about itself, on an idle moment; `None` for never.
    pub asks_after: Option<Duration>,
    /// What it is taken to understand until it refuses something.
    pub features: ServerFeatures,
}

impl Config {
    /// How long a server that owes answers may be silent before another connection is made beside its own.
    fn silence(&self) -> Duration {
        (self.command_timeout / 2).clamp(Duration::from_millis(250), Duration::from_secs(5))
    }
}

/// Whether there is a connection.
enum State {
    /// One is being made.
    Connecting,
    /// One will be made at this moment.
    Pausing(Instant),
    /// The server refused the login. After this moment one will be made when there is something to send.
    Refused(Instant),
    /// This one is in use.
    Serving(Serving),
    /// There is nothing left to do.
    Over,
    /// The server turned out to be several shards: the calls have to be taken apart.
    Sharded,
}

struct Serving {
    session: Box<Session>,
    made_at: Instant,
    /// The silence after which another connection is made.
    silence: Duration,
    beside: Beside,
    /// Why the connection is given up as soon as what came over it has been read.
    replace: Option<ConnectError>,
    idle_since: Instant,
    /// Nothing is read while what comes is too much for the only environment that uses the connection.
    paused: Option<Blocked>,
}

/// Whether another connection is made because this one is silent. It is listened to meanwhile: a server that was busy for a
/// while answers over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    No,
    Connecting,
    Pausing(Instant),
}

/// What the server has told of itself.
enum About {
    /// It was not asked.
    Unasked,
    /// It was asked, and has told this so far.
    Asked(ServerFacts),
    /// That is all, and to be taken.
    Told(ServerFacts),
    /// It is not asked again.
    Over,
}

/// What a connection needs from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing but time and calls.
    Time,
    /// A connection.
    Connection,
    /// Its connection's bytes.
    Bytes,
    /// Its connection's bytes, and another connection.
    BytesAndConnection,
    /// Nothing any more.
    Over,
    /// Its calls have to be taken apart.
    Sharded,
}

/// The state machine. See the module.
pub struct Machine {
    config: Config,
    state: State,
    calls: OrderedCalls,
    gate: Option<Gate>,
    /// When what is parked goes on.
    release_at: Option<Instant>,
    features: ServerFeatures,
    /// Connections kept ending at a transaction, and whether the server has any is not known.
    doubts_multi: bool,
    /// Connections in a row that ended at a call that was one transaction with the reads it carried.
    isolation_losses: u32,
    /// A write was sent with its expiry behind it, as there are no transactions.
    expiries_apart: bool,
    /// Connections given up with bytes of ours on their way; the next connection kills them first.
    abandoned: Vec<Identity>,
    reconnect: Reconnect,
    connect_error: ConnectError,
    /// A connection was lost since that was asked last.
    has_lost: bool,
    /// No attempt to connect has ended, and none has reached the server.
    untried: bool,
    finished: Vec<Finished>,
    /// The last handle of the connection was dropped.
    closed: bool,
    /// When it is to be over, if somebody waits for that: until then, what may be on its way is fenced off.
    fence_until: Option<Instant>,
    /// That could not be done.
    unfenced: bool,
    /// Until when the connection is taken to be used by several stores.
    shared_until: Option<Instant>,
    /// What calls wait for besides.
    blocked: Vec<Blocked>,
    pings: pings::Pings,
    about: About,
    /// Keys are written that expire.
    expires: bool,
    /// What was counted and not taken.
    counts: Counts,
    /// What is tried again and was not told, with the pause.
    retries: Vec<(StoreError, Duration)>,
}

impl Machine {
    /// A machine that needs a connection.
    pub fn new(config: Config, backoff: Backoff) -> Self {
        Self {
            connect_error: ConnectError::connecting(&config.address),
            has_lost: false,
            state: State::Connecting,
            calls: OrderedCalls::default(),
            gate: None,
            release_at: None,
            features: config.features,
            doubts_multi: false,
            isolation_losses: 0,
            expiries_apart: false,
            abandoned: Vec::new(),
            reconnect: Reconnect::new(backoff),
            untried: true,
            finished: Vec::new(),
            closed: false,
            fence_until: None,
            unfenced: false,
            shared_until: None,
            blocked: Vec::new(),
            pings: pings::Pings::default(),
            about: About::Unasked,
            expires: false,
            counts: Counts::default(),
            retries: Vec::new(),
            config,
        }
    }

    /// A call came.
    pub fn call(&mut self, request: Request, deadline: Instant) {
        self.expires |= request.call.key_options.ttl.is_some();
        self.calls.insert(request, deadline);
    }

    /// The last handle was dropped: no calls come any more. `fence` is whether somebody waits until nothing that was given up
    /// can arrive any more.
    pub fn close(&mut self, fence: bool, now: Instant) {
        if !self.closed {
            self.closed = true;
            self.fence_until = fence.then(|| now + self.config.command_timeout);
            self.connect_now();
        }
    }

    /// Whether something that was given up may still arrive, now that it is over.
    pub fn is_unfenced(&self) -> bool {
        self.unfenced
    }

    /// What is needed from outside.
    pub fn need(&self) -> Need {
        match &self.state {
            State::Connecting => Need::Connection,
            State::Pausing(_) | State::Refused(_) => Need::Time,
            State::Serving(Serving { beside: Beside::Connecting, .. }) => Need::BytesAndConnection,
            State::Serving(_) => Need::Bytes,
            State::Over => Need::Over,
            State::Sharded => Need::Sharded,
        }
    }

    /// The connections that the next one has to end before anything is sent over it, the silent one in use included.
    pub fn to_fence(&self) -> Fences {
        let mut identities = self.abandoned.clone();
        let State::Serving(serving) = &self.state else { return Fences { identities, one_is_used: false } };
        identities.extend(serving.session.identity().filter(|_| serving.session.owes()));
        Fences { identities, one_is_used: true }
    }

    /// How long an attempt to connect may go without an answer of a server that took the connection, before it is joined by
    /// another one. Beside a connection in use the server is known to be silent, and has no use for more connections.
    pub fn patience(&self) -> Option<Duration> {
        match &self.state {
            State::Serving(_) => Some(self.config.silence()),
            _ => None,
        }
    }

    /// The calls that have no answer.
    pub fn calls(&self) -> impl Iterator<Item = &PendingCall> {
        self.calls.iter()
    }

    /// Whether any call is in flight.
    pub fn owes(&self) -> bool {
        matches!(&self.state, State::Serving(serving) if serving.session.owes())
    }

    /// Whether a call that comes now is the only one, and can be sent at once.
    pub fn is_idle(&self) -> bool {
        let State::Serving(Serving { session, beside: Beside::No, replace: None, paused: None, .. }) = &self.state
        else {
            return false;
        };
        !session.owes() && self.calls.is_empty()
    }

    /// A connection was made, and what had to be fenced off is.
    pub fn connected(&mut self, id: NonZeroU64, opening: Opening, now: Instant) {
        if let State::Serving(_) = self.state {
            // It was silent. Its identity was among those to fence.
            self.find_poison_call(None);
            self.end_session();
        }
        self.abandoned.clear();
        let silence = match opening {
            Opening::Greeted(_) => self.config.silence(),
            // It may be one of several addresses at which nobody answers.
            Opening::Pipelined(_) => self.config.silence().min(OVERLAP),
        };
        let serving = Serving {
            session: Box::new(Session::new(id, opening, now)),
            made_at: now,
            silence,
            beside: Beside::No,
            replace: None,
            idle_since: now,
            paused: None,
        };
        self.state = State::Serving(serving);
        if !self.config.is_routed {
            self.park_poison_candidates(now);
        }
        self.advance(now);
    }

    /// The server has taken a connection and not answered.
    pub fn reached(&mut self, no_answer: impl FnOnce() -> ConnectError) {
        if std::mem::take(&mut self.untried) {
            self.connect_error = no_answer();
        }
    }

    /// An attempt to connect failed. `others` are still under way.
    pub fn not_connected(&mut self, error: ConnectError, others: bool, now: Instant) {
        (self.connect_error, self.untried) = (error, false);
        if let State::Serving(serving) = &mut self.state {
            if !others && serving.beside == Beside::Connecting {
                let error = self.connect_error.error().clone();
                self.fail_pings(&error);
                let State::Serving(serving) = &mut self.state else { return };
                serving.beside = Beside::Pausing(now + self.reconnect.after_failure());
            }
            return;
        }
        let is_fatal = matches!(self.connect_error, ConnectError::Fatal(_));
        if let ConnectError::Fatal(error) = &self.connect_error {
            self.finished.extend(self.calls.take_unsent().into_iter().map(|pending| pending.fail(error.clone())));
        }
        self.hand_back_if_routed();
        let error = self.connect_error.error().clone();
        if is_fatal || !others {
            self.fail_pings(&error);
        }
        if is_fatal {
            self.state = State::Refused(now + self.reconnect.after_refusal());
        } else if !others {
            let at = now + self.reconnect.after_failure();
            self.state = State::Pausing(at);
            self.note_retry(&error, at, now);
        }
    }

    /// What the server understands, as far as is known.
    pub fn features(&self) -> ServerFeatures {
        self.features
    }

    /// Whether the next connection should find out whether the server has transactions.
    pub fn doubts_multi(&self) -> bool {
        self.doubts_multi && self.features.multi
    }

    /// A new connection has found out whether the server has transactions, if that was in doubt.
    pub fn knows_multi(&mut self, lacks_multi: bool) {
        (self.doubts_multi, self.isolation_losses) = (false, 0);
        if lacks_multi {
            self.features.lacks_multi(!self.config.is_routed);
        }
    }

    /// Whether a write has been sent since the last time whose expiry is a step of its own.
    pub fn takes_expiries_apart(&mut self) -> bool {
        std::mem::take(&mut self.expiries_apart)
    }

    /// Whether the connection in use carries a handshake that the server has not answered a word of.
    pub fn was_never_answered(&self) -> bool {
        matches!(&self.state, State::Serving(serving) if serving.session.awaits_handshake())
    }

    /// Something suggests that a connection can be made now.
    pub fn connect_now(&mut self) {
        if let State::Pausing(_) = self.state {
            self.state = State::Connecting;
        }
    }

    /// When the next attempt to connect is made, while there is no connection.
    pub fn connects_at(&self) -> Option<Instant> {
        match self.state {
            State::Pausing(at) => Some(at),
            _ => None,
        }
    }

    /// How many calls are in flight.
    pub fn calls_in_flight(&self) -> usize {
        match &self.state {
            State::Serving(serving) => serving.session.calls_in_flight(),
            _ => 0,
        }
    }

    /// The bytes that are to be written now.
    pub fn unwritten(&self) -> &[u8] {
        match &self.state {
            State::Serving(serving) => serving.session.unwritten(),
            _ => &[],
        }
    }

    /// So many of them have been written, from this moment on.
    pub fn wrote(&mut self, bytes: usize, at: Moment) {
        if let State::Serving(serving) = &mut self.state {
            serving.session.wrote(bytes, at);
            self.counts.bytes_written += bytes as u64;
        }
    }

    /// The server takes bytes again, after it had taken none for a while.
    pub fn drained(&mut self, now: Instant) {
        self.heard(now);
    }

    /// Time has passed: gives up what is past its deadline, goes on with what paused, and sends what may be sent.
    pub fn advance(&mut self, now: Instant) {
        self.expire(now);
        self.expire_pings(now);
        match &self.state {
            State::Connecting | State::Over | State::Sharded => {}
            State::Pausing(at) if *at <= now => self.state = State::Connecting,
            State::Refused(at) if *at <= now && (self.calls.has_unsent() || self.has_ping()) => {
                self.state = State::Connecting
            }
            State::Pausing(_) | State::Refused(_) => {}
            State::Serving(_) => self.serve(now),
        }
        if self.closed {
            match &self.state {
                // A router that closes a connection wants back what it has.
                State::Serving(_) if self.config.is_routed && !self.calls.is_empty() => self.abandon_session(),
                State::Serving(serving) if self.calls.has_unsent() || !serving.session.is_settled() => return,
                State::Over | State::Sharded => return,
                _ if !self.config.is_routed && !self.calls.is_empty() => return,
                _ => {}
            }
            self.hand_back_if_routed();
            if !self.fences(now) {
                self.state = State::Over;
            }
        }
    }

    /// When time matters next.
    pub fn next_moment(&mut self) -> Option<Instant> {
        let deadline = self.calls.earliest_deadline();
        let unsent = self.calls.has_unsent();
        let other = match &self.state {
            State::Pausing(at) => Some(*at),
            State::Refused(at) => Some(*at).filter(|_| unsent),
            State::Serving(serving) => {
                let silent_at = match serving.beside {
                    Beside::No if serving.paused.is_some() => None,
                    Beside::No => serving.session.silent_since().map(|since| since + serving.silence),
                    Beside::Connecting => None,
                    Beside::Pausing(at) => Some(at),
                };
                let named_at = serving.session.asks_name_at().filter(|_| unsent);
                let probes_at =
                    self.gate.as_ref().and_then(Gate::probes_at).filter(|_| unsent || !self.config.is_routed);
                let released_at = self.release_at.filter(|_| self.gate.is_none());
                // Nothing is sent over a silent connection.
                let sent_at = [named_at, probes_at, released_at].into_iter().flatten().min();
                silent_at.into_iter().chain(sent_at.filter(|_| serving.beside == Beside::No)).min()
            }
            State::Connecting | State::Over | State::Sharded => None,
        };
        deadline
            .into_iter()
            .chain(self.ping_deadline())
            .chain(self.asks_at())
            .chain(other)
            .chain(self.fence_until.filter(|_| self.calls.is_empty()))
            .min()
    }

    /// Whether a call in flight is past its deadline, or the server silent for too long: before that is believed, what its
    /// socket holds has to be read.
    pub fn is_overdue(&mut self, now: Instant) -> bool {
        let State::Serving(serving) = &self.state else { return false };
        let session = &serving.session;
        if !session.owes() {
            return self.has_overdue_ping(now);
        }
        let silent = serving.beside == Beside::No
            && serving.paused.is_none()
            && session.silent_since().is_some_and(|at| at + serving.silence <= now);
        silent || self.has_overdue_ping(now) || self.calls.earliest_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The calls that are over.
    pub fn finished(&mut self) -> &mut Vec<Finished> {
        &mut self.finished
    }

    /// All calls, for who takes them apart, and the number of the next one.
    pub fn take_calls(&mut self) -> (Vec<PendingCall>, u64) {
        (self.calls.take_unsent(), self.calls.next_sequence())
    }
}
