//! Finished calls, back to their promises: one thread-safe function per environment, many calls per wake-up.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::moment::Moment;
use idioteque_redis_core::store::answer::{Results, SplicedResults};
use idioteque_redis_core::store::cluster_steps::Act;
use idioteque_redis_core::store::{Answer, Call, Reply};
use idioteque_redis_core::transport::{Finished, Pong, Request, Warning, milliseconds};
use napi::sys;

use crate::answer_poll;
use crate::backlog::Backlog;
use crate::completion_queue::{Arrived, NamedEvent};
use crate::environment::{Environment, PendingPromise};
use crate::native_store::NativeStore;
use crate::node_api::{Engine, Kept, Thrown, Type, Value};
use crate::scheduled::Scheduled;
use crate::seen::TracedCall;
use crate::{error, results};

/// How long promises may be settled before the event loop gets its turn.
const SLICE: Duration = Duration::from_millis(4);
/// Calls settled between two readings of the clock.
const CALLS_PER_LOOK: usize = 64;
/// Bytes of results after which the clock is looked at before that: to parse so many takes a fraction of a millisecond.
const BYTES_PER_LOOK: usize = 32 * 1024;
/// Calls settled before their continuations run: these take time too, and of the same slice.
const CALLS_AT_ONCE: usize = 256;

/// What the thread-safe function holds: the environment, and what one wake-up left for the next.
struct Drainer {
    environment: Rc<Environment>,
    /// `emitWarning(message, code)` of `index.js`
    emit_warning: Option<Kept>,
    /// `publish(name, json)` of `index.js`
    publish: Option<Kept>,
    /// What waits to be settled, with tables of many results that are not complete.
    backlog: RefCell<Backlog<Partly>>,
    /// When the first large batch since the event loop's last turn began. While it is set, the turn is going to be noticed.
    began: Cell<Option<Instant>>,
    /// What notices a turn of the event loop. Calling the thread-safe function again would not do: Node.js goes on with its
    /// queue for as long as anything is in it.
    next_turn: RefCell<Option<Scheduled>>,
}

/// What has been made of an answer that takes several goes.
struct Partly {
    table: Kept,
    /// When the wake-up came that began it.
    woken_at: Moment,
}

/// What a promise is settled with whose answer took several goes, and when the wake-up came that began it.
struct Made {
    outcome: Result<Value, Value>,
    woken_at: Moment,
}

/// Gives the completion queue of an environment its thread-safe function, a weak one: it alone keeps no process alive.
///
/// `set_immediate` calls a function in the next turn of the event loop; `undefined` where the runtime cannot. `emit_warning`
/// passes a warning on to the process; `undefined` in runtimes without warnings. `publish` publishes an event. `uses_libuv` says that
/// the event loop is libuv's, whose functions others have for show.
pub fn connect(
    environment: &Rc<Environment>,
    uses_libuv: bool,
    set_immediate: Value,
    emit_warning: Value,
    publish: Value,
) -> Result<(), Thrown> {
    let engine = environment.engine();
    let keep = |value| match engine.type_of(value) {
        Type::Function => environment.handle.keep(value).map(Some),
        _ => Ok(None),
    };
    let drainer = Rc::new(Drainer {
        environment: environment.clone(),
        emit_warning: keep(emit_warning)?,
        publish: keep(publish)?,
        backlog: RefCell::default(),
        began: Cell::new(None),
        next_turn: RefCell::default(),
    });
    drainer.next_turn.replace(Scheduled::new(
        &environment.handle,
        set_immediate,
        "settleMore",
        on_turn,
        drainer.clone(),
    )?);
    let polled = drainer.clone();
    let drainer = Rc::into_raw(drainer).cast_mut().cast::<c_void>();
    let name = engine.text(b"idioteque-redis")?;
    let mut function = ptr::null_mut();
    // SAFETY: on the environment's own thread; the drainer is freed by the finaliser, which runs once, after the last callback.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            engine.raw(),
            ptr::null_mut(),
            ptr::null_mut(),
            name.0,
            0,
            1,
            drainer,
            Some(leave),
            drainer,
            Some(on_wakeup),
            &mut function,
        )
    };
    if status != sys::Status::napi_ok {
        // SAFETY: N-API did not take the drainer.
        drop(unsafe { Rc::from_raw(drainer.cast::<Drainer>()) });
        return Err(engine.caught());
    }
    // SAFETY: as above. The function is weak from now on; the completion queue alone releases it.
    unsafe {
        sys::napi_unref_threadsafe_function(engine.raw(), function);
        environment.completions.open(function);
    }
    if uses_libuv {
        answer_poll::start(environment, move || polled.settle());
    }
    Ok(())
}

/// # Safety
/// Called by N-API, once, with the drainer that `connect` made.
unsafe extern "C" fn leave(_: sys::napi_env, drainer: *mut c_void, _: *mut c_void) {
    // SAFETY: see above.
    drop(unsafe { Rc::from_raw(drainer.cast::<Drainer>()) });
}

/// # Safety
/// Called by N-API as a function made with a share of a drainer.
unsafe extern "C" fn on_turn(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, drainer: &Rc<Drainer>, _| {
            drainer.began.set(None);
            drainer.drain();
            Ok(engine.undefined())
        })
    }
}

/// # Safety
/// Called by N-API on the environment's thread with the drainer; without an environment when that is ending.
unsafe extern "C" fn on_wakeup(env: sys::napi_env, _: sys::napi_value, drainer: *mut c_void, _: *mut c_void) {
    if env.is_null() || drainer.is_null() {
        return;
    }
    // SAFETY: the drainer exists until `leave`.
    let drainer = unsafe { &*drainer.cast::<Drainer>() };
    // A panic must not cross into the engine. A promise whose settling panicked stays pending; the others are served.
    let _ = catch_unwind(AssertUnwindSafe(|| drainer.settle()));
}

impl Drainer {
    /// Settles what has come, unless the event loop's next turn comes first, in which `on_turn` goes on.
    fn settle(&self) {
        if !self.is_overdue() {
            self.drain();
        }
    }

    /// Takes what has come, and settles calls until there are none left, or what is awaiting them or the event loop is due.
    /// Node.js runs the continuations of what was settled when the callback that did it returns.
    fn drain(&self) {
        let environment = &self.environment;
        if environment.handle.has_ended() {
            return;
        }
        let Arrived { answers, finished, questions, warnings, events, pongs, closed } = environment.completions.take();
        for warning in warnings {
            environment.engine().scope(|| self.emit(&warning));
        }
        for event in events {
            environment.engine().scope(|| self.publish(&event));
        }
        for (token, pong) in pongs {
            environment.engine().scope(|| settle_ping(environment, token, pong));
        }
        for (token, outcome) in answers {
            environment.engine().scope(|| crate::console::settle(environment, token, outcome));
        }
        for question in questions {
            environment.engine().scope(|| question.answer(&environment.clients));
        }
        for token in closed {
            environment.engine().scope(|| environment.end_closing(token));
        }
        for delivery in finished {
            let first = delivery.calls.as_slice().first();
            let store = first.and_then(|first| environment.store_of(first.request.token));
            self.backlog.borrow_mut().push(store.as_ref().map_or(0, lane_of), delivery);
        }
        let has_snapshot = self.backlog.borrow().has_snapshot(CALLS_AT_ONCE);
        environment.turn.begin(has_snapshot);
        let started = self.began.get().unwrap_or_else(Instant::now);
        let (mut calls, mut bytes) = (0, 0);
        while calls < CALLS_AT_ONCE && bytes < BYTES_PER_LOOK {
            environment.engine().scope(|| {
                for _ in 0..CALLS_PER_LOOK {
                    let Some(settled) = self.settle_next() else { break };
                    bytes += settled;
                    if bytes >= BYTES_PER_LOOK {
                        break;
                    }
                }
            });
            calls += CALLS_PER_LOOK;
            let elapsed = started.elapsed();
            if self.backlog.borrow().is_empty() {
                // More may be coming as fast as it is settled.
                if elapsed >= SLICE / 4 {
                    self.watch(started);
                }
                return;
            }
            if elapsed >= SLICE {
                break;
            }
        }
        // When the event loop is due, its next turn goes on. Otherwise Node.js comes back after the continuations.
        if !self.watch(started) || !self.is_overdue() {
            environment.completions.call_again();
        }
    }

    /// Settles the next call, or goes on with its answer when that is large. Returns the bytes that were parsed, `None` when there
    /// is nothing to settle.
    fn settle_next(&self) -> Option<usize> {
        let environment = &self.environment;
        let (mut finished, partly) = self.backlog.borrow_mut().next()?;
        let (token, call) = (finished.request.token, &finished.request.call);
        let Some(results) = many_results(&mut finished.outcome, partly.is_some()) else {
            return Some(settle_call(environment, finished, None));
        };
        let Some(store) = environment.store_of(token) else { return Some(settle_call(environment, finished, None)) };
        let text = if partly.is_none() { Some(&results.object) } else { results.arrays.front() };
        let bytes = text.map_or(0, Vec::len);
        let (table, woken_at) = match partly {
            Some(Partly { table, woken_at }) => (Some(table), woken_at),
            None => (None, environment.turn.woken_at()),
        };
        let outcome = match results::parse_next(&store.realm, call, results, table) {
            Ok(table) if !results.arrays.is_empty() => {
                self.backlog.borrow_mut().put_back(lane_of(&store), finished, Partly { table, woken_at });
                return Some(bytes);
            }
            Ok(table) => Ok(table.value()),
            Err(error) => Err(error),
        };
        settle_call(environment, finished, Some(Made { outcome, woken_at }));
        Some(bytes)
    }

    /// Passes a warning on. Node.js emits it later, so that nothing of it can throw here.
    fn emit(&self, warning: &Warning) {
        let (engine, Some(emit_warning)) = (self.environment.engine(), &self.emit_warning) else { return };
        let texts = [warning.message.as_bytes(), warning.code.as_bytes()].map(|text| engine.text(text));
        if let [Ok(message), Ok(code)] = texts {
            let _ = engine.call(emit_warning.value(), engine.undefined(), &[message, code]);
        }
    }

    /// Publishes an event. What subscribers throw, Node.js reports.
    fn publish(&self, NamedEvent(name, json): &NamedEvent) {
        let (engine, Some(publish)) = (self.environment.engine(), &self.publish) else { return };
        if let [Ok(name), Ok(json)] = [name.as_bytes(), json.as_bytes()].map(|text| engine.text(text)) {
            let _ = engine.call(publish.value(), engine.undefined(), &[name, json]);
        }
    }

    /// Whether promises have been settled for long enough since the event loop's last turn.
    fn is_overdue(&self) -> bool {
        self.began.get().is_some_and(|began| began.elapsed() >= SLICE)
    }

    /// Asks to be called in the next turn of the event loop; false where that is impossible.
    fn watch(&self, began: Instant) -> bool {
        if self.began.get().is_some() {
            return true;
        }
        let next_turn = self.next_turn.borrow();
        let is_watched = next_turn.as_ref().is_some_and(Scheduled::ask);
        if is_watched {
            self.began.set(Some(began));
        }
        is_watched
    }
}

/// Settles the promise of a ping.
fn settle_ping(environment: &Environment, token: u32, pong: Pong) {
    let Some((deferred, store)) = environment.end_ping(token) else { return };
    match pong {
        Ok(took) => {
            let engine = environment.engine();
            engine.settle(deferred, Ok(engine.number(milliseconds(took))));
        }
        Err(error) => store.realm.reject(deferred, error::store_error(&store.realm, &error, None)),
    }
}

/// Takes the mark of a claim back whose caller was told that it failed, and that may have been carried out all the same. Nobody waits
/// for that, and where it fails as well, the mark stays.
fn withdraw(environment: &Environment, pending: &PendingPromise, claim: &Call) {
    let store = &pending.store;
    let connection = store.connection_of_calls().filter(|_| pending.database == store.database());
    let (Some(connection), Ok((deferred, _))) = (connection, environment.engine().promise()) else { return };
    let call = claim.withdrawal();
    store.call_begun(call.size());
    let token = environment.begin_call(deferred, store.clone(), (&call, pending.begun.execution), (None, false), None);
    let request = Request::new(call, token, environment.completions.clone());
    environment.outbox.send(connection, request, environment.turn.is_watched());
}

/// What tells a store from others.
fn lane_of(store: &Rc<NativeStore>) -> usize {
    Rc::as_ptr(store).addr()
}

/// The results of a call, if they come in several texts.
fn many_results(outcome: &mut Result<Reply, Box<StoreError>>, is_begun: bool) -> Option<&mut SplicedResults> {
    let Ok(Reply { answer: Answer::Results(results), .. }) = outcome else { return None };
    results.check();
    match results {
        Results::Spliced(results) if is_begun || !results.arrays.is_empty() => Some(results),
        _ => None,
    }
}

/// Settles the promise of a call, and passes its answer on to the read-ahead of its execution. `made` is what the promise is
/// settled with, if that has been made of the answer already. Returns the bytes of its result.
fn settle_call(environment: &Environment, finished: Finished, made: Option<Made>) -> usize {
    let Some(pending) = environment.end_call(finished.request.token) else { return 0 };
    let mut traced = TracedCall::sent(&finished);
    let call = &finished.request.call;
    let (turn, position) = (&environment.turn, finished.position);
    let is_newest = turn.end_call(&pending.begun, position, finished.outcome.is_err());
    if call.act == Act::Withdraw {
        environment.engine().settle(pending.deferred, Ok(environment.engine().undefined()));
        pending.store.call_ended(pending.bytes, environment);
        return 0;
    }
    // One that was refused as well: a script may have been in the middle.
    if finished.outcome.is_err() && call.is_claim() && finished.request.attempts() > 0 {
        withdraw(environment, &pending, call);
    }
    let mut bytes = 0;
    let outcome = match finished.outcome {
        // A promise settles as the one that it is resolved with.
        Err(error) => match pending.store.fall_back(call, &error) {
            Some(promise) => {
                pending.store.counts.handed_over();
                traced = TracedCall::carried();
                Ok(promise)
            }
            None => Err(error::store_error(&pending.store.realm, &error, Some(call))),
        },
        Ok(reply) => {
            // What another database holds answers no question about this one.
            let holds = is_newest && pending.database == pending.store.database();
            if pending.is_beside {
                pending.store.was_answered_beside(turn.settles_with_another(pending.begun.execution));
            }
            let woken_at = made.as_ref().map_or_else(|| turn.woken_at(), |made| made.woken_at);
            turn.settled(
                &pending.store,
                (call, pending.begun.execution),
                (position, woken_at),
                (reply.snapshot, holds),
                pending.behind,
            );
            bytes = reply.answer.size();
            match made {
                Some(made) => made.outcome,
                None => results::value_of(&pending.store.realm, call, reply.answer),
            }
        }
    };
    pending.store.note_traced(pending.trace, || traced);
    match outcome {
        Ok(value) => environment.engine().settle(pending.deferred, Ok(value)),
        Err(error) => {
            pending.store.counts.error();
            pending.store.realm.reject(pending.deferred, error);
        }
    }
    pending.store.call_ended(pending.bytes, environment);
    bytes
}
