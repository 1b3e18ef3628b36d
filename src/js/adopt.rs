//! Adopts a live ioredis instance: whether it is one, whether it is as the package made it, and what it is set to.

use super::engine::{Engine, Thrown, Type, Value};
use super::input::{Refused, read_map};
use crate::config::{ConfigError, Settings, ioredis};

/// What every ioredis instance owns, whatever its class is called.
const FINGERPRINT: [&str; 6] = ["options", "status", "offlineQueue", "connectionEpoch", "retryAttempts", "scriptsSet"];
/// What the store calls on a client; an instance that overrides one of them wants to be called.
const OVERRIDABLE: [&str; 9] = ["get", "set", "del", "expire", "hget", "hset", "hdel", "hgetall", "sendCommand"];
/// How deep the options are read: `tls` and `sentinels` matter only as present or not.
const OPTIONS_DEPTH: usize = 2;

/// Whether the object is a standalone or Sentinel instance of ioredis.
pub fn is_ioredis(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    if !FINGERPRINT.iter().all(|name| engine.has_own(redis, name)) || !engine.has_own(redis, "commandQueue") {
        return Ok(false);
    }
    let connector = engine.get(redis, c"connector")?;
    if engine.type_of(connector) != Type::Object {
        return Ok(false);
    }
    Ok(engine.same(engine.get(connector, c"options")?, engine.get(redis, c"options")?))
}

/// Refuses an instance that will never answer again.
pub fn refuse_ended(engine: Engine, redis: Value) -> Result<(), Refused> {
    if engine.string(engine.get(redis, c"status")?).as_deref() == Some("end") {
        let message = "This ioredis instance has ended (quit() or disconnect() was called): pass a live one";
        return Err(ConfigError::wrong_type(message).into());
    }
    Ok(())
}

/// What has been changed about the instance, so that its own methods must be called. `None` when it is untouched.
pub fn obstacle(engine: Engine, redis: Value) -> Result<Option<String>, Thrown> {
    if let Some(name) = OVERRIDABLE.iter().find(|name| engine.has_own(redis, name)) {
        return Ok(Some(format!("its method `{name}` has been replaced")));
    }
    let mut prototype = engine.prototype(redis)?;
    // The chain of a class hierarchy is short; a longer one is not ioredis.
    for _ in 0..16 {
        if engine.type_of(prototype) != Type::Object {
            break;
        }
        let own = OVERRIDABLE[..8].iter().filter(|name| engine.has_own(prototype, name)).count();
        if own == 8 && engine.has_own(prototype, "hgetallBuffer") {
            return Ok(None);
        }
        if own > 0 {
            break;
        }
        prototype = engine.prototype(prototype)?;
    }
    Ok(Some("its methods have been replaced".into()))
}

/// What the instance is set to now, or the setting that stands in the way.
pub fn settings(engine: Engine, redis: Value) -> Result<Settings, String> {
    let read = || -> Result<_, Thrown> {
        let options = read_map(engine, engine.get(redis, c"options")?, OPTIONS_DEPTH)?;
        Ok((options, selected_database(engine, redis)?))
    };
    let (options, database) = read().map_err(|_| "its options cannot be read".to_owned())?;
    ioredis::from_instance(&options, database).map_err(|unsupported| unsupported.to_string())
}

/// The database that `select()` chose, which is not in the options: ioredis keeps it for its own reconnection.
fn selected_database(engine: Engine, redis: Value) -> Result<Option<u32>, Thrown> {
    for condition in [c"prevCondition", c"condition"] {
        let condition = engine.get(redis, condition)?;
        if engine.type_of(condition) == Type::Object
            && let Some(database) = engine.to_f64(engine.get(condition, c"select")?)
        {
            return Ok(Some(database as u32));
        }
    }
    Ok(None)
}
