//! Calls of one turn of the event loop that are to be sent together, because each message to their server costs: kept until
//! the turn is over, which is noticed as in [`crate::read_ahead`].

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use idioteque_redis_core::transport::{Request, SharedConnection};
use napi::sys;

use crate::node_api::{Engine, EnvHandle, Thrown, Value};
use crate::scheduled::Scheduled;

/// What one environment has to send at the end of its turn.
pub struct HttpOutbox {
    queued: RefCell<Vec<(Arc<SharedConnection>, Vec<Request>)>>,
    /// What notices the end of a turn.
    end: RefCell<Option<Scheduled>>,
}

impl HttpOutbox {
    /// The HTTP outbox of an environment. `after_turn` calls a function when the turn is over; in a runtime without the means to
    /// notice that it is `undefined`, and calls are sent one by one.
    pub fn new(env: &EnvHandle, after_turn: Value) -> Result<Rc<HttpOutbox>, Thrown> {
        let http_outbox = Rc::new(HttpOutbox { queued: RefCell::default(), end: RefCell::default() });
        http_outbox.end.replace(Scheduled::new(env, after_turn, "sendQueued", on_end, http_outbox.clone())?);
        Ok(http_outbox)
    }

    /// Sends a request over a connection, now or, where the connection gathers, when the turn is over.
    pub fn send(&self, connection: Arc<SharedConnection>, request: Request) {
        if !connection.gathers() {
            return connection.send(request);
        }
        let is_first = self.queued.borrow().is_empty();
        if is_first && !self.end.borrow().as_ref().is_some_and(Scheduled::ask) {
            return connection.send(request);
        }
        let mut queued = self.queued.borrow_mut();
        match queued.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &connection)) {
            Some((_, requests)) => requests.push(request),
            None => queued.push((connection, vec![request])),
        }
    }

    /// The turn is over: sends what was kept.
    pub fn flush(&self) {
        let queued = mem::take(&mut *self.queued.borrow_mut());
        for (connection, requests) in queued {
            connection.send_all(requests);
        }
    }
}

/// # Safety
/// Called by N-API as a function made with a share of an HTTP outbox.
unsafe extern "C" fn on_end(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, http_outbox: &Rc<HttpOutbox>, _| {
            http_outbox.flush();
            Ok(engine.undefined())
        })
    }
}
