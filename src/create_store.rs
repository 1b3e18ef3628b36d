//! What the addon exports: `createRedisStore` and `createRedisStoreFromEnv`, and its version.

use std::rc::Rc;
use std::time::Duration;

use idioteque_redis_core::config::{ConfigError, Options, Settings};
use idioteque_redis_core::error::Code;
use idioteque_redis_core::error_texts::values as texts;
use napi::bindgen_prelude::{FromNapiValue, JsValue, Unknown};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use crate::adopted_client::AdoptedClient;
use crate::detect::{InputError, OwnMethods, Recognised};
use crate::environment::Environment;
use crate::js_builtins::JsBuiltins;
use crate::native_store::Origin;
use crate::node_api::{Engine, Thrown, Type, Value};
use crate::{detect, env_vars, environment, fallback, js_values, settings_warnings, settle, store_object};

/// `index.js` compares it with its own: the two sides of the addon belong together.
#[napi]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes a store. `index.js` adds the last argument, which has what the addon needs of the JavaScript side.
#[napi(catch_unwind)]
pub fn create_redis_store<'env>(
    env: &'env Env,
    redis: Unknown<'env>,
    options: Unknown<'env>,
    helpers: Unknown<'env>,
) -> Result<Unknown<'env>> {
    make(env, Source::Passed(Value(redis.raw())), options, helpers)
}

/// Makes a store on the server that environment variables name. `index.js` adds the last argument.
#[napi(catch_unwind)]
pub fn create_redis_store_from_env<'env>(
    env: &'env Env,
    options: Unknown<'env>,
    helpers: Unknown<'env>,
) -> Result<Unknown<'env>> {
    make(env, Source::Variables, options, helpers)
}

/// What says where the executions are kept.
enum Source {
    /// What the caller passed.
    Passed(Value),
    /// The environment's variables.
    Variables,
}

fn make<'env>(env: &'env Env, source: Source, options: Unknown<'env>, helpers: Unknown<'env>) -> Result<Unknown<'env>> {
    // SAFETY: inside a callback of this environment, and used only within it.
    let engine = unsafe { Engine::new(env.raw()) };
    let [options, helpers] = [options, helpers].map(|unknown| Value(unknown.raw()));
    let made = Helpers::read(engine, helpers).and_then(|helpers| create(engine, source, options, &helpers));
    let error = match made {
        // SAFETY: a value of this environment, handed straight back.
        Ok(store) => return unsafe { Unknown::from_napi_value(env.raw(), store.0) },
        Err(InputError::Threw(thrown)) => thrown.0,
        Err(InputError::Wrong(ConfigError { range, message })) => {
            engine.argument_error(range, Code::Config.as_str(), &message).unwrap_or_else(|thrown| thrown.0)
        }
    };
    engine.throw(error);
    Err(Error::from_status(Status::PendingException))
}

/// What `index.js` passes.
struct Helpers {
    /// The object that holds them.
    all: Value,
    /// Makes a store over a client's own methods.
    open_client_store: Value,
    /// Whether a console is wanted, and no store: see `crate::console`.
    for_console: bool,
    /// `util.types.isProxy`
    is_proxy: Value,
    /// Loads `lib/adopted-client.js`.
    load_live: Value,
    /// Calls a function after the current turn of the event loop; `undefined` where the runtime cannot.
    after_turn: Value,
    /// Calls a function in the next turn of the event loop; `undefined` where the runtime cannot.
    set_immediate: Value,
    /// Whether the event loop is libuv's.
    uses_libuv: bool,
    /// Passes a warning on to the process.
    emit_warning: Value,
    /// Publishes what happens to connections.
    publish: Value,
}

impl Helpers {
    fn read(engine: Engine, helpers: Value) -> std::result::Result<Self, InputError> {
        Ok(Self {
            all: helpers,
            open_client_store: engine.get(helpers, c"openClientStore")?,
            for_console: engine.to_bool(engine.get(helpers, c"forConsole")?) == Some(true),
            is_proxy: engine.get(helpers, c"isProxy")?,
            load_live: engine.get(helpers, c"loadLive")?,
            after_turn: engine.get(helpers, c"afterTurn")?,
            set_immediate: engine.get(helpers, c"setImmediate")?,
            uses_libuv: engine.to_bool(engine.get(helpers, c"usesLibuv")?) == Some(true),
            emit_warning: engine.get(helpers, c"emitWarning")?,
            publish: engine.get(helpers, c"publish")?,
        })
    }

    /// Warns of what is likely wrong.
    fn warn_of(&self, engine: Engine, options: &Options, settings: &Settings) {
        if options.warnings {
            settings_warnings::give(engine, self.emit_warning, settings_warnings::of_settings(options, settings));
        }
    }

    fn environment(&self, engine: Engine) -> std::result::Result<Rc<Environment>, Thrown> {
        Environment::current(engine, self.after_turn, |environment| {
            settle::connect(environment, self.uses_libuv, self.set_immediate, self.emit_warning, self.publish)
        })
    }
}

fn create(engine: Engine, source: Source, options: Value, helpers: &Helpers) -> std::result::Result<Value, InputError> {
    let input = match engine.type_of(options) {
        Type::Undefined | Type::Null => None,
        // One level: the options have no objects in them.
        _ => Some(js_values::read(engine, options, 2)?),
    };
    let options = Options::read(input.as_ref())?;
    let owned = engine.object()?;
    engine.set(owned, c"helpers", helpers.all)?;
    let recognised = match source {
        Source::Passed(redis) => {
            detect::recognise(engine, redis, options.connection, helpers.is_proxy, helpers.load_live)?
        }
        Source::Variables => detect::from_environment(engine, options.connection)?,
    };
    let (environment, origin) = match recognised {
        Recognised::Client(own) => return over_client(engine, &options, &own, helpers),
        Recognised::Fixed(settings) => {
            helpers.warn_of(engine, &options, &settings);
            (helpers.environment(engine)?, Origin::Fixed(settings))
        }
        Recognised::Live(family, client, own) => {
            let environment = helpers.environment(engine)?;
            let live = engine.call(helpers.load_live, engine.undefined(), &[])?;
            let (client, watched) = AdoptedClient::of(
                &environment.handle,
                &environment.clients,
                &environment.completions,
                family,
                client,
                live,
            )?;
            engine.set(owned, c"watched", watched)?;
            let settings = client.settings();
            if let Ok(settings) = &settings {
                helpers.warn_of(engine, &options, settings);
            }
            // A client whose methods cannot do what the options ask for carries nothing.
            let own = own.filter(|own| own.reads_from_replicas.is_none() && options.beyond_clients().is_none());
            if let Some(own) = own
                && settings.is_ok_and(|settings| settings.is_encrypted())
            {
                // What a native connection would not do.
                if env_vars::verifies_nobody(engine)? {
                    return over_client(engine, &options, &own, helpers);
                }
                // What else it cannot do shows when it is made.
                let error_class = engine.get(helpers.all, c"RedisStoreError")?;
                fallback::prepare(engine, owned, own.client, client_settings(engine, &options, &own, error_class)?)?;
            }
            (environment, Origin::Live(client))
        }
    };
    let realm = JsBuiltins::new(&environment.handle, helpers.all)?;
    if helpers.for_console {
        return Ok(crate::console::create(environment, realm, owned, origin, options)?);
    }
    Ok(store_object::create(environment, realm, owned, origin, options)?)
}

/// A store over the caller's own client.
fn over_client(
    engine: Engine,
    options: &Options,
    own: &OwnMethods,
    helpers: &Helpers,
) -> std::result::Result<Value, InputError> {
    if let Some(option) = options.beyond_clients() {
        return Err(ConfigError::wrong_type(texts::beyond_client(option)).into());
    }
    if let Some(setting) = own.reads_from_replicas.as_deref().filter(|_| options.warnings) {
        settings_warnings::give(engine, helpers.emit_warning, vec![settings_warnings::of_replica_reads(setting)]);
    }
    let settings = client_settings(engine, options, own, engine.get(helpers.all, c"RedisStoreError")?)?;
    Ok(engine.call(helpers.open_client_store, engine.undefined(), &[own.client, settings])?)
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
    set(c"adapter", engine.text(own.adapter.as_bytes())?)?;
    set(c"maxPending", engine.number(options.max_pending as f64))?;
    set(c"forget", engine.function_sharing("forget", environment::forget, Rc::new(()))?)?;
    set(c"RedisStoreError", error_class)?;
    Ok(settings)
}
