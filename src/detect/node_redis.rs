//! node-redis (the package `redis`) 4 to 6: clients, also in legacy mode, clusters, sentinels, pools and transactions.

use idioteque_redis_core::config;
use idioteque_redis_core::config::{ConfigError, Input, Settings, node_redis};
use idioteque_redis_core::error_texts::clients as texts;

use super::input_error::InputError;
use super::shape::{has_method, has_object, nearest_owner, replaced, works_otherwise};
use crate::js_values::{read, read_keys};
use crate::node_api::{Engine, Thrown, Type, Value};

/// What the store calls on a client.
const METHODS: [&str; 8] = ["get", "set", "del", "expire", "hGet", "hSet", "hDel", "hGetAll"];
/// The options that matter here; the others hold whole modules of commands.
const OPTIONS: [&str; 7] = ["username", "password", "database", "name", "readonly", "socket", "commandOptions"];
/// How deep they are read.
const OPTIONS_DEPTH: usize = 3;

/// What has node-redis's methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Made by `createClient`.
    Client,
    /// Made by `createCluster`.
    Cluster,
    /// Made by `createSentinel`.
    Sentinel,
    /// Made by `createClientPool`.
    Pool,
    /// Made by `legacy()`: its methods take callbacks.
    Legacy,
    /// The `v4` of a client in legacy mode, or a wrapper with the same methods.
    Other,
}

/// The options of a cluster that matter here, and how deep they are read.
const CLUSTER_OPTIONS: [&str; 3] = ["rootNodes", "defaults", "nodeAddressMap"];
const CLUSTER_OPTIONS_DEPTH: usize = 6;

/// What stands in the way of a native connection to the cluster, if anything does. Before version 5 a cluster does not
/// tell its options.
pub fn cluster_unsupported_reason(engine: Engine, cluster: Value) -> Result<Option<String>, Thrown> {
    if !has_object(engine, cluster, "_options")? {
        return Ok(Some(texts::OLD_CLUSTER.into()));
    }
    if let Some(replaced) = works_otherwise(engine, cluster, "isOpen")? {
        return Ok(Some(replaced));
    }
    if let Some(replaced) = replaced(engine, cluster, &METHODS, "HGETALL")? {
        return Ok(Some(replaced));
    }
    Ok(cluster_settings(engine, cluster).err())
}

/// The settings in the cluster's options now, or the setting that excludes a native connection.
pub fn cluster_settings(engine: Engine, cluster: Value) -> Result<Settings, String> {
    let read = || -> Result<_, Thrown> {
        let mut options =
            read_keys(engine, engine.get(cluster, c"_options")?, &CLUSTER_OPTIONS, CLUSTER_OPTIONS_DEPTH)?;
        options.extend(key_prefix(engine, cluster)?);
        Ok(options)
    };
    let options = read().map_err(|_| texts::OPTIONS_UNREADABLE.to_owned())?;
    config::cluster::from_node_redis(&options).map_err(|unsupported| unsupported.to_string())
}

/// What a client or cluster puts before keys. Only since version 6 does one have that: before it, an option of this name changes
/// nothing.
fn key_prefix(engine: Engine, redis: Value) -> Result<Option<(String, Input)>, Thrown> {
    let prefix = engine.get(redis, c"_keyPrefix")?;
    Ok(match engine.type_of(prefix) {
        Type::Undefined => None,
        _ => Some(("keyPrefix".into(), read(engine, prefix, 1)?)),
    })
}

/// What kind of node-redis object this is, or `None` when it is none.
pub fn kind(engine: Engine, redis: Value) -> Result<Option<Kind>, Thrown> {
    let has = |name| has_method(engine, redis, name);
    if !has("hSet")? || !has("HSET")? {
        return Ok(None);
    }
    if nearest_owner(engine, redis, &["isOpen"])?.is_none() {
        // The methods of both are their own; those that take callbacks belong to a class, `v4` is a plain object.
        let legacy = engine.has_own(redis, "HSET") && nearest_owner(engine, redis, &["sendCommand"])?.is_some();
        return Ok(Some(if legacy { Kind::Legacy } else { Kind::Other }));
    }
    Ok(Some(match () {
        () if has("getSentinelNode")? => Kind::Sentinel,
        () if has("execute")? && engine.to_f64(engine.get(redis, c"idleClients")?).is_some() => Kind::Pool,
        () if has_object(engine, redis, "slots")? && has_object(engine, redis, "nodeByAddress")? => Kind::Cluster,
        () => Kind::Client,
    }))
}

/// Whether the object is a transaction.
pub fn is_transaction(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    has_method(engine, redis, "execAsPipeline")
}

/// Refuses what cannot answer with promises.
pub fn refuse_legacy() -> ConfigError {
    ConfigError::wrong_type(texts::takes_callbacks())
}

/// Refuses a client that was connected and has been closed. Before version 5 a client does not show that.
pub fn refuse_closed(engine: Engine, redis: Value) -> Result<(), InputError> {
    let was_open = engine.to_f64(engine.get(redis, c"socketEpoch")?).is_some_and(|epoch| epoch > 0.0);
    if was_open && engine.to_bool(engine.get(redis, c"isOpen")?) == Some(false) {
        return Err(ConfigError::wrong_type(texts::node_redis_closed()).into());
    }
    Ok(())
}

/// Whether the client is in the legacy mode of version 4, in which its own methods take callbacks.
pub fn is_legacy_mode(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    let options = engine.get(redis, c"options")?;
    Ok(engine.type_of(options) == Type::Object
        && engine.to_bool(engine.get(options, c"legacyMode")?) == Some(true)
        && has_object(engine, redis, "v4")?)
}

/// The client itself, of which `withTypeMapping()` and the like return views.
pub fn behind_views(engine: Engine, redis: Value) -> Result<Value, Thrown> {
    let client = engine.get(redis, c"_self")?;
    Ok(if engine.type_of(client) == Type::Object { client } else { redis })
}

/// What stands in the way of a native connection, if anything does.
pub fn unsupported_reason(engine: Engine, redis: Value) -> Result<Option<String>, Thrown> {
    // In legacy mode every method is the client's own, and none that could be called instead.
    if !is_legacy_mode(engine, redis)? {
        let replaced = match works_otherwise(engine, redis, "isOpen")? {
            None => replaced(engine, redis, &METHODS, "HGETALL")?,
            otherwise => otherwise,
        };
        if replaced.is_some() {
            return Ok(replaced);
        }
    }
    let options = engine.get(redis, c"options")?;
    if engine.type_of(options) == Type::Object {
        let provider = engine.get(options, c"credentialsProvider")?;
        if engine.type_of(provider) == Type::Object
            && engine.string(engine.get(provider, c"type")?).as_deref() != Some("async-credentials-provider")
        {
            return Ok(Some(texts::PROVIDER_OF_OTHER_TYPE.into()));
        }
    }
    Ok(settings(engine, redis).err())
}

/// The settings in the client's options now, or the setting that excludes a native connection. What it logs in with and the database it has
/// selected have to be asked of it besides.
pub fn settings(engine: Engine, redis: Value) -> Result<Settings, String> {
    let read = || -> Result<_, Thrown> {
        let options = engine.get(redis, c"options")?;
        let mut options = match engine.type_of(options) {
            Type::Object => read_keys(engine, options, &OPTIONS, OPTIONS_DEPTH)?,
            _ => Vec::new(),
        };
        options.extend(key_prefix(engine, redis)?);
        Ok(options)
    };
    let options = read().map_err(|_| texts::OPTIONS_UNREADABLE.to_owned())?;
    node_redis::from_instance(&options).map_err(|unsupported| unsupported.to_string())
}
