//! Recognises what was passed to `createRedisStore`, by what it has rather than by what it is called: class names are lost
//! in builds, and `instanceof` fails across two copies of a package.

use super::adopt;
use super::engine::{Engine, Reference, Thrown, Type, Value};
use crate::config::{self, ConfigError, Connection, Input, Settings};
use crate::error::{Code, StoreError};

/// The methods of a client that a store can work through.
const METHODS: [&std::ffi::CStr; 8] = [c"get", c"set", c"del", c"expire", c"hget", c"hset", c"hdel", c"hgetall"];
/// How deep a configuration object is read; the deepest setting of any client is at three.
const MOST_DEPTH: usize = 6;

/// What was passed.
pub enum Recognised {
    /// We connect ourselves.
    Native(Origin),
    /// The caller's own client carries the commands.
    Client,
}

/// Where a native store's settings come from.
pub enum Origin {
    /// From a URL or a configuration object.
    Fixed(Box<Settings>),
    /// From a live ioredis instance, read when the store connects.
    Ioredis(Option<Reference>),
}

impl Origin {
    /// The settings as they are now.
    pub fn settings(&self, engine: Engine) -> Result<Settings, StoreError> {
        match self {
            Origin::Fixed(settings) => Ok((**settings).clone()),
            Origin::Ioredis(Some(client)) => adopt::settings(engine, engine.kept(client))
                .map_err(|why| StoreError::new(Code::Config, format!("The client's settings cannot be used: {why}"))),
            Origin::Ioredis(None) => Err(StoreError::new(Code::Closed, "the store is closed")),
        }
    }

    /// Lets go of what is kept alive.
    pub fn release(&mut self, engine: Engine) {
        if let Origin::Ioredis(client) = self
            && let Some(client) = client.take()
        {
            engine.forget(client);
        }
    }
}

/// Why an input is not accepted.
pub enum Refused {
    /// It is wrong.
    Wrong(ConfigError),
    /// Looking at it threw.
    Threw(Thrown),
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Self {
        Refused::Wrong(error)
    }
}

impl From<Thrown> for Refused {
    fn from(thrown: Thrown) -> Self {
        Refused::Threw(thrown)
    }
}

/// Recognises the first argument. `is_proxy` is `util.types.isProxy`.
pub fn recognise(engine: Engine, redis: Value, wanted: Connection, is_proxy: Value) -> Result<Recognised, Refused> {
    if engine.type_of(redis) != Type::Object || engine.is_array(redis) || is_url(engine, redis)? {
        return configuration(engine, redis, wanted);
    }
    refuse_transaction(engine, redis)?;
    let proxied = engine.call(is_proxy, engine.undefined(), &[redis])?;
    let own_methods_only = engine.to_bool(proxied) == Some(true);
    if !own_methods_only && adopt::is_ioredis(engine, redis)? {
        adopt::refuse_ended(engine, redis)?;
        let obstacle = match adopt::obstacle(engine, redis)? {
            Some(obstacle) => Some(obstacle),
            None => adopt::settings(engine, redis).err(),
        };
        return match (wanted, obstacle) {
            (Connection::Client, _) | (Connection::Auto, Some(_)) => Ok(Recognised::Client),
            (Connection::Native, Some(why)) => Err(no_native(&why).into()),
            (_, None) => Ok(Recognised::Native(Origin::Ioredis(Some(engine.keep(redis)?)))),
        };
    }
    let mut missing = Vec::new();
    for method in METHODS {
        if engine.type_of(engine.get(redis, method)?) != Type::Function {
            missing.push(method.to_str().unwrap_or_default());
        }
    }
    if missing.is_empty() {
        return match wanted {
            Connection::Native => Err(no_native("the settings of this client are not known to us").into()),
            Connection::Auto | Connection::Client => Ok(Recognised::Client),
        };
    }
    if engine.type_of(engine.get(redis, c"hSet")?) == Type::Function {
        let message = "A node-redis client cannot be passed to this version: pass its URL, or the configuration object \
                       that createClient() was given";
        return Err(ConfigError::wrong_type(message).into());
    }
    if !missing.contains(&"hset") {
        let message =
            format!("The client lacks the method{} {}", if missing.len() > 1 { "s" } else { "" }, missing.join(", "));
        return Err(ConfigError::wrong_type(message).into());
    }
    configuration(engine, redis, wanted)
}

fn configuration(engine: Engine, redis: Value, wanted: Connection) -> Result<Recognised, Refused> {
    let input = match is_url(engine, redis)? {
        true => Input::Text(engine.string(engine.get(redis, c"href")?).unwrap_or_default()),
        false => read(engine, redis, MOST_DEPTH)?,
    };
    let settings = config::from_input(&input)?;
    if wanted == Connection::Client {
        let message =
            "`connection: \"client\"` needs a client: with a URL or a configuration there is none to work through";
        return Err(ConfigError::wrong_type(message).into());
    }
    Ok(Recognised::Native(Origin::Fixed(Box::new(settings))))
}

fn no_native(why: &str) -> ConfigError {
    ConfigError::wrong_type(format!(
        "`connection: \"native\"` is impossible with this client: {why}. Use `connection: \"auto\"` to work through the \
         client's own methods"
    ))
}

/// Whether the value is a `URL`, of whichever realm.
fn is_url(engine: Engine, value: Value) -> Result<bool, Thrown> {
    if engine.type_of(value) != Type::Object || engine.has_own(value, "href") {
        return Ok(false);
    }
    Ok(engine.type_of(engine.get(value, c"href")?) == Type::Text
        && engine.type_of(engine.get(value, c"protocol")?) == Type::Text
        && engine.type_of(engine.get(value, c"searchParams")?) == Type::Object)
}

/// Pipelines and transactions have a client's methods, but only queue.
fn refuse_transaction(engine: Engine, redis: Value) -> Result<(), Refused> {
    let has = |name| engine.get(redis, name).map(|member| engine.type_of(member) == Type::Function);
    let pipeline = engine.to_bool(engine.get(redis, c"isPipeline")?) == Some(true);
    let upstash = engine.has_own(redis, "commands") && engine.has_own(redis, "multiExec");
    let node_redis = has(c"execAsPipeline")?;
    if pipeline || upstash || node_redis {
        let message = "A pipeline or transaction cannot be used as a client: its commands do nothing until exec(). \
                       Pass the client it was made from";
        return Err(ConfigError::wrong_type(message).into());
    }
    Ok(())
}

/// Reads a value as configuration.
pub fn read(engine: Engine, value: Value, depth: usize) -> Result<Input, Thrown> {
    Ok(match engine.type_of(value) {
        Type::Null => Input::Null,
        Type::Boolean => Input::Bool(engine.to_bool(value).unwrap_or_default()),
        Type::Number => Input::Number(engine.to_f64(value).unwrap_or(f64::NAN)),
        Type::Text => Input::Text(engine.string(value).unwrap_or_default()),
        Type::Function => Input::Function,
        Type::Undefined => Input::Other("undefined".into()),
        Type::Symbol => Input::Other("a symbol".into()),
        Type::BigInt => Input::Other("a bigint".into()),
        Type::Other => Input::Other("a value of another kind".into()),
        Type::Object if depth == 0 => Input::Other("an object".into()),
        Type::Object if engine.is_array(value) => {
            let items = engine.items(value)?.into_iter().map(|item| read(engine, item, depth - 1));
            Input::List(items.collect::<Result<_, _>>()?)
        }
        Type::Object => match class_name(engine, value)? {
            Some(name) => Input::Other(format!("an instance of {name}")),
            None => Input::Map(read_map(engine, value, depth)?),
        },
    })
}

/// Reads an object's own enumerable keys; those that are `undefined` are left out.
pub fn read_map(engine: Engine, object: Value, depth: usize) -> Result<Vec<(String, Input)>, Thrown> {
    let mut map = Vec::new();
    for key in engine.keys(object)? {
        let value = engine.get_by(object, key)?;
        if engine.type_of(value) != Type::Undefined {
            map.push((engine.string(key).unwrap_or_default(), read(engine, value, depth - 1)?));
        }
    }
    Ok(map)
}

/// The class of an object, or `None` for a plain one, of whichever realm.
fn class_name(engine: Engine, object: Value) -> Result<Option<String>, Thrown> {
    let prototype = engine.prototype(object)?;
    if engine.type_of(prototype) != Type::Object || engine.type_of(engine.prototype(prototype)?) == Type::Null {
        return Ok(None);
    }
    let constructor = engine.get(prototype, c"constructor")?;
    let name = match engine.type_of(constructor) {
        Type::Function => engine.string(engine.get(constructor, c"name")?),
        _ => None,
    };
    Ok(Some(name.filter(|name| !name.is_empty()).unwrap_or_else(|| "an unnamed class".into())))
}
