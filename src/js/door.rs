//! `createRedisStore`, the one N-API export.

use std::time::Duration;

use napi::bindgen_prelude::{FromNapiValue, JsValue, Unknown};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use super::engine::{Engine, Thrown, Type, Value};
use super::environment::Environment;
use super::input::{self, Origin, OwnMethods, Recognised, Refused};
use super::live::LiveClient;
use super::{read, store_object};
use crate::config::{ConfigError, Options};
use crate::error::Code;

/// Makes a store. `index.js` adds the last four arguments: the error class, what makes a store over a client's own
/// methods, `util.types.isProxy`, and what loads `client/live.js`.
#[napi(catch_unwind)]
pub fn create_redis_store<'env>(
    env: &'env Env,
    redis: Unknown<'env>,
    options: Unknown<'env>,
    error_class: Unknown<'env>,
    open_client_store: Unknown<'env>,
    is_proxy: Unknown<'env>,
    load_live: Unknown<'env>,
) -> Result<Unknown<'env>> {
    // SAFETY: inside a callback of this environment, and used only within it.
    let engine = unsafe { Engine::new(env.raw()) };
    let value = |unknown: Unknown| Value(unknown.raw());
    let helpers = Helpers {
        error_class: value(error_class),
        open_client_store: value(open_client_store),
        is_proxy: value(is_proxy),
        load_live: value(load_live),
    };
    let made = create(engine, value(redis), value(options), &helpers);
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

/// What `index.js` hands over.
struct Helpers {
    error_class: Value,
    open_client_store: Value,
    is_proxy: Value,
    load_live: Value,
}

fn create(engine: Engine, redis: Value, options: Value, helpers: &Helpers) -> std::result::Result<Value, Refused> {
    let input = match engine.type_of(options) {
        Type::Undefined => None,
        // One level: the options have no objects in them.
        _ => Some(read::read(engine, options, 2)?),
    };
    let options = Options::read(input.as_ref())?;
    let (environment, origin) = match input::recognise(engine, redis, options.connection, helpers.is_proxy)? {
        Recognised::Client(own) => {
            let settings = client_settings(engine, &options, &own, helpers.error_class)?;
            return Ok(engine.call(helpers.open_client_store, engine.undefined(), &[own.client, settings])?);
        }
        Recognised::Fixed(settings) => (Environment::current(engine, helpers.error_class)?, Origin::Fixed(settings)),
        Recognised::Live(family, client) => {
            let environment = Environment::current(engine, helpers.error_class)?;
            let live = engine.call(helpers.load_live, engine.undefined(), &[])?;
            let client = LiveClient::of(&environment, family, client, live)?;
            (environment, Origin::Live(client))
        }
    };
    Ok(store_object::create(environment, origin, options)?)
}

/// The options for a store over the caller's own client, checked and with their defaults.
fn client_settings(
    engine: Engine,
    options: &Options,
    own: &OwnMethods,
    error_class: Value,
) -> std::result::Result<Value, Thrown> {
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
    // As with native connections, a limit of 0 or of no number at all is none.
    let of_client = own.command_timeout.filter(|ms| *ms > 0.0).map(|ms| Duration::from_millis(ms.ceil() as u64));
    set(c"commandTimeout", engine.number(options.command_timeout_or(of_client).as_millis() as f64))?;
    set(c"dialect", engine.text(own.dialect.as_bytes())?)?;
    set(c"maxPending", engine.number(options.max_pending as f64))?;
    set(c"RedisStoreError", error_class)?;
    Ok(settings)
}
