//! What is to be seen of a store: its status and statistics, a ping, and the details of calls that are traced. These functions
//! are made when they are first asked for.

use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::Duration;

use idioteque_redis_core::transport::{Finished, Ping};
use napi::sys;

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
    /// How often it was sent, unless the live client's own methods carried it.
    attempts: Option<u32>,
    queued: Option<Duration>,
    /// That brought the answer.
    connection: Option<NonZeroU64>,
}

impl TracedCall {
    /// What became of a call that was sent.
    pub fn sent(finished: &Finished) -> Self {
        Self {
            from_read_ahead: false,
            attempts: Some(finished.request.attempts()),
            queued: finished.request.queued(),
            connection: finished.position.map(|position| position.connection),
        }
    }

    /// What became of a call whose answer was known.
    pub fn known() -> Self {
        Self { from_read_ahead: true, ..Self::refused() }
    }

    /// What became of a call that was not sent.
    pub fn refused() -> Self {
        Self { attempts: Some(0), ..Self::default() }
    }

    /// A call that the live client's own methods carry, which do not tell.
    pub fn carried() -> Self {
        Self::default()
    }

    /// How many numbers it is told in.
    const NUMBERS: usize = 5;

    fn numbers(&self, number: u32) -> [f64; Self::NUMBERS] {
        [
            f64::from(number),
            f64::from(u8::from(self.from_read_ahead)),
            self.attempts.map_or(f64::NAN, f64::from),
            self.queued.map_or(f64::NAN, |queued| queued.as_secs_f64() * 1000.0),
            self.connection.map_or(0.0, |connection| connection.get() as f64),
        ]
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
    /// `tools()`: an object of the functions below.
    tools(engine, context, _) {
        let object = engine.object()?;
        let owned = context.store.owned();
        let functions: [(&str, Callback); 6] = [
            ("stats", stats),
            ("about", about),
            ("database", database),
            ("ping", ping),
            ("traced", traced),
            ("peer", peer),
        ];
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

    /// `database()`: the one that the next call goes to, where the live client can say so; otherwise `undefined`.
    database(engine, context, _) {
        Ok(context.store.selected().map_or(engine.undefined(), |database| engine.number(f64::from(database))))
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

    /// `traced(rows)`: writes what became of traced calls of this store into an array of numbers, as many as there is room for, and
    /// returns how many. Each is told once.
    traced(engine, context, [rows, ..]) {
        let mut traces = context.store.traces.borrow_mut();
        let room = engine.numbers_length(rows) / TracedCall::NUMBERS;
        let told: Vec<f64> = traces.iter().take(room).flat_map(|(number, call)| call.numbers(*number)).collect();
        traces.drain(..told.len() / TracedCall::NUMBERS);
        engine.write_numbers(rows, &told);
        Ok(engine.number((told.len() / TracedCall::NUMBERS) as f64))
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
