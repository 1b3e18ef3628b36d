//! What is to be seen of a store: its status and statistics, a ping, and the details of calls that are traced. These functions
//! are made when they are first asked for.

use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::Duration;

use idioteque_redis_core::transport::{Finished, Ping};
use napi::sys;

use crate::environment::Environment;
use crate::error;
use crate::method::MethodContext;
use crate::node_api::{Callback, Engine};

/// Pings of an environment without an answer. More are refused.
const MAX_PINGS: usize = 1024;

/// What became of a traced call, as `lib/seen.js` reads it.
#[derive(Clone, Copy, Default)]
pub struct TracedCall {
    /// It was answered by what another call had brought.
    from_read_ahead: bool,
    attempts: u32,
    queued: Option<Duration>,
    /// That brought the answer.
    connection: Option<NonZeroU64>,
}

impl TracedCall {
    /// What became of a call that was sent.
    pub fn sent(finished: &Finished) -> Self {
        Self {
            from_read_ahead: false,
            attempts: finished.request.attempts(),
            queued: finished.request.queued(),
            connection: finished.position.map(|position| position.connection),
        }
    }

    /// What became of a call whose answer was known.
    pub fn known() -> Self {
        Self { from_read_ahead: true, ..Self::default() }
    }
}

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident($engine:ident, $context:ident, $arguments:pat) $body:block)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// Called by N-API as a function made with a share of a method context.
        pub unsafe extern "C" fn $name(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
            // SAFETY: see above.
            unsafe { Engine::enter(env, info, |$engine, $context: &Rc<MethodContext>, $arguments| $body) }
        }
    )*};
}

entries! {
    /// `open()`: connects, if that has not begun. What keeps it from that is told by the calls.
    open(engine, context, _) {
        context.store.open(|| context.environment.turn.end());
        Ok(engine.undefined())
    }

    /// `tools()`: an object of the functions below.
    tools(engine, context, _) {
        let object = engine.object()?;
        let owned = context.store.owned();
        let functions: [(&str, Callback); 6] =
            [("stats", stats), ("about", about), ("ping", ping), ("trace", trace), ("traced", traced), ("peer", peer)];
        for (name, callback) in functions {
            let function = engine.function_sharing(name, callback, context.clone())?;
            context.environment.ownership.give(function, owned)?;
            engine.set_by(object, engine.text(name.as_bytes())?, function)?;
        }
        Ok(object)
    }

    /// `stats()`: the statistics as JSON.
    stats(engine, context, _) {
        engine.text(context.store.statistics().to_string().as_bytes())
    }

    /// `about()`: where the store's calls go, as JSON.
    about(engine, context, _) {
        engine.text(context.store.about().to_string().as_bytes())
    }

    /// `ping(milliseconds)`
    ping(engine, context, [timeout, ..]) {
        let MethodContext { environment, store } = &**context;
        let (deferred, promise) = engine.promise()?;
        let timeout = Duration::from_secs_f64(engine.to_f64(timeout).unwrap_or(1000.0).max(0.0) / 1000.0);
        let has_room = environment.pings.borrow().len() < MAX_PINGS;
        match store.pinged(has_room, || environment.turn.end()) {
            Err(error) => engine.settle(deferred, Err(error::store_error(&store.realm, &error, None))),
            Ok(connection) => {
                let token = environment.begin_ping(deferred, store.clone());
                let completions = environment.completions.clone();
                connection.ping(Ping::new(timeout, move |pong| completions.ponged(token, pong)));
            }
        }
        Ok(promise)
    }

    /// `trace()`: the next call is traced, by the number that is returned.
    trace(engine, context, _) {
        let environment = &context.environment;
        let number = environment.traces.borrow_mut().insert(TracedCall::default()) as u32;
        environment.next_trace.set(Some(number));
        Ok(engine.number(f64::from(number)))
    }

    /// `traced(number, details)`: writes what became of that call into an array of numbers, and forgets it.
    traced(engine, context, [number, details, _]) {
        let number = engine.to_f64(number).unwrap_or(-1.0);
        let call = context.environment.traces.borrow_mut().try_remove(number as usize).unwrap_or_default();
        engine.write_numbers(details, &[
            f64::from(u8::from(call.from_read_ahead)),
            f64::from(call.attempts),
            call.queued.map_or(f64::NAN, |queued| queued.as_secs_f64() * 1000.0),
            call.connection.map_or(0.0, |connection| connection.get() as f64),
        ]);
        Ok(engine.undefined())
    }

    /// `peer(connection)`: who is at the other end of a connection, as JSON; `undefined` when that is not known any more.
    peer(engine, context, [connection, ..]) {
        let connection = NonZeroU64::new(engine.to_f64(connection).unwrap_or(0.0) as u64);
        match connection.and_then(|connection| context.store.peer(connection)) {
            Some(peer) => engine.text(peer.to_string().as_bytes()),
            None => Ok(engine.undefined()),
        }
    }
}

impl Environment {
    /// Notes what became of a traced call.
    pub fn note_traced(&self, number: Option<u32>, call: TracedCall) {
        if let Some(number) = number
            && let Some(noted) = self.traces.borrow_mut().get_mut(number as usize)
        {
            *noted = call;
        }
    }
}
