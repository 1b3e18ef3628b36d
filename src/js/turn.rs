//! The turn of the event loop in which a snapshot may answer questions, and the snapshots of the current one.
//!
//! A turn is what runs after a wake-up settled promises, up to the moment the engine hands over to any other callback: the
//! microtasks of those promises and all that these start. Its end is caught by a microtask, queued before anything is
//! settled, that calls `process.nextTick` (`afterTurn` in `index.js`): Node.js runs that tick after all chained microtasks
//! and, because it is the first, before any other callback, those of other ticks included. `nextTick` by itself could come
//! before the microtasks, `setImmediate` after other callbacks. A runtime that orders them otherwise ends the turn
//! earlier, never later than its own tick.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use napi::sys;

use super::engine::{Engine, Reference, Thrown, Type, Value};
use super::store_object::Store;
use crate::store::{Answer, Kind, Snapshot};

/// The current turn of one environment. Executions go by the [`fingerprint`](crate::store::fingerprint) of their ids
/// wherever a mistaken identity costs no more than a hit.
pub struct Turn {
    snapshots: RefCell<HashMap<u64, Held>>,
    /// The end of this turn is going to be noticed: without that, nothing is held.
    watched: Cell<bool>,
    /// Calls in flight that carry something, by their execution.
    carrying: RefCell<HashMap<u64, Carrying>>,
    /// Counts wake-ups: two events with the same number may be in the same turn.
    wake_up: Cell<u64>,
    /// The call that was settled last: what it might have carried is learnt from the question that follows it.
    settled: Cell<Option<Last>>,
    /// The call that was sent last.
    sent: Cell<Option<Last>>,
    hooks: RefCell<Option<Hooks>>,
}

/// A snapshot and where it came from.
struct Held {
    id: Vec<u8>,
    store: Rc<Store>,
    source: Kind,
    snapshot: Box<Snapshot>,
    used: bool,
}

/// The calls in flight for one execution that carry something.
#[derive(Default)]
struct Carrying {
    calls: u32,
    /// Writes that began or ended meanwhile, and errors: what was read before is then out of date.
    changes: u32,
}

/// A call and the turn it belongs to.
#[derive(Clone, Copy)]
struct Last {
    wake_up: u64,
    kind: Kind,
    execution: u64,
}

/// What notices the end of a turn.
struct Hooks {
    after_turn: Reference,
    on_end: Reference,
}

impl Turn {
    /// The turns of an environment. `after_turn` calls a function when the turn is over; in a runtime without the means to
    /// notice that it is `undefined`, and no snapshot is ever held.
    pub fn new(engine: Engine, after_turn: Value) -> Result<Rc<Turn>, Thrown> {
        let turn = Rc::new(Turn {
            snapshots: RefCell::default(),
            watched: Cell::new(false),
            carrying: RefCell::default(),
            wake_up: Cell::new(0),
            settled: Cell::default(),
            sent: Cell::default(),
            hooks: RefCell::default(),
        });
        if engine.type_of(after_turn) == Type::Function {
            let on_end = engine.function_sharing("turnEnded", on_end, turn.clone())?;
            turn.hooks.replace(Some(Hooks { after_turn: engine.keep(after_turn)?, on_end: engine.keep(on_end)? }));
        }
        Ok(turn)
    }

    /// A wake-up begins to settle promises: what is left of an earlier turn is over. `teaches` is whether any of the calls
    /// brought a snapshot.
    pub fn begin(&self, engine: Engine, teaches: bool) {
        self.end();
        if teaches && let Some(hooks) = &*self.hooks.borrow() {
            let (after_turn, on_end) = (engine.kept(&hooks.after_turn), engine.kept(&hooks.on_end));
            self.watched.set(engine.call(after_turn, engine.undefined(), &[on_end]).is_ok());
        }
    }

    /// A call is sent that carries something. Returns what is to be given to [`Turn::has_landed`].
    pub fn takes_off(&self, execution: u64) -> u32 {
        let mut carrying = self.carrying.borrow_mut();
        let carrying = carrying.entry(execution).or_default();
        carrying.calls += 1;
        carrying.changes
    }

    /// A call that carries something has been answered: whether what it brought is still good, because its execution was
    /// not written to since it was sent, through any store.
    pub fn has_landed(&self, execution: u64, changes: u32) -> bool {
        let mut all = self.carrying.borrow_mut();
        let Some(carrying) = all.get_mut(&execution) else { return false };
        let good = carrying.changes == changes;
        carrying.calls -= 1;
        if carrying.calls == 0 {
            all.remove(&execution);
        }
        good
    }

    /// Notes that a call was settled.
    pub fn settled(&self, kind: Kind, execution: u64) {
        self.settled.set(Some(Last { wake_up: self.wake_up.get(), kind, execution }));
    }

    /// Holds what a call taught for the rest of the turn.
    pub fn hold(&self, store: &Rc<Store>, source: Kind, execution: u64, id: &[u8], snapshot: Box<Snapshot>) {
        if !self.watched.get() {
            return;
        }
        let held = Held { id: id.to_vec(), store: store.clone(), source, snapshot, used: false };
        if let Some(previous) = self.snapshots.borrow_mut().insert(execution, held) {
            previous.learn();
        }
    }

    /// The snapshot's answer to a question, if there is one in this turn.
    pub fn answer(&self, store: &Rc<Store>, kind: Kind, execution: u64, id: &[u8], task: &[u8]) -> Option<Answer> {
        let mut snapshots = self.snapshots.borrow_mut();
        if snapshots.is_empty() {
            return None;
        }
        let held = snapshots.get_mut(&execution).filter(|held| Rc::ptr_eq(&held.store, store) && held.id == id)?;
        let answer = held.snapshot.answer(kind, task)?;
        held.used = true;
        Some(answer)
    }

    /// Whether another call for the same execution was sent in this turn. Then this one has not waited for that one's answer:
    /// they are made side by side, as for steps side by side, and what the first of them carries is enough. Notes the call.
    pub fn is_beside(&self, kind: Kind, execution: u64) -> bool {
        let this = Last { wake_up: self.wake_up.get(), kind, execution };
        let last = self.sent.replace(Some(this));
        last.is_some_and(|last| last.wake_up == this.wake_up && last.execution == execution)
    }

    /// A question has to be sent: learns from it whether the call before it should have carried it.
    pub fn missed(&self, store: &Store, asked: Kind, execution: u64) {
        if let Some(last) = self.settled.get()
            && last.wake_up == self.wake_up.get()
            && last.execution == execution
        {
            store.could_have_carried(last.kind, asked);
        }
    }

    /// A write to an execution begins or ends, or a call for it failed: what is known of it no longer holds.
    pub fn forget(&self, execution: u64) {
        if let Some(carrying) = self.carrying.borrow_mut().get_mut(&execution) {
            carrying.changes = carrying.changes.wrapping_add(1);
        }
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
