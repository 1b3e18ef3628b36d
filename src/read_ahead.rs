//! The turn of the event loop in which a snapshot may answer questions, and the snapshots of the current one.
//!
//! A turn is what runs after a wake-up settled promises, up to the moment the engine hands over to any other callback: the
//! microtasks of those promises and all that these start. Its end is caught by a microtask, queued before anything is
//! settled, that calls `process.nextTick` (`afterTurn` in `lib/native.js`): Node.js runs that tick after all chained microtasks
//! and, because it is the first, before any other callback, those of other ticks included. `nextTick` by itself could come
//! before the microtasks, `setImmediate` after other callbacks. A runtime that orders them otherwise ends the turn
//! earlier, never later than its own tick.
//!
//! One wake-up may settle several answers about an execution, and an answer may be settled late. So a snapshot answers only
//! while no newer answer about its execution has been settled on this thread: [`idioteque_redis_core::store::recency`] says which is newer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use idioteque_redis_core::store::recency::{Begun, InFlight, is_older};
use idioteque_redis_core::store::snapshot::hash;
use idioteque_redis_core::store::{Answer, Call, Operation, Position, Snapshot};
use napi::sys;
use rustc_hash::FxHashMap;

use crate::native_store::NativeStore;
use crate::node_api::{Engine, EnvHandle, Thrown, Value};
use crate::outbox::Outbox;
use crate::scheduled::Scheduled;

/// The current turn of one environment.
pub struct ReadAhead {
    /// By the hash of their execution's id.
    snapshots: RefCell<FxHashMap<u64, CachedSnapshot>>,
    /// The end of this turn is going to be noticed: without that, nothing is held.
    watched: Cell<bool>,
    /// What happens to executions while calls about them are in flight.
    in_flight: RefCell<InFlight>,
    /// Counts wake-ups: two events with the same number may be in the same turn.
    wake_up: Cell<u64>,
    /// The call that was settled last: whether it should have carried a read shows in the question that follows it.
    last: Cell<Last>,
    /// The call that was sent last.
    sent: Cell<Last>,
    /// What notices its end.
    over: RefCell<Option<Scheduled>>,
    /// What is sent then.
    outbox: Rc<Outbox>,
}

/// A snapshot and where it came from.
struct CachedSnapshot {
    store: Rc<NativeStore>,
    source: Operation,
    id: Vec<u8>,
    snapshot: Box<Snapshot>,
    /// The position of the answer that it came with.
    position: Option<Position>,
    /// A newer answer about the execution has been settled since: it answers nothing any more, and is only kept to see
    /// whether it would have.
    outdated: bool,
    /// It has answered a question, or would have.
    used: bool,
}

/// A call and the turn it belongs to.
#[derive(Clone, Copy)]
struct Last {
    wake_up: u64,
    kind: Operation,
    /// The hash of its execution's id. Only the prefetch policy depends on it, so a collision costs no more than a wrong guess.
    execution: u64,
}

impl Last {
    const NONE: Last = Last { wake_up: 0, kind: Operation::Dispose, execution: 0 };
}

impl ReadAhead {
    /// The turns of an environment. `after_turn` calls a function when the turn is over; in a runtime without the means to
    /// notice that it is `undefined`, and no snapshot is ever held.
    pub fn new(env: &EnvHandle, after_turn: Value, outbox: Rc<Outbox>) -> Result<Rc<ReadAhead>, Thrown> {
        let turn = Rc::new(ReadAhead {
            snapshots: RefCell::default(),
            watched: Cell::new(false),
            in_flight: RefCell::default(),
            wake_up: Cell::new(0),
            last: Cell::new(Last::NONE),
            sent: Cell::new(Last::NONE),
            over: RefCell::default(),
            outbox,
        });
        turn.over.replace(Scheduled::new(env, after_turn, "turnEnded", on_end, turn.clone())?);
        Ok(turn)
    }

    /// A wake-up begins to settle promises: what is left of an earlier turn is over. `has_snapshot` is whether any of the calls
    /// brought a snapshot.
    pub fn begin(&self, has_snapshot: bool) {
        self.end();
        let over = self.over.borrow();
        self.watched.set(has_snapshot && over.as_ref().is_some_and(Scheduled::ask));
    }

    /// Whether the end of this turn is going to be noticed, and what is to be sent then is sent.
    pub fn is_watched(&self) -> bool {
        self.watched.get()
    }

    /// A call about an execution begins.
    pub fn begin_call(&self, id: &[u8]) -> Begun {
        self.in_flight.borrow_mut().begin(hash(id))
    }

    /// A call is about to be settled, with an answer of this position. `changes` is whether it makes invalid what is known of
    /// its execution: a write may have happened even if it failed, and after any failure it is better to ask again. Returns
    /// whether what it brought may be held: it may not if a newer answer, or one that cannot be compared, was settled while it
    /// was in flight, or a write began or ended.
    pub fn end_call(&self, begun: &Begun, position: Option<Position>, changes: bool) -> bool {
        let is_newest = self.in_flight.borrow_mut().end(begun, position);
        if changes {
            self.invalidate(begun.execution);
        } else {
            let mut snapshots = self.snapshots.borrow_mut();
            if !snapshots.is_empty()
                && let Some(held) = snapshots.get_mut(&begun.execution)
            {
                held.outdated |= !is_older(position, held.position);
            }
        }
        is_newest
    }

    /// Notes that a call was settled, with what it taught.
    pub fn settled(
        &self,
        store: &Rc<NativeStore>,
        call: &Call,
        position: Option<Position>,
        snapshot: Option<Box<Snapshot>>,
    ) {
        let (source, execution) = (call.operation, hash(call.id()));
        self.last.set(Last { wake_up: self.wake_up.get(), kind: source, execution });
        if let Some(snapshot) = snapshot
            && self.watched.get()
        {
            let (store, id) = (store.clone(), call.id().to_vec());
            let held = CachedSnapshot { store, source, id, snapshot, position, outdated: false, used: false };
            if let Some(previous) = self.snapshots.borrow_mut().insert(execution, held) {
                previous.learn();
            }
        }
    }

    /// The snapshot's answer to a question, if there is one in this turn.
    pub fn answer(&self, store: &Rc<NativeStore>, kind: Operation, id: &[u8], task: &[u8]) -> Option<Answer> {
        let mut snapshots = self.snapshots.borrow_mut();
        if snapshots.is_empty() {
            return None;
        }
        let held = snapshots.get_mut(&hash(id)).filter(|held| held.id == id && Rc::ptr_eq(&held.store, store))?;
        let answer = held.snapshot.answer(kind, task)?;
        held.used = true;
        Some(answer).filter(|_| !held.outdated)
    }

    /// Whether another call for the same execution was sent in this turn. Then this one has not waited for that one's answer:
    /// they are made side by side, as for steps side by side, and what the first of them carries is enough. Notes the call.
    pub fn is_beside(&self, kind: Operation, id: &[u8]) -> bool {
        let (sent, call) = (self.sent.get(), Last { wake_up: self.wake_up.get(), kind, execution: hash(id) });
        self.sent.set(call);
        sent.wake_up == call.wake_up && sent.execution == call.execution
    }

    /// A question has to be sent: notes for the prefetch policy whether the call before it could have carried it.
    pub fn missed(&self, store: &NativeStore, asked: Operation, id: &[u8]) {
        let last = self.last.get();
        if last.wake_up == self.wake_up.get() && last.execution == hash(id) {
            store.could_have_carried(last.kind, asked);
        }
    }

    /// Something about an execution is known, or has changed, that no call of this store shows: what is known of it, and what calls in
    /// flight bring besides their own answers, no longer holds.
    pub fn forget(&self, id: &[u8]) {
        self.invalidate(hash(id));
    }

    fn invalidate(&self, execution: u64) {
        self.in_flight.borrow_mut().invalidate(execution);
        let mut snapshots = self.snapshots.borrow_mut();
        if !snapshots.is_empty()
            && let Some(held) = snapshots.remove(&execution)
        {
            held.learn();
        }
    }

    /// The turn is over: drops all that was known.
    pub fn end(&self) {
        self.watched.set(false);
        // Another number, so that what follows is not taken for a part of this turn.
        self.wake_up.set(self.wake_up.get() + 1);
        let mut snapshots = self.snapshots.borrow_mut();
        for (_, held) in snapshots.drain() {
            held.learn();
        }
    }
}

impl CachedSnapshot {
    fn learn(&self) {
        self.store.was_carried(self.source, self.used);
    }
}

/// # Safety
/// Called by N-API as a function made with a share of a turn.
unsafe extern "C" fn on_end(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, turn: &Rc<ReadAhead>, _| {
            turn.end();
            turn.outbox.flush();
            Ok(engine.undefined())
        })
    }
}
