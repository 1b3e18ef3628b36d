//! A store with a connection of its own: where it connects, what it admits, how many of its calls are in flight, and when it is
//! closed.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use idioteque_redis_core::config::Settings;
use idioteque_redis_core::config::options::Options;
use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::error_texts::calls as texts;
use idioteque_redis_core::moment::Moment;
use idioteque_redis_core::store::arrivals::Arrivals;
use idioteque_redis_core::store::freshness::RoundTrip;
use idioteque_redis_core::store::habits::{Asked, Place};
use idioteque_redis_core::store::prefetch_policy::{Carried, Depth, PrefetchPolicies};
use idioteque_redis_core::store::{Call, KeyOptions, Operation, Prefetch};
use idioteque_redis_core::transport::{CompletionSink, Member, Observed, SharedConnection, Target};

use crate::adopted_client;
use crate::adopted_client::{AdoptedClient, ClientState};
use crate::environment::Environment;
use crate::fallback;
use crate::js_builtins::JsBuiltins;
use crate::node_api::{Deferred, Reference, Thrown, Value};
use crate::seen::TracedCall;
use crate::statistics::Counts;

/// Bytes of arguments in flight before more are refused: what `maxPending` calls have with some 2.6 KB each, and what a
/// container of 512 MB can bear.
const MAX_PENDING_BYTES: usize = 256 << 20;

/// Where a native store's settings come from.
pub enum Origin {
    /// From a URL or a configuration.
    Fixed(Box<Settings>),
    /// From a live client, asked when the store connects.
    Live(Rc<AdoptedClient>),
}

impl Origin {
    /// The `backend` of a store.
    pub fn backend(&self) -> &'static str {
        match self {
            Origin::Fixed(settings) => settings.topology.backend(),
            Origin::Live(live) => live.settings().map_or("redis", |settings| settings.topology.backend()),
        }
    }
}

/// One store. JavaScript thread only. Its functions and its pending calls own it; when the last of them is gone, its connection is
/// released.
pub struct NativeStore {
    /// What it calls of JavaScript.
    pub realm: JsBuiltins,
    /// The object that has that and the live client. Its functions keep it alive, and so do its pending calls.
    owned: Reference,
    /// Told what happens to its connection.
    completions: Arc<dyn CompletionSink>,
    /// What is counted of its calls.
    pub counts: Counts,
    /// What became of traced calls and was not told, with their numbers.
    pub traces: RefCell<Vec<(u32, TracedCall)>>,
    /// Calls in flight before more are refused.
    max_pending: usize,
    /// Calls in flight.
    pending: Cell<usize>,
    /// Bytes of their arguments.
    pending_bytes: Cell<usize>,
    /// `close()` was called.
    closed: Cell<bool>,
    closers: RefCell<Vec<Deferred>>,
    /// Its connection is being closed.
    closing: Cell<bool>,
    origin: Origin,
    options: Options,
    prefetch_policies: RefCell<PrefetchPolicies>,
    /// How the answers to calls side by side come.
    arrivals: Cell<Arrivals>,
    /// How long its calls take.
    round_trip: Cell<RoundTrip>,
    connected: OnceCell<Connected>,
    /// The live client's own methods carry its calls.
    fallen_back: Cell<bool>,
}

/// What a store has from its first call on.
struct Connected {
    key_options: Arc<KeyOptions>,
    /// `None` once the store is closed.
    connection: RefCell<Option<Arc<SharedConnection>>>,
    /// What can be seen of the connection, also when the store is closed.
    observed: RefCell<Arc<Observed>>,
    /// The database of the connection.
    database: Cell<u32>,
}

/// What a call is made and sent with.
pub type Admitted = (Arc<KeyOptions>, Arc<SharedConnection>);

impl NativeStore {
    /// A store that has not connected yet.
    pub fn new(
        realm: JsBuiltins,
        owned: Reference,
        completions: Arc<dyn CompletionSink>,
        origin: Origin,
        options: Options,
    ) -> Self {
        Self {
            realm,
            owned,
            completions,
            counts: Counts::default(),
            traces: RefCell::default(),
            max_pending: options.max_pending,
            pending: Cell::new(0),
            pending_bytes: Cell::new(0),
            closed: Cell::new(false),
            closers: RefCell::default(),
            closing: Cell::new(false),
            origin,
            options,
            prefetch_policies: RefCell::default(),
            arrivals: Cell::default(),
            round_trip: Cell::default(),
            connected: OnceCell::new(),
            fallen_back: Cell::new(false),
        }
    }

    /// The promise of a call that the live client's own methods carry; `None` where the store does so itself.
    pub fn carried(&self, kind: Operation, arguments: &[Value]) -> Option<Result<Value, Thrown>> {
        let carrier = self.carrier()?;
        Some(fallback::call(self.realm.engine(), carrier, kind, arguments))
    }

    /// The store over the live client's own methods, once they carry the calls.
    pub fn carrier(&self) -> Option<Value> {
        if self.fallen_back.get() { fallback::carrier(self.realm.engine(), &self.owned) } else { None }
    }

    /// Lets the live client's own methods make a call that failed because a native connection is impossible. Returns its promise;
    /// `None` where there is no such client, or the store has been closed.
    pub fn fall_back(&self, call: &Call, why: &StoreError) -> Option<Value> {
        let engine = self.realm.engine();
        let Origin::Live(live) = &self.origin else { return None };
        if self.closed.get() || !why.beyond_native {
            return None;
        }
        let carrier = fallback::open(engine, &self.owned)?;
        if !self.fallen_back.replace(true)
            && self.options.warnings
            && let Ok(settings) = live.settings()
        {
            fallback::warn(engine, &self.owned, &settings.address, why);
        }
        let arguments = fallback::arguments(engine, call, |json| self.realm.parse(json)).ok()?;
        fallback::call(engine, carrier, call.operation, &arguments).ok()
    }

    /// What a call is made and sent with; connects when this is the first one. A refusal comes with the style too, as
    /// far as it is known, because errors name keys. `moved` is called when the store follows its client into another database.
    pub fn admit(&self, kind: Operation, moved: impl FnOnce()) -> Result<Admitted, (Arc<KeyOptions>, StoreError)> {
        let refuse = |error: StoreError| error.in_call(kind.name());
        let connected = match self.connected.get() {
            Some(connected) => connected,
            None if self.closed.get() => return Err((Arc::default(), refuse(texts::closed().error()))),
            None => self.connect().map_err(|error| (Arc::default(), error))?,
        };
        let key_options = connected.key_options.clone();
        if let Err(error) = self.follow(connected, moved) {
            return Err((key_options, refuse(error)));
        }
        let connection = connected.connection.borrow().clone();
        match connection {
            Some(connection) if !self.closed.get() => {
                if self.pending.get() < self.max_pending {
                    return Ok((key_options, connection));
                }
                Err((key_options, refuse(texts::too_many_calls(self.max_pending).error())))
            }
            _ => Err((key_options, refuse(texts::closed().error()))),
        }
    }

    /// Follows the live client, if there is one: into the database it has selected, so that a call goes where the
    /// client's own next command would go, out of business when it has ended, and back when it is connected again.
    fn follow(&self, connected: &Connected, moved: impl FnOnce()) -> Result<(), StoreError> {
        let Origin::Live(live) = &self.origin else { return Ok(()) };
        let elsewhere = match live.state() {
            ClientState::Ended => {
                connected.connection.borrow_mut().take();
                return Err(adopted_client::ended());
            }
            ClientState::Database(database) => database != connected.database.get(),
            ClientState::Unknown => false,
        };
        let ended = connected.connection.borrow().is_none();
        if self.closed.get() || !(elsewhere || ended) {
            return Ok(());
        }
        let target = self.target()?;
        connected.database.set(target.settings.database);
        moved();
        let connection = SharedConnection::open(target, &self.completions)?;
        connected.observed.replace(connection.observed().clone());
        connected.connection.replace(Some(connection));
        Ok(())
    }

    /// The database that calls are made for.
    pub fn database(&self) -> u32 {
        self.connected.get().map_or(0, |connected| connected.database.get())
    }

    /// Where to connect, as far as that is known now.
    pub fn target(&self) -> Result<Target, StoreError> {
        let (settings, source) = match &self.origin {
            Origin::Fixed(settings) => ((**settings).clone(), None),
            Origin::Live(live) => (live.settings()?, Some(live.source())),
        };
        Ok(Target {
            connect_timeout: self.options.connect_timeout_or(settings.connect_timeout),
            command_timeout: self.options.command_timeout_or(settings.command_timeout),
            settings,
            source,
            member: Member::Alone,
        })
    }

    fn connect(&self) -> Result<&Connected, StoreError> {
        let target = self.target()?;
        let settings = &target.settings;
        let key_options = self.key_options(settings);
        let database = Cell::new(settings.database);
        let connection = SharedConnection::open(target, &self.completions)?;
        let observed = RefCell::new(connection.observed().clone());
        let connection = RefCell::new(Some(connection));
        let key_options = Arc::new(key_options);
        Ok(self.connected.get_or_init(|| Connected { key_options, connection, observed, database }))
    }

    /// How it writes, with these settings.
    pub fn key_options(&self, settings: &Settings) -> KeyOptions {
        KeyOptions {
            key_prefix: self.options.key_prefix_or(&settings.key_prefix).to_owned(),
            hash_tags: self.options.hash_tags,
            ttl: self.options.ttl,
            sliding_ttl: self.options.sliding_ttl,
            in_progress_ttl: self.options.in_progress_ttl,
            orphan_ttl: self.options.orphan_ttl,
            claims: self.options.claims,
            quiet: !self.options.warnings,
        }
    }

    /// Whether it hands a task out once.
    pub fn claims(&self) -> bool {
        self.options.claims
    }

    /// The connection; connects when there was no call yet. `moved` is as for a call.
    pub fn connection(&self, moved: impl FnOnce()) -> Result<Arc<SharedConnection>, StoreError> {
        let connected = match self.connected.get() {
            Some(connected) => connected,
            None if self.closed.get() => return Err(texts::closed().error()),
            None => self.connect()?,
        };
        self.follow(connected, moved)?;
        let connection = connected.connection.borrow().clone();
        connection.filter(|_| !self.closed.get()).ok_or_else(|| texts::closed().error())
    }

    /// The connection of the calls that were made, for what follows on one of them: also when the store has been closed since.
    pub fn connection_of_calls(&self) -> Option<Arc<SharedConnection>> {
        self.connected.get().and_then(|connected| connected.connection.borrow().clone())
    }

    /// What can be seen of its connection, if it has or had one.
    pub fn observed(&self) -> Option<Arc<Observed>> {
        self.connected.get().map(|connected| connected.observed.borrow().clone())
    }

    /// Whether further calls are refused.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Where its settings come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The `backend` of its object.
    pub fn backend(&self) -> &'static str {
        self.origin.backend()
    }

    /// What it uses of JavaScript.
    pub fn owned(&self) -> Value {
        self.owned.value()
    }

    /// The number of its calls that are pending, and the bytes of their arguments.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.pending.get(), self.pending_bytes.get())
    }

    /// Notes what became of a call, if it is traced.
    pub fn note_traced(&self, number: Option<u32>, call: impl FnOnce() -> TracedCall) {
        if let Some(number) = number {
            self.traces.borrow_mut().push((number, call()));
        }
    }

    /// An execution is disposed of.
    pub fn disposes(&self) {
        self.prefetch_policies.borrow_mut().disposes();
    }

    /// What a call should carry along. `are_few` and `place` are as in [`PrefetchPolicies::prefetch`], `with_marks` is whether it is to
    /// carry the marks for questions for results beside it.
    pub fn prefetch(
        &self,
        kind: Operation,
        depth: Depth,
        (are_few, place): (bool, Place),
        with_marks: bool,
    ) -> Prefetch {
        if !self.options.read_ahead {
            return Prefetch::Nothing;
        }
        let own = self.prefetch_policies.borrow().prefetch(kind, depth, are_few, place);
        if with_marks && are_few { own.with_marks(kind) } else { own }
    }

    /// Whether the answers to calls side by side come together.
    pub fn is_answered_together(&self) -> bool {
        self.arrivals.get().are_together()
    }

    /// An answer has come to a call beside another one, together with the answer to that one or not.
    pub fn was_answered_beside(&self, together: bool) {
        let mut arrivals = self.arrivals.get();
        arrivals.note(together);
        self.arrivals.set(arrivals);
    }

    /// This was asked at a place.
    pub fn was_asked(&self, place: Place, asked: Asked) {
        if self.options.read_ahead {
            self.prefetch_policies.borrow_mut().asked(place, asked);
        }
    }

    /// A call's turn is over, in which this became of what it carried.
    pub fn was_carried(&self, kind: Operation, depth: Depth, prefetch: Prefetch, carried: Carried) {
        self.prefetch_policies.borrow_mut().carried(kind, depth, prefetch, carried);
    }

    /// A call that was written at one moment is settled at another. Returns until when what it brought may answer questions.
    /// `is_for_results` is whether those are marks of tasks whose results were asked for.
    pub fn settled_after(&self, written_at: Moment, now: Moment, is_for_results: bool) -> Moment {
        let (mut trip, time) = (self.round_trip.get(), now.since(written_at));
        let fresh_until = match is_for_results {
            true => trip.mark_fresh_until(written_at, time),
            false => trip.fresh_until(written_at, time),
        };
        trip.note(time);
        self.round_trip.set(trip);
        fresh_until
    }

    /// A question was sent that a call of this kind, in the same turn, could have carried.
    pub fn could_have_carried(&self, kind: Operation, depth: Depth, asked: Operation) {
        self.prefetch_policies.borrow_mut().missed(kind, depth, asked);
    }

    /// Refuses a call whose arguments would be too much beside those in flight. One alone is never too large.
    pub fn make_room(&self, kind: Operation, bytes: usize) -> Result<(), StoreError> {
        let pending = self.pending_bytes.get();
        if pending == 0 || pending + bytes <= MAX_PENDING_BYTES {
            return Ok(());
        }
        let [present, limit] = [pending, MAX_PENDING_BYTES].map(|bytes| format!("{} MiB", bytes >> 20));
        Err(texts::too_much_data(present, limit).error().in_call(kind.name()))
    }

    /// A call of this store is on its way.
    pub fn call_begun(&self, bytes: usize) {
        if self.pending.get() == 0 {
            self.owned.hold();
        }
        self.pending.set(self.pending.get() + 1);
        self.pending_bytes.set(self.pending_bytes.get() + bytes);
    }

    /// A call of this store has been settled.
    pub fn call_ended(self: &Rc<Self>, bytes: usize, environment: &Environment) {
        self.pending.set(self.pending.get() - 1);
        self.pending_bytes.set(self.pending_bytes.get() - bytes);
        if self.pending.get() == 0 {
            self.owned.release();
        }
        self.finish_closing(environment);
    }

    /// Refuses further calls; the promise resolves when those in flight are settled and nothing that was given up can arrive
    /// any more, or the time of a call is over.
    pub fn close(self: &Rc<Self>, deferred: Deferred, environment: &Environment) {
        self.closed.set(true);
        self.closers.borrow_mut().push(deferred);
        self.finish_closing(environment);
    }

    fn finish_closing(self: &Rc<Self>, environment: &Environment) {
        if !self.closed.get() || self.pending.get() > 0 || self.closing.get() {
            return;
        }
        let connection = self.connected.get().and_then(|connected| connected.connection.borrow_mut().take());
        match connection {
            Some(connection) => {
                self.closing.set(true);
                environment.begin_closing(self.clone(), connection, !self.options.warnings);
            }
            None => self.closed(),
        }
    }

    /// Its connection has ended, if it had one.
    pub fn closed(&self) {
        self.closing.set(false);
        let engine = self.realm.engine();
        for closer in self.closers.take() {
            engine.settle(closer, Ok(engine.undefined()));
        }
    }
}
