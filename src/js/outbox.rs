//! Calls of one turn of the event loop that are to be sent together, because each message to their server costs: kept until
//! the turn is over, which is noticed as in [`super::turn`].

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use napi::sys;

use super::engine::{Engine, Reference, Thrown, Type, Value};
use crate::link::{Link, Request};

/// What one environment has to send at the end of its turn.
pub struct Outbox {
    parcels: RefCell<Vec<(Arc<Link>, Vec<Request>)>>,
    hooks: RefCell<Option<Hooks>>,
}

/// What notices the end of a turn.
struct Hooks {
    after_turn: Reference,
    on_end: Reference,
}

impl Outbox {
    /// The outbox of an environment. `after_turn` calls a function when the turn is over; in a runtime without the means to
    /// notice that it is `undefined`, and calls are sent one by one.
    pub fn new(engine: Engine, after_turn: Value) -> Result<Rc<Outbox>, Thrown> {
        let outbox = Rc::new(Outbox { parcels: RefCell::default(), hooks: RefCell::default() });
        if engine.type_of(after_turn) == Type::Function {
            let on_end = engine.function_sharing("sendQueued", on_end, outbox.clone())?;
            outbox.hooks.replace(Some(Hooks { after_turn: engine.keep(after_turn)?, on_end: engine.keep(on_end)? }));
        }
        Ok(outbox)
    }

    /// Sends a request over a link, now or, where the link gathers, when the turn is over.
    pub fn send(&self, engine: Engine, link: Arc<Link>, request: Request) {
        if !link.gathers() {
            return link.send(request);
        }
        let is_first = self.parcels.borrow().is_empty();
        if is_first && !self.is_watched(engine) {
            return link.send(request);
        }
        let mut parcels = self.parcels.borrow_mut();
        match parcels.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &link)) {
            Some((_, requests)) => requests.push(request),
            None => parcels.push((link, vec![request])),
        }
    }

    /// Asks to be told when the turn is over; false where that is impossible.
    fn is_watched(&self, engine: Engine) -> bool {
        let hooks = self.hooks.borrow();
        hooks.as_ref().is_some_and(|hooks| {
            let (after_turn, on_end) = (engine.kept(&hooks.after_turn), engine.kept(&hooks.on_end));
            engine.call(after_turn, engine.undefined(), &[on_end]).is_ok()
        })
    }

    /// The turn is over: sends what was kept.
    pub fn flush(&self) {
        let parcels = mem::take(&mut *self.parcels.borrow_mut());
        for (link, requests) in parcels {
            link.send_all(requests);
        }
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
