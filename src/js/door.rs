//! `createRedisStore`, the one N-API export.

use napi::bindgen_prelude::{FromNapiValue, JsValue, Unknown};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use super::engine::{Engine, Thrown, Type, Value};
use super::environment::Environment;
use super::input::{self, Recognised, Refused};
use super::store_object;
use crate::config::{ConfigError, Options};
use crate::error::Code;

/// Makes a store. `index.js` adds the last four arguments: the error class, what makes a store over a client's own methods,
/// `util.types.isProxy`, and what calls a function after the current turn of the event loop.
#[napi(catch_unwind)]
pub fn create_redis_store<'env>(
    env: &'env Env,
    redis: Unknown<'env>,
    options: Unknown<'env>,
    error_class: Unknown<'env>,
    open_client_store: Unknown<'env>,
    is_proxy: Unknown<'env>,
    after_turn: Unknown<'env>,
) -> Result<Unknown<'env>> {
    // SAFETY: inside a callback of this environment, and used only within it.
    let engine = unsafe { Engine::new(env.raw()) };
    let value = |unknown: Unknown| Value(unknown.raw());
    let [redis, options, error_class, open_client_store, is_proxy, after_turn] =
        [redis, options, error_class, open_client_store, is_proxy, after_turn].map(value);
    let made = create(engine, redis, options, error_class, open_client_store, is_proxy, after_turn);
    let error = match made {
        // SAFETY: a value of this environment, handed straight back.
        Ok(store) => return unsafe { Unknown::from_napi_value(env.raw(), store.0) },
        Err(Refused::Threw(thrown)) => thrown.0,
        Err(Refused::Wrong(ConfigError { range, message })) => {
            engine.argument_error(range, Code::Config.as_str(), &message).unwrap_or_else(|thrown| thrown.0)
        }
    };
    engine.throw(error);
    Err(Error::from_status(Status::PendingException))
}

fn create(
    engine: Engine,
    redis: Value,
    options: Value,
    error_class: Value,
    open_client_store: Value,
    is_proxy: Value,
    after_turn: Value,
) -> std::result::Result<Value, Refused> {
    let input = match engine.type_of(options) {
        Type::Undefined => None,
        // One level: the options have no objects in them.
        _ => Some(input::read(engine, options, 2)?),
    };
    let options = Options::read(input.as_ref())?;
    match input::recognise(engine, redis, options.connection, is_proxy)? {
        Recognised::Native(origin) => {
            let environment = Environment::current(engine, error_class, after_turn)?;
            Ok(store_object::create(environment, origin, options)?)
        }
        Recognised::Client => {
            let settings = client_settings(engine, &options, error_class)?;
            Ok(engine.call(open_client_store, engine.undefined(), &[redis, settings])?)
        }
    }
}

/// The options for a store over the caller's own client, checked and with their defaults.
fn client_settings(engine: Engine, options: &Options, error_class: Value) -> std::result::Result<Value, Thrown> {
    let settings = engine.object()?;
    let set = |name, value| engine.set(settings, name, value);
    if let Some(ttl) = options.ttl {
        set(c"ttl", engine.number(ttl as f64))?;
    }
    if let Some(prefix) = &options.key_prefix {
        set(c"keyPrefix", engine.text(prefix.as_bytes())?)?;
    }
    set(c"slidingTtl", engine.boolean(options.sliding_ttl))?;
    set(c"hashTags", engine.boolean(options.hash_tags))?;
    set(c"commandTimeout", engine.number(options.command_timeout_or(None).as_millis() as f64))?;
    set(c"maxPending", engine.number(options.max_pending as f64))?;
    set(c"RedisStoreError", error_class)?;
    Ok(settings)
}
