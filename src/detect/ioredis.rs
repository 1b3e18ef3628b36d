//! ioredis 4 to 6 and iovalkey: standalone and Sentinel instances, clusters, and their pipelines.

use idioteque_redis_core::config;
use idioteque_redis_core::config::{ConfigError, Settings, ioredis};
use idioteque_redis_core::error_texts::clients as texts;

use super::input_error::InputError;
use super::shape::{owns_all, replaced, works_otherwise};
use crate::js_values::{read, read_keys, read_map};
use crate::node_api::{Engine, Thrown, Type, Value};

/// What every instance owns, whatever its class is called.
const INSTANCE: [&str; 7] =
    ["options", "status", "offlineQueue", "connectionEpoch", "retryAttempts", "scriptsSet", "commandQueue"];
/// What every cluster owns.
const CLUSTER: [&str; 4] = ["options", "startupNodes", "connectionPool", "slots"];
/// What the store calls on a client.
const METHODS: [&str; 8] = ["get", "set", "del", "expire", "hget", "hset", "hdel", "hgetall"];
/// The options of a cluster that matter here.
const CLUSTER_OPTIONS: [&str; 5] = ["redisOptions", "keyPrefix", "natMap", "scaleReads", "useSRVRecords"];
/// How deep the options are read: as far as the addresses in `sentinels`, or `redisOptions.tls.ca`, which may be an array.
const OPTIONS_DEPTH: usize = 5;

/// Whether the object is a standalone or Sentinel instance.
pub fn is_instance(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    if !owns_all(engine, redis, &INSTANCE) {
        return Ok(false);
    }
    let connector = engine.get(redis, c"connector")?;
    if engine.type_of(connector) != Type::Object {
        return Ok(false);
    }
    Ok(engine.same(engine.get(connector, c"options")?, engine.get(redis, c"options")?))
}

/// Whether the object is a cluster.
pub fn is_cluster(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    Ok(owns_all(engine, redis, &CLUSTER) && engine.to_bool(engine.get(redis, c"isCluster")?) == Some(true))
}

/// Whether the object is a pipeline or transaction, of ioredis or of ioredis-mock.
pub fn is_transaction(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    Ok(engine.to_bool(engine.get(redis, c"isPipeline")?) == Some(true)
        || owns_all(engine, redis, &["redis", "batch", "_transactions"]))
}

/// Refuses an instance or cluster that will never answer again.
pub fn refuse_ended(engine: Engine, redis: Value) -> Result<(), InputError> {
    if engine.string(engine.get(redis, c"status")?).as_deref() == Some("end") {
        return Err(ConfigError::wrong_type(texts::ioredis_ended()).into());
    }
    Ok(())
}

/// What stands in the way of a native connection, if anything does.
pub fn unsupported_reason(engine: Engine, redis: Value) -> Result<Option<String>, Thrown> {
    if let Some(replaced) = works_otherwise(engine, redis, "duplicate")? {
        return Ok(Some(replaced));
    }
    if let Some(replaced) = replaced(engine, redis, &METHODS, "hgetallBuffer")? {
        return Ok(Some(replaced));
    }
    Ok(settings(engine, redis).err())
}

/// What the instance is set to now, or the setting that stands in the way.
pub fn settings(engine: Engine, redis: Value) -> Result<Settings, String> {
    let read = || -> Result<_, Thrown> {
        let options = read_map(engine, engine.get(redis, c"options")?, OPTIONS_DEPTH)?;
        Ok((options, selected_database(engine, redis)?))
    };
    let (options, database) = read().map_err(|_| texts::OPTIONS_UNREADABLE.to_owned())?;
    ioredis::from_instance(&options, database).map_err(|unsupported| unsupported.to_string())
}

/// What stands in the way of a native connection to the cluster, if anything does. `load_live` loads `lib/adopted-client.js`.
pub fn cluster_unsupported_reason(engine: Engine, cluster: Value, load_live: Value) -> Result<Option<String>, Thrown> {
    if let Some(replaced) = works_otherwise(engine, cluster, "refreshSlotsCache")? {
        return Ok(Some(replaced));
    }
    if let Some(replaced) = replaced(engine, cluster, &METHODS, "hgetallBuffer")? {
        return Ok(Some(replaced));
    }
    if !resolves_as_usual(engine, cluster, load_live)? {
        return Ok(Some(texts::LOOKUP_REPLACED.into()));
    }
    Ok(cluster_settings(engine, cluster).err())
}

/// Whether the cluster finds the addresses of its nodes as Node.js does by itself. `load_live` loads `lib/adopted-client.js`.
fn resolves_as_usual(engine: Engine, cluster: Value, load_live: Value) -> Result<bool, Thrown> {
    let lookup = engine.get(engine.get(cluster, c"options")?, c"dnsLookup")?;
    if engine.type_of(lookup) != Type::Function {
        return Ok(true);
    }
    let helpers = engine.call(load_live, engine.undefined(), &[])?;
    let answer = engine.call(engine.get(helpers, c"looksUpAsUsual")?, helpers, &[lookup])?;
    Ok(engine.to_bool(answer) == Some(true))
}

/// What the cluster is set to now, or the setting that stands in the way.
pub fn cluster_settings(engine: Engine, cluster: Value) -> Result<Settings, String> {
    let read_both = || -> Result<_, Thrown> {
        let nodes = read(engine, engine.get(cluster, c"startupNodes")?, OPTIONS_DEPTH)?;
        Ok((nodes, read_keys(engine, engine.get(cluster, c"options")?, &CLUSTER_OPTIONS, OPTIONS_DEPTH)?))
    };
    let (nodes, options) = read_both().map_err(|_| texts::OPTIONS_UNREADABLE.to_owned())?;
    config::cluster::from_ioredis(&nodes, &options).map_err(|unsupported| unsupported.to_string())
}

/// The limit for one command that the instance, or the nodes of the cluster, are set to, in milliseconds.
pub fn command_timeout(engine: Engine, redis: Value) -> Result<Option<f64>, Thrown> {
    let mut options = engine.get(redis, c"options")?;
    if is_cluster(engine, redis)? {
        options = engine.get(options, c"redisOptions")?;
    }
    if engine.type_of(options) != Type::Object {
        return Ok(None);
    }
    Ok(engine.to_f64(engine.get(options, c"commandTimeout")?))
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
