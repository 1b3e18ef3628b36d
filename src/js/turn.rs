//! The turn of the event loop in which a snapshot may answer questions, and the snapshots of the current one.
//!
//! A turn is what runs after a wake-up settled promises, up to the moment the engine hands over to any other callback: the
//! microtasks of those promises and all that these start. Its end is caught by a microtask, queued while settling, that
//! calls `process.nextTick`: Node.js runs that tick after all chained microtasks and before any other callback. `nextTick`
//! by itself would come before the microtasks, `setImmediate` after other callbacks. A runtime that orders them otherwise
//! ends the turn earlier, never later than its own tick.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use napi::sys;

use super::engine::{Engine, Reference, Thrown, Type};
use super::store_object::Store;
use crate::store::{Answer, Kind, Snapshot};

/// The current turn of one environment.
pub struct Turn {
    snapshots: RefCell<HashMap<Vec<u8>, Held>>,
    /// The end of this turn is going to be noticed.
    watched: Cell<bool>,
    /// Counts wake-ups: two events with the same number may be in the same turn.
    wake_up: Cell<u64>,
    /// The call that was settled last: what it might have carried is learnt from the question that follows it.
    last: RefCell<Last>,
    hooks: RefCell<Option<Hooks>>,
}

/// A snapshot and where it came from.
struct Held {
    store: Rc<Store>,
    source: Kind,
    snapshot: Box<Snapshot>,
    used: bool,
}

struct Last {
    wake_up: u64,
    kind: Kind,
    id: Vec<u8>,
}

/// What notices the end of a turn.
struct Hooks {
    queue_microtask: Reference,
    process: Reference,
    next_tick: Reference,
    on_microtask: Reference,
    on_tick: Reference,
}

impl Turn {
    /// The turns of an environment. In a runtime without the means to notice their end, no snapshot is ever held.
    pub fn new(engine: Engine) -> Result<Rc<Turn>, Thrown> {
        let turn = Rc::new(Turn {
            snapshots: RefCell::default(),
            watched: Cell::new(false),
            wake_up: Cell::new(0),
            last: RefCell::new(Last { wake_up: 0, kind: Kind::Dispose, id: Vec::new() }),
            hooks: RefCell::default(),
        });
        let global = engine.global()?;
        let queue_microtask = engine.get(global, c"queueMicrotask")?;
        let process = engine.get(global, c"process")?;
        if engine.type_of(queue_microtask) != Type::Function || engine.type_of(process) != Type::Object {
            return Ok(turn);
        }
        let next_tick = engine.get(process, c"nextTick")?;
        if engine.type_of(next_tick) != Type::Function {
            return Ok(turn);
        }
        let on_microtask = engine.function_sharing("turnMayEnd", on_microtask, turn.clone())?;
        let on_tick = engine.function_sharing("turnEnded", on_tick, turn.clone())?;
        turn.hooks.replace(Some(Hooks {
            queue_microtask: engine.keep(queue_microtask)?,
            process: engine.keep(process)?,
            next_tick: engine.keep(next_tick)?,
            on_microtask: engine.keep(on_microtask)?,
            on_tick: engine.keep(on_tick)?,
        }));
        Ok(turn)
    }

    /// A wake-up begins to settle promises.
    pub fn begin(&self) {
        self.wake_up.set(self.wake_up.get() + 1);
    }

    /// Notes that a call was settled, with what it taught.
    pub fn settled(&self, store: &Rc<Store>, kind: Kind, id: &[u8], snapshot: Option<Box<Snapshot>>) {
        let mut last = self.last.borrow_mut();
        (last.wake_up, last.kind) = (self.wake_up.get(), kind);
        last.id.clear();
        last.id.extend_from_slice(id);
        if let Some(snapshot) = snapshot
            && self.hooks.borrow().is_some()
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

    /// A question has to be sent: learns from it whether the call before it should have carried it.
    pub fn missed(&self, store: &Store, asked: Kind, id: &[u8]) {
        let last = self.last.borrow();
        if last.wake_up == self.wake_up.get() && last.id == id {
            store.could_have_carried(last.kind, asked);
        }
    }

    /// What is known of an execution no longer holds.
    pub fn forget(&self, id: &[u8]) {
        let mut snapshots = self.snapshots.borrow_mut();
        if !snapshots.is_empty()
            && let Some(held) = snapshots.remove(id)
        {
            held.learn();
        }
    }

    /// Has the end of the turn noticed, if there is anything to drop then. To be called at the end of a wake-up.
    pub fn watch(&self, engine: Engine) {
        if self.watched.get() || self.snapshots.borrow().is_empty() {
            return;
        }
        let hooks = self.hooks.borrow();
        let queued = hooks.as_ref().map(|hooks| {
            let (queue, microtask) = (engine.kept(&hooks.queue_microtask), engine.kept(&hooks.on_microtask));
            engine.call(queue, engine.undefined(), &[microtask])
        });
        match queued {
            Some(Ok(_)) => self.watched.set(true),
            // Nobody would drop them in time.
            _ => self.end(),
        }
    }

    fn may_end(&self, engine: Engine) {
        let hooks = self.hooks.borrow();
        let ticked = hooks.as_ref().map(|hooks| {
            let (process, tick) = (engine.kept(&hooks.process), engine.kept(&hooks.on_tick));
            engine.call(engine.kept(&hooks.next_tick), process, &[tick])
        });
        if !matches!(ticked, Some(Ok(_))) {
            self.end();
        }
    }

    /// The turn is over: drops all that was known.
    pub fn end(&self) {
        self.watched.set(false);
        // Another wake-up number, so that what follows is not taken for a part of this turn.
        self.begin();
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
unsafe extern "C" fn on_microtask(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, turn: &Rc<Turn>, _| {
            turn.may_end(engine);
            Ok(engine.undefined())
        })
    }
}

/// # Safety
/// Called by N-API as a function made with a share of a turn.
unsafe extern "C" fn on_tick(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, turn: &Rc<Turn>, _| {
            turn.end();
            Ok(engine.undefined())
        })
    }
}
