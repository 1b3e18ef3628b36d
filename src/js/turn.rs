//! The turn of the event loop in which a snapshot may answer questions, and the snapshots of the current one.
//!
//! A turn is what runs after a wake-up settled promises, up to the moment the engine hands over to any other callback: the
//! microtasks of those promises and all that these start. Its end is caught by a microtask, queued before anything is
//! settled, that calls `process.nextTick` (`afterTurn` in `index.js`): Node.js runs that tick after all chained microtasks
//! and, because it is the first, before any other callback, those of other ticks included. `nextTick` by itself could come
//! before the microtasks, `setImmediate` after other callbacks. A runtime that orders them otherwise ends the turn
//! earlier, never later than its own tick.

use std::cell::{Cell, RefCell};
use std::hash::Hasher;
use std::rc::Rc;

use napi::sys;
use rustc_hash::{FxHashMap, FxHasher};

use super::engine::{Engine, Thrown, Value};
use super::later::Later;
use super::store_object::Store;
use crate::store::{Answer, Kind, Snapshot};

/// Counters of writes, shared by the executions whose ids fall to them. So many that with hundreds of executions at once
/// hardly a snapshot is lost to a stranger's write.
const WRITE_COUNTERS: usize = 1 << 16;

/// The current turn of one environment.
pub struct Turn {
    snapshots: RefCell<FxHashMap<Vec<u8>, Held>>,
    /// The end of this turn is going to be noticed: without that, nothing is held.
    watched: Cell<bool>,
    /// Writes that were begun or ended, by a hash of their execution.
    writes: Box<[Cell<u16>]>,
    /// Counts wake-ups: two events with the same number may be in the same turn.
    wake_up: Cell<u64>,
    /// The call that was settled last: what it might have carried is learnt from the question that follows it.
    last: RefCell<Last>,
    /// The call that was sent last.
    sent: RefCell<Last>,
    /// What notices its end.
    over: RefCell<Option<Later>>,
}

/// A snapshot and where it came from.
struct Held {
    store: Rc<Store>,
    source: Kind,
    snapshot: Box<Snapshot>,
    used: bool,
}

/// A call and the turn it belongs to.
struct Last {
    wake_up: u64,
    kind: Kind,
    id: Vec<u8>,
}

impl Last {
    const NONE: Last = Last { wake_up: 0, kind: Kind::Dispose, id: Vec::new() };

    fn set(&mut self, wake_up: u64, kind: Kind, id: &[u8]) {
        (self.wake_up, self.kind) = (wake_up, kind);
        self.id.clear();
        self.id.extend_from_slice(id);
    }
}

impl Turn {
    /// The turns of an environment. `after_turn` calls a function when the turn is over; in a runtime without the means to
    /// notice that it is `undefined`, and no snapshot is ever held.
    pub fn new(engine: Engine, after_turn: Value) -> Result<Rc<Turn>, Thrown> {
        let turn = Rc::new(Turn {
            snapshots: RefCell::default(),
            watched: Cell::new(false),
            writes: vec![Cell::new(0); WRITE_COUNTERS].into(),
            wake_up: Cell::new(0),
            last: RefCell::new(Last::NONE),
            sent: RefCell::new(Last::NONE),
            over: RefCell::default(),
        });
        turn.over.replace(Later::new(engine, after_turn, "turnEnded", on_end, turn.clone())?);
        Ok(turn)
    }

    /// A wake-up begins to settle promises: what is left of an earlier turn is over. `teaches` is whether any of the calls
    /// brought a snapshot.
    pub fn begin(&self, engine: Engine, teaches: bool) {
        self.end();
        let over = self.over.borrow();
        self.watched.set(teaches && over.as_ref().is_some_and(|over| over.ask(engine)));
    }

    /// Notes that a call was settled, with what it taught.
    pub fn settled(&self, store: &Rc<Store>, kind: Kind, id: &[u8], snapshot: Option<Box<Snapshot>>) {
        self.last.borrow_mut().set(self.wake_up.get(), kind, id);
        if let Some(snapshot) = snapshot
            && self.watched.get()
        {
            let held = Held { store: store.clone(), source: kind, snapshot, used: false };
            if let Some(previous) = self.snapshots.borrow_mut().insert(id.to_vec(), held) {
                previous.learn();
            }
        }
    }

    /// The snapshot's answer to a question, if there is one in this turn.
    pub fn answer(&self, store: &Rc<Store>, kind: Kind, id: &[u8], task: &[u8]) -> Option<Answer> {
        let mut snapshots = self.snapshots.borrow_mut();
        if snapshots.is_empty() {
            return None;
        }
        let held = snapshots.get_mut(id).filter(|held| Rc::ptr_eq(&held.store, store))?;
        let answer = held.snapshot.answer(kind, task)?;
        held.used = true;
        Some(answer)
    }

    /// Whether another call for the same execution was sent in this turn. Then this one has not waited for that one's answer:
    /// they are made side by side, as for steps side by side, and what the first of them carries is enough. Notes the call.
    pub fn is_beside(&self, kind: Kind, id: &[u8]) -> bool {
        let mut sent = self.sent.borrow_mut();
        let beside = sent.wake_up == self.wake_up.get() && sent.id == id;
        sent.set(self.wake_up.get(), kind, id);
        beside
    }

    /// A question has to be sent: learns from it whether the call before it should have carried it.
    pub fn missed(&self, store: &Store, asked: Kind, id: &[u8]) {
        let last = self.last.borrow();
        if last.wake_up == self.wake_up.get() && last.id == id {
            store.could_have_carried(last.kind, asked);
        }
    }

    /// How many writes to an execution were begun or ended so far, through any store: what was asked at one count and
    /// is answered at another may be out of date.
    pub fn writes(&self, id: &[u8]) -> u16 {
        self.write_counter(id).get()
    }

    fn write_counter(&self, id: &[u8]) -> &Cell<u16> {
        let mut hasher = FxHasher::default();
        hasher.write(id);
        &self.writes[hasher.finish() as usize % WRITE_COUNTERS]
    }

    /// A write to an execution begins or ends, or a call for it failed: what is known of it no longer holds.
    pub fn forget(&self, id: &[u8]) {
        let counter = self.write_counter(id);
        counter.set(counter.get().wrapping_add(1));
        let mut snapshots = self.snapshots.borrow_mut();
        if !snapshots.is_empty()
            && let Some(held) = snapshots.remove(id)
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

impl Held {
    fn learn(&self) {
        self.store.was_carried(self.source, self.used);
    }
}

/// # Safety
/// Called by N-API as a function made with a share of a turn.
unsafe extern "C" fn on_end(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, turn: &Rc<Turn>, _| {
            turn.end();
            Ok(engine.undefined())
        })
    }
}
