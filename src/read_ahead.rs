//! The turn of the event loop in which a snapshot may answer questions, and the snapshots of the current one.
//!
//! A turn is what runs after a wake-up settled promises, up to the moment the engine hands over to any other callback: the
//! microtasks of those promises and all that these start. Its end is caught by a microtask, queued before anything is
//! settled, that calls `process.nextTick` (`afterTurn` in `index.js`): Node.js runs that tick after all chained microtasks
//! and, because it is the first, before any other callback, those of other ticks included. `nextTick` by itself could come
//! before the microtasks, `setImmediate` after other callbacks. A runtime that orders them otherwise ends the turn
//! earlier, never later than its own tick.
//!
//! One wake-up may settle several answers about an execution, and an answer may be settled late. So a snapshot answers only
//! while no newer answer about its execution has been settled on this thread: [`idioteque_redis_core::store::recency`] says which is newer.
//! And it answers only while it is hardly older than an answer to a question that is asked instead would be:
//! [`idioteque_redis_core::store::freshness`] says how old that is.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use idioteque_redis_core::moment::Moment;
use idioteque_redis_core::store::habits::{Executions, Place, has_place};
use idioteque_redis_core::store::prefetch_policy::{Carried, Depth, Used};
use idioteque_redis_core::store::recency::{Begun, InFlight, is_older};
use idioteque_redis_core::store::{Answer, Call, ExecutionHash, Operation, Position, Prefetch, Snapshot};
use napi::sys;
use rustc_hash::FxHashMap;

use crate::native_store::NativeStore;
use crate::node_api::{Engine, EnvHandle, Thrown, Value};
use crate::outbox::Outbox;
use crate::scheduled::Scheduled;

/// The current turn of one environment.
pub struct ReadAhead {
    snapshots: RefCell<FxHashMap<ExecutionHash, CachedSnapshot>>,
    /// The end of this turn is going to be noticed: without that, nothing is held.
    watched: Cell<bool>,
    /// What happens to executions while calls about them are in flight.
    in_flight: RefCell<InFlight>,
    /// What is remembered of executions.
    executions: RefCell<Executions>,
    /// Counts wake-ups: two events with the same number may be in the same turn.
    wake_up: Cell<u64>,
    /// When the last one came.
    woken_at: Cell<Moment>,
    /// The call that was settled last: whether it should have carried a read shows in the question that follows it.
    last: Cell<Last>,
    /// The call that was sent last.
    sent: Cell<Sent>,
    /// What notices its end.
    over: RefCell<Option<Scheduled>>,
    /// What is sent then.
    outbox: Rc<Outbox>,
}

/// A snapshot and where it came from.
struct CachedSnapshot {
    store: Rc<NativeStore>,
    source: Source,
    id: Vec<u8>,
    snapshot: Box<Snapshot>,
    /// The position of the answer that it came with.
    position: Option<Position>,
    /// A newer answer about the execution has been settled since: it answers nothing any more, and is only kept to see
    /// whether it would have.
    outdated: bool,
    /// Until when it may answer questions.
    fresh_until: Moment,
    /// A question came after that.
    aged: bool,
    /// What it has answered, or would have.
    used: Used,
}

/// A call that brings snapshots, as far as prefetch policies distinguish them.
#[derive(Clone, Copy)]
struct Source {
    kind: Operation,
    depth: Depth,
    prefetch: Prefetch,
    /// The call that could have carried this one, if it was a question that was asked behind another call.
    behind: Option<(Operation, Depth)>,
}

/// The call that was settled last and the turn it belongs to.
#[derive(Clone, Copy)]
struct Last {
    wake_up: u64,
    source: Source,
    /// Until when what it might have carried would have answered questions.
    fresh_until: Moment,
    /// Only the prefetch policy depends on it, so that two executions with the same hash cost no more than a wrong guess.
    execution: ExecutionHash,
}

/// The call that was sent last and the turn it belongs to.
#[derive(Clone, Copy)]
struct Sent {
    wake_up: u64,
    kind: Operation,
    execution: ExecutionHash,
}

impl Last {
    const NONE: Last = Last {
        wake_up: 0,
        source: Source {
            kind: Operation::IsTaskInProgress,
            depth: Depth::Function,
            prefetch: Prefetch::Nothing,
            behind: None,
        },
        fresh_until: Moment::NEVER,
        execution: ExecutionHash::NONE,
    };
}

impl Sent {
    const NONE: Sent = Sent { wake_up: 0, kind: Operation::IsTaskInProgress, execution: ExecutionHash::NONE };
}

impl ReadAhead {
    /// The turns of an environment. `after_turn` calls a function when the turn is over; in a runtime without the means to
    /// notice that it is `undefined`, and no snapshot is ever held.
    pub fn new(env: &EnvHandle, after_turn: Value, outbox: Rc<Outbox>) -> Result<Rc<ReadAhead>, Thrown> {
        let turn = Rc::new(ReadAhead {
            snapshots: RefCell::default(),
            watched: Cell::new(false),
            in_flight: RefCell::default(),
            executions: RefCell::default(),
            wake_up: Cell::new(0),
            woken_at: Cell::new(Moment::now()),
            last: Cell::new(Last::NONE),
            sent: Cell::new(Sent::NONE),
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
        self.woken_at.set(Moment::now());
        let over = self.over.borrow();
        self.watched.set(has_snapshot && over.as_ref().is_some_and(Scheduled::ask));
    }

    /// Whether the end of this turn is going to be noticed, and what is to be sent then is sent.
    pub fn is_watched(&self) -> bool {
        self.watched.get()
    }

    /// A call about an execution begins.
    pub fn begin_call(&self, execution: ExecutionHash) -> Begun {
        self.in_flight.borrow_mut().begin(execution)
    }

    /// A call is about to be settled, with an answer of this position. `failed` makes invalid what is known of its execution: a
    /// write may have happened all the same, and after any failure it is better to ask again. Returns whether what it brought
    /// may be held: it may not if a newer answer, or one that cannot be compared, was settled while it was in flight, or a
    /// write began.
    pub fn end_call(&self, begun: &Begun, position: Option<Position>, failed: bool) -> bool {
        let is_newest = self.in_flight.borrow_mut().end(begun, position);
        if failed {
            self.forget(begun.execution);
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

    /// When the wake-up came that this turn began with.
    pub fn woken_at(&self) -> Moment {
        self.woken_at.get()
    }

    /// Notes that a call was settled, with what it taught. `woken_at` is when the wake-up came that brought its answer: a large table
    /// is settled in a later one, and what came with it has aged meanwhile. `holds` is whether that may be held.
    pub fn settled(
        &self,
        store: &Rc<NativeStore>,
        (call, execution): (&Call, ExecutionHash),
        (position, woken_at): (Option<Position>, Moment),
        (snapshot, holds): (Option<Box<Snapshot>>, bool),
        behind: Option<(Operation, Depth)>,
    ) {
        let source = Source { kind: call.operation, depth: Depth::of(call.task()), prefetch: call.prefetch, behind };
        let fresh_until = position.map_or(Moment::NEVER, |position| {
            store.settled_after(position.written_at, woken_at, call.prefetch.is_for_results(call.operation))
        });
        self.last.set(Last { wake_up: self.wake_up.get(), source, fresh_until, execution });
        let mut executions = self.executions.borrow_mut();
        if let Some((place, asked)) = executions.settled(execution, call.operation, self.wake_up.get()) {
            store.was_asked(place, asked);
        }
        let Some(snapshot) = snapshot else { return };
        if let Some(tasks) = snapshot.tasks() {
            executions.note_tasks(execution, tasks);
        }
        if !holds || !self.watched.get() {
            store.was_carried(source.kind, source.depth, source.prefetch, Carried::Unused);
            return;
        }
        let held = CachedSnapshot {
            store: store.clone(),
            source,
            id: call.id().to_vec(),
            snapshot,
            position,
            outdated: false,
            fresh_until,
            aged: false,
            used: Used::default(),
        };
        if let Some(previous) = self.snapshots.borrow_mut().insert(execution, held) {
            previous.learn();
        }
    }

    /// The snapshot's answer to a question, if there is one in this turn.
    pub fn answer(
        &self,
        store: &Rc<NativeStore>,
        kind: Operation,
        (id, execution): (&[u8], ExecutionHash),
        task: &[u8],
    ) -> Option<Answer> {
        let mut snapshots = self.snapshots.borrow_mut();
        if snapshots.is_empty() {
            return None;
        }
        let held = snapshots.get_mut(&execution).filter(|held| held.id == id && Rc::ptr_eq(&held.store, store))?;
        let answer = held.snapshot.answer(kind, task)?;
        held.aged |= Moment::now() > held.fresh_until;
        let is_valid = !held.outdated && !held.aged;
        self.executions.borrow_mut().asks(execution, kind, self.wake_up.get(), held.aged);
        held.used.note(kind, is_valid);
        if held.used.tasks
            && let Some((behind, depth)) = held.source.behind.take()
        {
            store.could_have_carried(behind, depth, kind);
        }
        Some(answer).filter(|_| is_valid)
    }

    /// The call before it in this turn, if that is about the same execution: then the two have not waited for each other, as those of
    /// steps side by side do not. Notes the call.
    pub fn beside(&self, kind: Operation, execution: ExecutionHash) -> Option<Operation> {
        let wake_up = self.wake_up.get();
        let before = self.sent.replace(Sent { wake_up, kind, execution });
        (before.wake_up == wake_up && before.execution == execution).then_some(before.kind)
    }

    /// Whether the call that was settled last is about this execution too, and was answered in the same wake-up.
    pub fn settles_with_another(&self, execution: ExecutionHash) -> bool {
        let last = self.last.get();
        last.wake_up == self.wake_up.get() && last.execution == execution
    }

    /// What decides what a call about an execution should carry: whether that is known to have few tasks, and the last call about it
    /// that has a place.
    pub fn expects(&self, execution: ExecutionHash) -> (bool, Place) {
        let executions = self.executions.borrow();
        (executions.has_few_tasks(execution), executions.place(execution))
    }

    /// A call about an execution begins: what was asked after the one before it is what to expect there the next time.
    pub fn comes_to(&self, store: &NativeStore, kind: Operation, execution: ExecutionHash, task: &[u8]) {
        if !has_place(kind) {
            return;
        }
        let asked = self.executions.borrow_mut().begin(execution, kind, task, self.wake_up.get());
        if let Some((place, asked)) = asked {
            store.was_asked(place, asked);
        }
    }

    /// A question has to be sent: notes for the prefetch policy whether the call before it could have carried it. Returns that
    /// call if it could carry more than this question.
    pub fn missed(
        &self,
        store: &NativeStore,
        asked: Operation,
        execution: ExecutionHash,
    ) -> Option<(Operation, Depth)> {
        let (last, wake_up) = (self.last.get(), self.wake_up.get());
        let follows = last.wake_up == wake_up && last.execution == execution;
        let is_late = follows && Moment::now() > last.fresh_until;
        self.executions.borrow_mut().asks(execution, asked, wake_up, is_late);
        if !follows || is_late {
            return None;
        }
        let Source { kind, depth, behind, .. } = last.source;
        store.could_have_carried(kind, depth, asked);
        if let Some((kind, depth)) = behind
            && asked != Operation::IsExecutionInProgress
        {
            store.could_have_carried(kind, depth, asked);
        }
        (asked == Operation::IsExecutionInProgress).then_some((kind, depth))
    }

    /// Something about an execution is known, or has changed, that no call of this store shows: what is known of it, and what calls in
    /// flight bring besides their own answers, no longer holds.
    pub fn forget(&self, execution: ExecutionHash) {
        self.in_flight.borrow_mut().invalidate(execution);
        let mut snapshots = self.snapshots.borrow_mut();
        if !snapshots.is_empty()
            && let Some(held) = snapshots.remove(&execution)
        {
            held.learn();
        }
    }

    /// A write about one of its tasks begins.
    pub fn forget_task(&self, execution: ExecutionHash, task: &[u8]) {
        self.in_flight.borrow_mut().invalidate(execution);
        let mut snapshots = self.snapshots.borrow_mut();
        if !snapshots.is_empty()
            && let Some(held) = snapshots.get_mut(&execution)
        {
            held.snapshot.forget_task(task);
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
        let carried = match self.used {
            used if used == Used::default() => Carried::Unused,
            used if self.aged => Carried::TooLate(used),
            used => Carried::Used(used),
        };
        let Source { kind, depth, prefetch, .. } = self.source;
        self.store.was_carried(kind, depth, prefetch, carried);
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
