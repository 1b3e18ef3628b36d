//! Calls of one turn of the event loop, which are sent together: each message to an HTTP endpoint costs, and so do each lock
//! of a connection's inbox and each wake-up of the I/O thread. They are kept until the turn is over, which is noticed as in
//! [`crate::read_ahead`], and before any other callback of the event loop runs.

use std::cell::{Cell, OnceCell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use idioteque_redis_core::store::{Call, Operation, Prefetch};
use idioteque_redis_core::transport::{AnswerWatch, Request, SharedConnection};
use napi::sys;

use crate::node_api::{Engine, EnvHandle, Thrown, Value};
use crate::scheduled::Scheduled;

/// So many calls are sent without waiting for more, so that the server begins to work on a long turn's calls: what one
/// pipeline or one HTTP request takes.
const MAX_KEPT: usize = 512;

/// What one environment has to send at the end of its turn.
pub struct Outbox {
    /// The calls for each connection, in the order in which they were made.
    queued: RefCell<Vec<(Arc<SharedConnection>, Vec<Request>)>>,
    /// The number of all of them.
    count: Cell<usize>,
    /// What notices the end of a turn.
    end: RefCell<Option<Scheduled>>,
    /// What this thread reads the answer to a lone call by, if it does.
    watch: OnceCell<Rc<AnswerWatch>>,
}

impl Outbox {
    /// The outbox of an environment. `after_turn` calls a function when the turn is over; in a runtime without the means to
    /// notice that it is `undefined`, and calls are sent one by one.
    pub fn new(env: &EnvHandle, after_turn: Value) -> Result<Rc<Outbox>, Thrown> {
        let outbox = Rc::new(Outbox {
            queued: RefCell::default(),
            count: Cell::new(0),
            end: RefCell::default(),
            watch: OnceCell::new(),
        });
        outbox.end.replace(Scheduled::new(env, after_turn, "sendQueued", on_end, outbox.clone())?);
        Ok(outbox)
    }

    /// From now on, this thread reads the answers to lone calls.
    #[cfg(target_os = "linux")]
    pub fn read_answers_by(&self, watch: Rc<AnswerWatch>) {
        let _ = self.watch.set(watch);
    }

    /// Sends a request over a connection when the turn is over. `is_watched` says that [`Outbox::flush`] will be called then
    /// without being asked for.
    pub fn send(&self, connection: Arc<SharedConnection>, request: Request, is_watched: bool) {
        let count = self.count.get() + 1;
        if count == 1 && !is_watched && !self.end.borrow().as_ref().is_some_and(Scheduled::ask) {
            return connection.send_all(vec![request], self.watch.get());
        }
        let mut queued = self.queued.borrow_mut();
        match queued.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &connection)) {
            Some((_, requests)) => requests.push(request),
            None => queued.push((connection, vec![request])),
        }
        drop(queued);
        self.count.set(count);
        if count >= MAX_KEPT {
            self.flush();
        }
    }

    /// Another call about an execution follows the last one that is kept: what that one carries would be older than the answer to the
    /// other, and is not read. Returns its kind and what it was, unless it is another store's: what is carried for that one, this one's
    /// call cannot bring.
    pub fn take_prefetch(&self, connection: &Arc<SharedConnection>, next: &Call) -> Option<(Operation, Prefetch)> {
        let mut queued = self.queued.borrow_mut();
        let (_, requests) = queued.iter_mut().find(|(other, _)| Arc::ptr_eq(other, connection))?;
        let call = &mut requests.last_mut()?.call;
        if call.id() != next.id() {
            return None;
        }
        let taken = (call.operation, call.take_prefetch());
        Arc::ptr_eq(&call.key_options, &next.key_options).then_some(taken)
    }

    /// The turn is over: sends what was kept. All of it, so that nothing is sent before what the environment called earlier.
    pub fn flush(&self) {
        for (connection, requests) in self.take() {
            connection.send_all(requests, self.watch.get());
        }
    }

    /// Drops what was kept, because the environment has ended: what was called earlier may have been sent, and none of
    /// this.
    pub fn clear(&self) {
        drop(self.take());
    }

    fn take(&self) -> Vec<(Arc<SharedConnection>, Vec<Request>)> {
        self.count.set(0);
        mem::take(&mut *self.queued.borrow_mut())
    }
}

/// # Safety
/// Called by N-API as a function made with a share of an outbox.
unsafe extern "C" fn on_end(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, outbox: &Rc<Outbox>, _| {
            outbox.flush();
            Ok(engine.undefined())
        })
    }
}
