//! Recognises what was passed to `createRedisStore`: the table of all inputs, in the order in which they are distinguished.
//! What a family of clients looks like is in the file of its name.

use idioteque_redis_core::config;
use idioteque_redis_core::config::{ConfigError, Connection, Input, Settings};
use idioteque_redis_core::error_texts::{clients as texts, values};

use super::input_error::InputError;
use super::shape::has_method;
use super::{glide, ioredis, node_redis, replicas, upstash};
use crate::env_vars;
use crate::js_values::{MAX_DEPTH, read};
use crate::node_api::{Engine, Thrown, Type, Value};

/// What was passed.
pub enum Recognised {
    /// A URL or a configuration: we connect ourselves.
    Fixed(Box<Settings>),
    /// A client with whose settings we connect ourselves, and how it could carry the commands itself, unless the caller
    /// wants a native connection and nothing else.
    Live(ClientFamily, Value, Option<OwnMethods>),
    /// A client that carries the commands itself.
    Client(OwnMethods),
}

/// The family of a live client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFamily {
    /// ioredis and iovalkey.
    Ioredis,
    /// node-redis.
    NodeRedis,
    /// A cluster of ioredis or iovalkey.
    IoredisCluster,
    /// A cluster of node-redis.
    NodeRedisCluster,
}

/// A client that carries the commands itself.
pub struct OwnMethods {
    /// What to call.
    pub client: Value,
    /// How it spells the commands and shapes the answers: a row of `lib/client-store/adapters.js`.
    pub adapter: &'static str,
    /// The client's own limit for one command, in milliseconds.
    pub command_timeout: Option<f64>,
    /// The setting by which it reads from replicas, if it does.
    pub reads_from_replicas: Option<String>,
}

impl OwnMethods {
    fn new(client: Value, adapter: &'static str) -> Self {
        Self { client, adapter, command_timeout: None, reads_from_replicas: None }
    }
}

const IOREDIS: &str = "ioredis";
const NODE_REDIS: &str = "node-redis";
const UPSTASH: &str = "upstash";
const GLIDE: &str = "glide";

/// The methods that a store works through, and the same as node-redis spells them.
const METHODS: [&str; 8] = ["get", "set", "del", "expire", "hget", "hset", "hdel", "hgetall"];
const CAMEL_CASE_METHODS: [&str; 8] = ["get", "set", "del", "expire", "hGet", "hSet", "hDel", "hGetAll"];

/// Recognises the first argument. `is_proxy` is `util.types.isProxy`, and `load_live` loads `lib/adopted-client.js`.
pub fn recognise(
    engine: Engine,
    redis: Value,
    wanted: Connection,
    is_proxy: Value,
    load_live: Value,
) -> Result<Recognised, InputError> {
    let kind = engine.type_of(redis);
    if !matches!(kind, Type::Object | Type::Function) || engine.is_array(redis) {
        return configuration(engine, redis, wanted);
    }
    let proxied = engine.to_bool(engine.call(is_proxy, engine.undefined(), &[redis])?) == Some(true);
    // A proxy may throw at what its client does not have, and what uses the client only as a store does never asks for that.
    let found = |found: Result<bool, Thrown>| if proxied { Ok(found.unwrap_or(false)) } else { found };
    if found(is_url(engine, redis))? {
        return configuration(engine, redis, wanted);
    }
    if found(is_transaction(engine, redis, proxied))? {
        return Err(ConfigError::wrong_type(texts::transaction()).into());
    }
    // An Upstash client is a proxy by default; everything else behind one is to be called, not looked through.
    if found(upstash::is_client(engine, redis))? {
        return upstash_client(engine, redis, wanted);
    }
    // It spells commands in its own way, also behind a proxy: given the key to delete as others are, it deletes what its letters name.
    if found(glide::is_client(engine, redis))? {
        return glide_client(engine, redis, wanted);
    }
    if proxied {
        let reads_from_replicas = match () {
            () if found(ioredis::is_instance(engine, redis))? => replicas::of_ioredis(engine, redis)?,
            () if found(ioredis::is_cluster(engine, redis))? => replicas::of_ioredis_cluster(engine, redis)?,
            () => None,
        };
        return generic(engine, redis, wanted, reads_from_replicas, texts::BEHIND_PROXY);
    }
    // No client that is known is one, but a mock may be.
    if kind == Type::Function {
        return generic(engine, redis, wanted, None, texts::SETTINGS_UNKNOWN);
    }
    if ioredis::is_instance(engine, redis)? {
        ioredis::refuse_ended(engine, redis)?;
        let unsupported_reason = ioredis::unsupported_reason(engine, redis)?;
        let own = OwnMethods {
            command_timeout: ioredis::command_timeout(engine, redis)?,
            reads_from_replicas: replicas::of_ioredis(engine, redis)?,
            ..OwnMethods::new(redis, IOREDIS)
        };
        return adopt(wanted, unsupported_reason, ClientFamily::Ioredis, redis, own);
    }
    if ioredis::is_cluster(engine, redis)? {
        ioredis::refuse_ended(engine, redis)?;
        let own = OwnMethods {
            command_timeout: ioredis::command_timeout(engine, redis)?,
            reads_from_replicas: replicas::of_ioredis_cluster(engine, redis)?,
            ..OwnMethods::new(redis, IOREDIS)
        };
        return adopt(
            wanted,
            ioredis::cluster_unsupported_reason(engine, redis, load_live)?,
            ClientFamily::IoredisCluster,
            redis,
            own,
        );
    }
    if let Some(kind) = node_redis::kind(engine, redis)? {
        return node_redis_object(engine, redis, wanted, kind);
    }
    generic(engine, redis, wanted, None, texts::SETTINGS_UNKNOWN)
}

/// An Upstash client, whose URL and token we use ourselves, unless its requests are not the usual ones.
fn upstash_client(engine: Engine, redis: Value, wanted: Connection) -> Result<Recognised, InputError> {
    match upstash::settings(engine, redis)? {
        Ok(mut settings) if wanted != Connection::Client => {
            env_vars::complete(engine, &mut settings)?;
            Ok(Recognised::Fixed(Box::new(settings)))
        }
        settings => {
            let own = OwnMethods {
                reads_from_replicas: replicas::of_upstash(engine, redis)?,
                ..OwnMethods::new(redis, UPSTASH)
            };
            own_methods(wanted, own, &settings.err().unwrap_or_default())
        }
    }
}

/// A client of valkey-glide, which is called.
fn glide_client(engine: Engine, redis: Value, wanted: Connection) -> Result<Recognised, InputError> {
    if glide::is_closed(engine, redis)? {
        return Err(ConfigError::wrong_type(texts::glide_closed()).into());
    }
    let own = OwnMethods { reads_from_replicas: replicas::of_glide(engine, redis)?, ..OwnMethods::new(redis, GLIDE) };
    own_methods(wanted, own, texts::GLIDE)
}

fn node_redis_object(
    engine: Engine,
    redis: Value,
    wanted: Connection,
    kind: node_redis::Kind,
) -> Result<Recognised, InputError> {
    use node_redis::Kind;
    let topology = match kind {
        Kind::Legacy => return Err(node_redis::refuse_legacy().into()),
        Kind::Other => return generic(engine, redis, wanted, None, texts::SETTINGS_UNKNOWN),
        Kind::Cluster => {
            require(engine, redis, &CAMEL_CASE_METHODS)?;
            let own = OwnMethods::new(redis, NODE_REDIS);
            let itself = node_redis::behind_views(engine, redis)?;
            let unsupported_reason = node_redis::cluster_unsupported_reason(engine, itself)?;
            return adopt(wanted, unsupported_reason, ClientFamily::NodeRedisCluster, itself, own);
        }
        Kind::Sentinel => texts::SENTINEL_CLIENT,
        Kind::Pool => texts::POOL,
        Kind::Client => {
            node_redis::refuse_closed(engine, redis)?;
            let unsupported_reason = node_redis::unsupported_reason(engine, redis)?;
            let client = match node_redis::is_legacy_mode(engine, redis)? {
                true => engine.get(redis, c"v4")?,
                false => redis,
            };
            let timeout = node_redis::settings(engine, redis).ok().and_then(|settings| settings.command_timeout);
            let command_timeout = timeout.map(|timeout| timeout.as_millis() as f64);
            let own = OwnMethods { command_timeout, ..OwnMethods::new(client, NODE_REDIS) };
            let itself = node_redis::behind_views(engine, redis)?;
            return adopt(wanted, unsupported_reason, ClientFamily::NodeRedis, itself, own);
        }
    };
    own(engine, redis, wanted, NODE_REDIS, topology)
}

/// A client that can be adopted, unless an option or the caller excludes it.
fn adopt(
    wanted: Connection,
    unsupported_reason: Option<String>,
    family: ClientFamily,
    client: Value,
    own: OwnMethods,
) -> Result<Recognised, InputError> {
    match (wanted, unsupported_reason) {
        (Connection::Auto, None) => Ok(Recognised::Live(family, client, Some(own))),
        (Connection::Native, None) => Ok(Recognised::Live(family, client, None)),
        (_, unsupported_reason) => own_methods(wanted, own, unsupported_reason.as_deref().unwrap_or_default()),
    }
}

/// A client that is called through an adapter. `unsupported_reason` is why it cannot be otherwise.
fn own(
    engine: Engine,
    client: Value,
    wanted: Connection,
    adapter: &'static str,
    unsupported_reason: &str,
) -> Result<Recognised, InputError> {
    if adapter == NODE_REDIS {
        require(engine, client, &CAMEL_CASE_METHODS)?;
    }
    own_methods(wanted, OwnMethods::new(client, adapter), unsupported_reason)
}

fn own_methods(wanted: Connection, own: OwnMethods, unsupported_reason: &str) -> Result<Recognised, InputError> {
    match (wanted, &own.reads_from_replicas) {
        // Whoever says `"client"` gets that, and a warning.
        (Connection::Auto, None) | (Connection::Client, _) => Ok(Recognised::Client(own)),
        (Connection::Auto, Some(setting)) => Err(ConfigError::wrong_type(texts::reads_from_replicas(setting)).into()),
        (Connection::Native, _) => Err(ConfigError::wrong_type(texts::native_impossible(unsupported_reason)).into()),
    }
}

/// Anything with the eight methods, else a configuration. `reads_from_replicas` is the setting by which it does, if that is known.
fn generic(
    engine: Engine,
    redis: Value,
    wanted: Connection,
    reads_from_replicas: Option<String>,
    unsupported_reason: &str,
) -> Result<Recognised, InputError> {
    let (methods, adapter) = match () {
        () if has_method(engine, redis, "hset")? => (&METHODS, IOREDIS),
        () if has_method(engine, redis, "hSet")? => (&CAMEL_CASE_METHODS, NODE_REDIS),
        () => return configuration(engine, redis, wanted),
    };
    require(engine, redis, methods)?;
    own_methods(wanted, OwnMethods { reads_from_replicas, ..OwnMethods::new(redis, adapter) }, unsupported_reason)
}

fn require(engine: Engine, client: Value, methods: &[&'static str]) -> Result<(), InputError> {
    let mut missing = Vec::new();
    for method in methods {
        if !has_method(engine, client, method)? {
            missing.push(*method);
        }
    }
    let text = match missing[..] {
        [] => return Ok(()),
        [method] => texts::method_missing(method),
        _ => texts::methods_missing(missing.join(", ")),
    };
    Err(ConfigError::wrong_type(text).into())
}

/// The server that environment variables name.
pub fn from_environment(engine: Engine, wanted: Connection) -> Result<Recognised, InputError> {
    configured(engine, config::from_environment(&env_vars::of_servers(engine)?)?, wanted)
}

fn configuration(engine: Engine, redis: Value, wanted: Connection) -> Result<Recognised, InputError> {
    let settings = match engine.type_of(redis) {
        Type::Undefined => return Err(ConfigError::wrong_type(values::undefined_passed()).into()),
        Type::Object if has_method(engine, redis, "then")? => {
            return Err(ConfigError::wrong_type(texts::promise()).into());
        }
        Type::Object if is_url(engine, redis)? => {
            let href = engine.string(engine.get(redis, c"href")?).unwrap_or_default();
            config::from_input(&Input::Text(href))?
        }
        _ => config::from_input(&read(engine, redis, MAX_DEPTH)?)?,
    };
    configured(engine, settings, wanted)
}

fn configured(engine: Engine, mut settings: Settings, wanted: Connection) -> Result<Recognised, InputError> {
    if wanted == Connection::Client {
        return Err(ConfigError::wrong_type(texts::client_missing()).into());
    }
    env_vars::complete(engine, &mut settings)?;
    Ok(Recognised::Fixed(Box::new(settings)))
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

/// Pipelines and transactions have a client's methods, but only queue. A proxy may answer to any name.
fn is_transaction(engine: Engine, redis: Value, proxied: bool) -> Result<bool, Thrown> {
    Ok(ioredis::is_transaction(engine, redis)?
        || upstash::is_transaction(engine, redis)
        || glide::is_transaction(engine, redis)
        || (!proxied && node_redis::is_transaction(engine, redis)?))
}
