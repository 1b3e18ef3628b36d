//! Reads ioredis-style configuration: a plain object such as `{ host, port, db }`, and the `options` of a live instance.

use super::error::{ConfigError, Unsupported};
use super::input::Input;
use super::partial::{Parts, same};
use super::schema::Keys;
use super::settings::Settings;
use super::values::given;
use super::{Tls, Topology, tls, topology, values};
use crate::error_texts::unsupported as reasons;
use crate::error_texts::values as texts;

const MAPPED: &[&str] = &[
    "host",
    "port",
    "path",
    "family",
    "tls",
    "db",
    "database",
    "username",
    "password",
    "keyPrefix",
    "connectionName",
    "connectTimeout",
    "commandTimeout",
    "role",
    "sentinels",
    "name",
    "sentinelUsername",
    "sentinelPassword",
    "sentinelTLS",
    "enableTLSForSentinelMode",
    "updateSentinels",
];

/// All other options of ioredis 4 to 6: queues, retries, waiting, reply shapes and what only matters with Sentinel.
const IGNORED: &[&str] = &[
    "autoPipeliningIgnoredCommands",
    "autoResendUnfulfilledCommands",
    "autoResubscribe",
    "blockingTimeout",
    "blockingTimeoutGrace",
    "clientInfoTag",
    "commandQueue",
    "disableClientInfo",
    "disconnectTimeout",
    "dropBufferSupport",
    "enableAutoPipelining",
    "enableOfflineQueue",
    "enableReadyCheck",
    "failoverDetector",
    "himportFieldsets",
    "keepAlive",
    "lazyConnect",
    "maxLoadingRetryTime",
    "maxRetriesPerRequest",
    "noDelay",
    "offlineQueue",
    // Only counts among replicas.
    "preferredSlaves",
    "protocol",
    "reconnectOnError",
    "replyMapping",
    "retryStrategy",
    "scripts",
    "sentinelCommandTimeout",
    "sentinelMaxConnections",
    "sentinelReconnectStrategy",
    "sentinelRetryStrategy",
    "showFriendlyErrorStack",
    "socketTimeout",
    "stringNumbers",
];

const REFUSED: &[(&str, &str)] = &[
    ("Connector", reasons::REPLACES_CONNECTIONS),
    ("monitor", reasons::MONITOR),
    ("readOnly", reasons::READ_ONLY),
    ("natMap", reasons::TRANSLATES_ADDRESSES),
];

/// What only ioredis's Cluster has, and a plain object cannot stand for.
const OF_CLUSTER: &[(&str, &str)] = &[
    ("startupNodes", reasons::STARTUP_NODES),
    ("nodes", reasons::STARTUP_NODES),
    ("redisOptions", reasons::CLUSTER_OPTION),
    ("clusterRetryStrategy", reasons::CLUSTER_OPTION),
    ("scaleReads", reasons::CLUSTER_OPTION),
    ("slotsRefreshInterval", reasons::CLUSTER_OPTION),
    ("slotsRefreshTimeout", reasons::CLUSTER_OPTION),
];

const ALIASES: &[(&str, &str)] = &[
    ("hostname", "host"),
    ("server", "host"),
    ("socketPath", "path"),
    ("unixSocket", "path"),
    ("dbIndex", "db"),
    ("user", "username"),
    ("pass", "password"),
    ("pwd", "password"),
    ("auth", "password"),
    ("prefix", "keyPrefix"),
    ("clientName", "connectionName"),
    ("timeout", "commandTimeout"),
    ("ssl", "tls"),
];

/// The keys of an ioredis-style configuration object.
pub(super) const KEYS: Keys = Keys {
    kind: "an ioredis-style configuration",
    prefix: "",
    mapped: MAPPED,
    ignored: IGNORED,
    refused: REFUSED,
    aliases: ALIASES,
};

/// Reads a plain ioredis-style configuration object.
///
/// Defaults are those of ioredis: port 6379 on localhost, either IP version, database 0; `path` wins over `host` and
/// `port`. `database` is accepted for `db`. Numbers may be given in digits, and `null` counts as absent.
///
/// # Errors
/// For a key that ioredis does not have, a value that makes no sense, and what cannot be honoured, such as `readOnly`.
pub fn from_config(map: &[(String, Input)]) -> Result<Settings, ConfigError> {
    refuse_cluster_options(map)?;
    KEYS.refuse(map)?;
    KEYS.check(map)?;
    parts(map).map(Parts::into_settings)
}

/// Refuses an object with an option that only ioredis's Cluster has.
///
/// # Errors
/// At the first of them.
pub(super) fn refuse_cluster_options(map: &[(String, Input)]) -> Result<(), ConfigError> {
    let reason_of = |key: &str| OF_CLUSTER.iter().find(|(name, _)| *name == key).map(|(_, reason)| *reason);
    let present = map.iter().filter(|(_, value)| values::truthy(value));
    match present.map(|(key, _)| key).find_map(|key| Some((key, reason_of(key)?))) {
        Some((key, reason)) => Err(ConfigError::wrong_type(texts::wrong_setting(key, reason))),
        None => Ok(()),
    }
}

/// Reads the `options` of a live standalone ioredis instance. `selected_database` is what `select()` last chose, if
/// that is known; it goes before `options.db`.
///
/// Keys that ioredis itself does not read are ignored.
///
/// # Errors
/// At the first setting that a native connection cannot honour.
pub fn from_instance(options: &[(String, Input)], selected_database: Option<u32>) -> Result<Settings, Unsupported> {
    instance_parts(options, selected_database).map(Parts::into_settings)
}

/// The settings in the options of a live instance.
pub(super) fn instance_parts(
    options: &[(String, Input)],
    selected_database: Option<u32>,
) -> Result<Parts, Unsupported> {
    let mut parts = Parts::default();
    let behind_sentinels = given(options, "sentinels").is_some();
    for (key, value) in options {
        // Of a server that can be written to it asks nothing, and no other can be used.
        if key != "readOnly"
            && let Some(reason) = KEYS.refusal(key, value)
        {
            return Err(Unsupported::new(key, reason));
        }
        let skipped = match (key.as_str(), value) {
            ("reconnectOnError", value) if values::truthy(value) => {
                return Err(Unsupported::new(key, reasons::DECIDES_RECONNECTING));
            }
            ("tls", value) => {
                parts.tls = match value {
                    Input::Map(map) => Some(tls::read(&tls::OF_IOREDIS, map)?),
                    Input::Bool(true) => Some(Tls::default()),
                    value if values::truthy(value) => return Err(Unsupported::new(key, reasons::TLS_OF_IOREDIS)),
                    _ => None,
                };
                true
            }
            ("port", Input::Null) => return Err(Unsupported::new(key, reasons::NULL_PORT)),
            // Not an option of ioredis, which ignores it.
            ("database", _) => true,
            // Without sentinels there is nothing to choose between.
            ("role", _) => !behind_sentinels,
            ("db", _) => selected_database.is_some(),
            ("host" | "path", Input::Text(text)) => text.is_empty(),
            // ioredis drops the name when the server refuses it.
            ("connectionName", name) => values::client_name(key, name).is_err(),
            // ioredis reads numbers only, and 0 lets every command fail at once, which is of no use here.
            ("commandTimeout", value) => !matches!(value, Input::Number(_)),
            ("connectTimeout", value) => !values::truthy(value),
            _ => false,
        };
        if !skipped && *value != Input::Null {
            set(&mut parts, key, value).map_err(|error| Unsupported::wrong(key, &error))?;
        }
    }
    parts.database = selected_database.or(parts.database);
    let tls_of_sentinels = match given(options, "sentinelTLS").filter(|_| given(options, "sentinels").is_some()) {
        Some(Input::Map(map)) => Some(tls::read(&tls::OF_SENTINELS, map)?),
        Some(Input::Bool(true)) => Some(Tls::default()),
        Some(value) if values::truthy(value) => return Err(Unsupported::new("sentinelTLS", reasons::TLS_OF_IOREDIS)),
        _ => None,
    };
    if let Err(error) = set_sentinels(&mut parts, options, tls_of_sentinels) {
        return Err(Unsupported::new("sentinels", reasons::sentinels_unusable(error)));
    }
    Ok(parts)
}

/// Sentinels are several keys that make sense together only; without `sentinels` the others are not looked at.
fn set_sentinels(parts: &mut Parts, map: &[(String, Input)], tls: Option<Tls>) -> Result<(), ConfigError> {
    let Some(list) = given(map, "sentinels") else { return Ok(()) };
    let mut sentinels = topology::sentinels("sentinels", list, given(map, "name"))?;
    sentinels.tls = tls;
    match (parts.tls.is_some(), given(map, "enableTLSForSentinelMode").is_some_and(values::truthy)) {
        (true, false) => {
            return Err(ConfigError::wrong_type(texts::tls_needs_switch()));
        }
        (false, true) => {
            return Err(ConfigError::wrong_type(texts::switch_needs_tls()));
        }
        _ => {}
    }
    if let Some(username) = given(map, "sentinelUsername") {
        sentinels.username = values::optional_text("sentinelUsername", username)?;
    }
    if let Some(password) = given(map, "sentinelPassword") {
        sentinels.password = values::secret("sentinelPassword", password)?;
    }
    sentinels.only_given = given(map, "updateSentinels").is_some_and(|update| !values::truthy(update));
    sentinels.family = parts.family.unwrap_or_default();
    parts.topology = Some(Topology::Sentinel(sentinels));
    Ok(())
}

/// The settings in the mapped keys of an object.
pub(super) fn parts(map: &[(String, Input)]) -> Result<Parts, ConfigError> {
    let mut parts = Parts::default();
    for (key, value) in map.iter().filter(|(_, value)| *value != Input::Null) {
        set(&mut parts, key, value)?;
    }
    let tls_of_sentinels = match given(map, "sentinelTLS").filter(|_| given(map, "sentinels").is_some()) {
        Some(value) => read_tls(&tls::OF_SENTINELS, "sentinelTLS", value)?,
        None => None,
    };
    set_sentinels(&mut parts, map, tls_of_sentinels)?;
    Ok(parts)
}

fn set(parts: &mut Parts, key: &str, value: &Input) -> Result<(), ConfigError> {
    match key {
        "host" => parts.host = Some(values::host(key, value)?),
        "port" => parts.port = Some(values::port(key, value)?),
        "path" => parts.path = Some(values::path(key, value)?),
        "family" => parts.family = Some(values::family(key, value)?),
        "tls" => parts.tls = read_tls(&tls::OF_IOREDIS, key, value)?,
        "db" | "database" => {
            let database = Some(values::database(key, value)?);
            parts.database = same(parts.database, database, "database", "in `db` and in `database`")?;
        }
        "username" => parts.username = values::optional_text(key, value)?,
        "password" => parts.password = values::secret(key, value)?,
        "keyPrefix" => parts.key_prefix = Some(values::text(key, value)?.to_owned()),
        "connectionName" => parts.client_name = values::client_name(key, value)?,
        "connectTimeout" => parts.connect_timeout = values::client_timeout(key, value)?,
        "commandTimeout" => parts.command_timeout = values::client_timeout(key, value)?,
        "role" if *value != Input::Text("master".into()) => {
            return Err(ConfigError::wrong_type(texts::must_be_master()));
        }
        _ => {}
    }
    Ok(())
}

/// `tls` or `sentinelTLS` of a configuration object.
fn read_tls(keys: &Keys, key: &str, value: &Input) -> Result<Option<Tls>, ConfigError> {
    match value {
        Input::Map(map) => {
            let present: Vec<_> = map.iter().filter(|(_, value)| *value != Input::Null).cloned().collect();
            if let Some(refused) = present.iter().find_map(|(key, value)| tls::refusal(keys, key, value)) {
                return Err(ConfigError::wrong_type(texts::cannot_be_honoured(refused.setting, refused.reason)));
            }
            keys.check(&present)?;
            tls::read(keys, &present)
                .map(Some)
                .map_err(|wrong| ConfigError::wrong_type(texts::wrong_setting(wrong.setting, wrong.reason)))
        }
        Input::Bool(true) => Ok(Some(Tls::default())),
        Input::Bool(false) => Ok(None),
        _ => Err(ConfigError::wrong_type(texts::wrong_setting(key, reasons::TLS_OF_IOREDIS))),
    }
}

#[cfg(test)]
mod tests;
