//! The connection to one server as a state machine without sockets, threads and clocks: it is told of calls, of bytes that
//! came, of connections made and lost, and of the time; it says which bytes are to be written, whether to connect, when it
//! wants to be told of the time again, and which calls are over.
//!
//! It answers each call by itself, gives up each by its own deadline, and after a lost connection sends again what was in
//! flight, in its old order, once the old connection is fenced off.

use std::num::NonZeroU64;
use std::task::Context;
use std::time::{Duration, Instant};

use super::handshake::{Fences, Identity};
use super::reconnect::Reconnect;
use super::refusal::{Gate, Refusal, Scope, decide};
use super::session::{Answered, Event, Opening, Session};
use crate::config::Address;
use crate::error::StoreError;
use crate::error_texts::connections::REPLY_OF_ANOTHER_KIND;
use crate::store::ErrorReply;
use crate::store::server_features::ServerFeatures;
use crate::transport::backoff::Backoff;
use crate::transport::error::ConnectError;
use crate::transport::ordered_calls::{Admission, CallKey, OrderedCalls, Place};
use crate::transport::pending_calls::PendingCall;
use crate::transport::protocol::violation::ProtocolViolation;
use crate::transport::request::{Finished, Redirect, Request};
use crate::transport::result_budget::{Blocked, SMALL};
use crate::transport::retry_policy::{closing_error, ends_connections, poison_pause};

/// The pause before a call is sent again that was refused for its execution alone.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection is taken to be used by several stores that once was: one that asks one question after the other
/// mostly has none in flight.
const SHARED: Duration = Duration::from_secs(1);
/// Abandoned connections to remember. Older ones have had their time to be reset by the peer.
const MAX_ABANDONED: usize = 16;
/// A connection without traffic for so long may have been forgotten by something on the way.
const IDLE: Duration = Duration::from_secs(30);
/// How long the answer to the first call over such a connection may take before another connection is made beside it.
const IDLE_SILENCE: Duration = Duration::from_millis(500);

/// What does not change.
#[derive(Clone, Debug)]
pub struct Config {
    /// Deadline of a call.
    pub command_timeout: Duration,
    /// Whether calls come from a router, to which those go back that there is no connection for.
    pub is_routed: bool,
    /// The server, for errors.
    pub address: Address,
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
    /// Connections given up with bytes of ours on their way; the next connection kills them first.
    abandoned: Vec<Identity>,
    reconnect: Reconnect,
    connect_error: ConnectError,
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
}

impl Machine {
    /// A machine that needs a connection.
    pub fn new(config: Config, backoff: Backoff) -> Self {
        Self {
            connect_error: ConnectError::connecting(&config.address),
            config,
            state: State::Connecting,
            calls: OrderedCalls::default(),
            gate: None,
            release_at: None,
            features: ServerFeatures::default(),
            abandoned: Vec::new(),
            reconnect: Reconnect::new(backoff),
            finished: Vec::new(),
            closed: false,
            fence_until: None,
            unfenced: false,
            shared_until: None,
            blocked: Vec::new(),
        }
    }

    /// A call came.
    pub fn call(&mut self, request: Request, deadline: Instant) {
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

    /// A connection was made, and what had to be fenced off is.
    pub fn connected(&mut self, id: NonZeroU64, opening: Opening, now: Instant) {
        if let State::Serving(_) = self.state {
            // It was silent. Its identity was among those to fence.
            self.find_poison_call(None);
            self.end_session();
        }
        self.abandoned.clear();
        let serving = Serving {
            session: Box::new(Session::new(id, opening, now)),
            made_at: now,
            silence: self.config.silence(),
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

    /// An attempt to connect failed. `others` are still under way.
    pub fn not_connected(&mut self, error: ConnectError, others: bool, now: Instant) {
        self.connect_error = error;
        if let State::Serving(serving) = &mut self.state {
            if !others && serving.beside == Beside::Connecting {
                serving.beside = Beside::Pausing(now + self.reconnect.after_failure());
            }
            return;
        }
        let is_fatal = matches!(self.connect_error, ConnectError::Fatal(_));
        if let ConnectError::Fatal(error) = &self.connect_error {
            self.finished.extend(self.calls.take_unsent().into_iter().map(|pending| pending.fail(error.clone())));
            self.reconnect.reset();
        }
        self.hand_back_if_routed();
        if is_fatal {
            self.state = State::Refused(now + self.reconnect.after_failure());
        } else if !others {
            self.state = State::Pausing(now + self.reconnect.after_failure());
        }
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

    /// So many of them have been written.
    pub fn wrote(&mut self, bytes: usize) {
        if let State::Serving(serving) = &mut self.state {
            serving.session.wrote(bytes);
        }
    }

    /// The server takes bytes again, after it had taken none for a while.
    pub fn drained(&mut self, now: Instant) {
        self.heard(now);
    }

    /// Bytes came.
    pub fn received(&mut self, mut bytes: &[u8], now: Instant) {
        self.heard(now);
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

    fn heard(&mut self, now: Instant) {
        if let State::Serving(serving) = &mut self.state {
            serving.session.heard(now);
            (serving.beside, serving.silence) = (Beside::No, self.config.silence());
            serving.idle_since = now;
        }
    }

    /// The connection in use ended. `done_with` is whether the server has read everything that it will ever read of it.
    pub fn disconnected(&mut self, error: ConnectError, done_with: bool, now: Instant) {
        self.lose(error, None, if done_with { Abandon::No } else { Abandon::Yes }, now);
    }

    /// The connection is not to be used any longer.
    pub fn replace(&mut self, error: ConnectError, now: Instant) {
        self.lose(error, None, Abandon::Yes, now);
    }

    /// A call was answered. Returns whether the replies behind it can be those to the calls behind it.
    fn answered(&mut self, answered: Answered, now: Instant) -> Trust {
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
        let pending = self.calls.get(key);
        let error_reply = match serving.session.reply_to(&pending.request.call) {
            Ok(reply) => {
                self.open_gate(key);
                let pending = self.calls.finish(key);
                self.finished.push(pending.finish(Ok(reply)).at(Some(position)));
                return Trust::Yes;
            }
            Err(error_reply) => error_reply,
        };
        let trust = if error_reply.is_unexpected() { Trust::No } else { Trust::Yes };
        let refusal = decide(pending, error_reply, features, &mut self.features);
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
            Refusal::Reshape => self.park_until(key, now),
            Refusal::Retry(error, scope) => self.retry(key, error, scope, now),
            Refusal::Reconnect(error, scope) => {
                serving.replace = Some(ConnectError::Transient(error.clone()));
                self.retry(key, error, scope, now);
            }
        }
        trust
    }

    /// A call was answered that goes on behind what it overtook.
    fn answered_out_of_turn(&mut self, key: CallKey, features: ServerFeatures, now: Instant) -> Trust {
        let State::Serving(serving) = &mut self.state else { return Trust::No };
        let pending = self.calls.get(key);
        let error_reply = serving.session.reply_to(&pending.request.call).err();
        let is_unexpected = error_reply.as_ref().is_some_and(ErrorReply::is_unexpected);
        let refusal = error_reply.map(|error_reply| decide(pending, error_reply, features, &mut self.features));
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

    /// Counts the bytes of a call's answer, which has come as a whole. Returns whether it may be handed over: what is too
    /// much for its environment is thrown away, so that others are not kept waiting for theirs.
    fn charge(&mut self, key: CallKey, bytes: usize, now: Instant) -> bool {
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
    fn count_coming(&mut self, now: Instant) {
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
    fn throws_away(&mut self, key: CallKey, now: Instant) -> bool {
        let is_left = self.calls.has_one_environment() && !self.is_past_deadline(now);
        !is_left && !self.calls.is_followed_by_write(key)
    }

    fn is_past_deadline(&mut self, now: Instant) -> bool {
        self.calls.earliest_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// A call's answer was too much, and is asked for again later.
    fn put_back(&mut self, key: CallKey, bytes: usize, dropped: bool) {
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

    fn too_much_coming(&mut self, now: Instant) -> Option<Blocked> {
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

    fn park_until(&mut self, key: CallKey, moment: Instant) {
        self.calls.get_mut(key).request.delivery.postponed();
        self.calls.park(key);
        self.release_at = Some(self.release_at.map_or(moment, |earlier| earlier.min(moment)));
    }

    /// A call was refused for now.
    fn retry(&mut self, key: CallKey, error: StoreError, scope: Scope, now: Instant) {
        self.calls.get_mut(key).error_reply = Some(Box::new(error));
        if scope == Scope::Execution {
            return self.park_until(key, now + REFUSED_PAUSE);
        }
        self.calls.get_mut(key).request.delivery.postponed();
        self.calls.park(key);
    }

    /// The server refuses more than one call.
    fn close_gate(&mut self, key: CallKey, error: &StoreError, scope: Scope, now: Instant) {
        match &mut self.gate {
            Some(gate) => gate.refused(key, error.clone(), scope, now),
            None => self.gate = Some(Gate::new(error.clone(), scope, now)),
        }
    }

    /// The server has carried out a call, or refused it for good.
    fn open_gate(&mut self, key: CallKey) {
        let pending = self.calls.get(key);
        if self.gate.as_ref().is_some_and(|gate| gate.concerns(pending)) {
            (self.gate, self.release_at) = (None, None);
            self.calls.release();
        }
    }

    /// Time has passed: gives up what is past its deadline, goes on with what paused, and sends what may be sent.
    pub fn advance(&mut self, now: Instant) {
        self.expire(now);
        match &self.state {
            State::Connecting | State::Over | State::Sharded => {}
            State::Pausing(at) if *at <= now => self.state = State::Connecting,
            State::Refused(at) if *at <= now && self.calls.has_unsent() => self.state = State::Connecting,
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

    /// Whether something is on its way that was given up, and there is time to make a connection that ends the one it was sent
    /// over.
    fn fences(&mut self, now: Instant) -> bool {
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
    fn abandon_session(&mut self) {
        if let State::Serving(serving) = &self.state {
            self.abandoned.extend(serving.session.identity().filter(|_| serving.session.owes()));
        }
        self.end_session();
    }

    fn serve(&mut self, now: Instant) {
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
                            let number = session.send(key, self.calls.get(key), self.features, now);
                            self.calls.sent(key, number);
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
            let number = session.send(key, self.calls.get(key), self.features, now);
            self.calls.sent(key, number);
        }
    }

    /// Gives up what is past its deadline, wherever it is.
    fn expire(&mut self, now: Instant) {
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
        deadline.into_iter().chain(other).chain(self.fence_until.filter(|_| self.calls.is_empty())).min()
    }

    /// Whether a call in flight is past its deadline, or the server silent for too long: before that is believed, what its
    /// socket holds has to be read.
    pub fn is_overdue(&mut self, now: Instant) -> bool {
        let State::Serving(serving) = &self.state else { return false };
        let session = &serving.session;
        if !session.owes() {
            return false;
        }
        let silent = serving.beside == Beside::No
            && serving.paused.is_none()
            && session.silent_since().is_some_and(|at| at + serving.silence <= now);
        silent || self.calls.earliest_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The calls that are over.
    pub fn finished(&mut self) -> &mut Vec<Finished> {
        &mut self.finished
    }

    /// All calls, for who takes them apart, and the number of the next one.
    pub fn take_calls(&mut self) -> (Vec<PendingCall>, u64) {
        (self.calls.take_unsent(), self.calls.next_sequence())
    }

    fn lose(&mut self, error: ConnectError, violation: Option<ProtocolViolation>, abandon: Abandon, now: Instant) {
        let State::Serving(serving) = &self.state else { return };
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
        self.hand_back_if_routed();
        self.state = match &self.connect_error {
            ConnectError::Fatal(error) => {
                let error = error.clone();
                self.finished.extend(self.calls.take_unsent().into_iter().map(|pending| pending.fail(error.clone())));
                State::Refused(now + self.reconnect.after_failure())
            }
            ConnectError::Transient(_) => State::Pausing(now + self.reconnect.after_connection(answered, made_at, now)),
        };
    }

    /// Ends the use of a connection: what has no answer waits again.
    fn end_session(&mut self) {
        self.state = State::Connecting;
        (self.gate, self.release_at) = (None, None);
        self.blocked.clear();
        self.calls.requeue();
    }

    /// Looks for what may have ended the connection, and would do so again and again and let no other call through: the call
    /// that the server refused or answered with too much is over, and one that it did not answer is noted.
    fn find_poison_call(&mut self, violation: Option<ProtocolViolation>) {
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
            self.calls.get_mut(key).losses += 1;
            // It may have been what it carried.
            self.drop_prefetch(key);
        }
    }

    /// Takes away from a call the reads that it carries. Returns whether there were any.
    fn drop_prefetch(&mut self, key: CallKey) -> bool {
        self.calls.get_mut(key).request.call.drop_prefetch()
    }

    /// For a new connection: parks what may have ended the last ones, so that other executions go first.
    fn park_poison_candidates(&mut self, now: Instant) {
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

    /// Returns everything that was not sent to whoever routes it: there may be another server for it by now.
    fn hand_back_if_routed(&mut self) {
        if self.config.is_routed {
            let error = self.connect_error.error().clone();
            let all = self.calls.take_unsent().into_iter();
            self.finished.extend(all.map(|pending| pending.hand_back(Redirect::Lost, error.clone())));
        }
    }
}

/// Whether replies can be taken for those to the calls that they seem to be for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Yes,
    No,
}

/// Whether a lost connection may have bytes of ours on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Abandon {
    Yes,
    No,
}

#[cfg(test)]
mod tests;
