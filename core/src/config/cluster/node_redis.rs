//! Reads what node-redis's `createCluster` takes, and a live cluster of it.

use super::nodes::{adopt, finish, log_in, nodes};
use crate::config::error::{ConfigError, Unsupported};
use crate::config::input::Input;
use crate::config::partial::Parts;
use crate::config::schema::Keys;
use crate::config::settings::Settings;
use crate::config::values::given;
use crate::config::{node_redis, values};
use crate::error_texts::unsupported as reasons;

/// The keys of what node-redis's `createCluster` takes.
const KEYS: Keys = Keys {
    kind: "a node-redis-style cluster configuration",
    prefix: "",
    mapped: &["rootNodes", "defaults", "keyPrefix", "commandOptions"],
    ignored: &[
        "RESP",
        "clientSideCache",
        "functions",
        "himportRegistry",
        "maxCommandRedirections",
        "minimizeConnections",
        "modules",
        "scripts",
        "topologyRefreshOnReconnectionAttemptStrategy",
        "useReplicas",
    ],
    refused: &[("nodeAddressMap", reasons::TRANSLATES_ADDRESSES)],
    aliases: &[
        ("nodes", "rootNodes"),
        ("startupNodes", "rootNodes"),
        ("username", "defaults.username"),
        ("password", "defaults.password"),
        ("socket", "defaults.socket"),
        ("redisOptions", "defaults"),
    ],
};

/// Reads node-redis's `{ rootNodes, defaults }`.
///
/// # Errors
/// For a key that node-redis does not have, and what cannot be honoured.
pub fn from_config(map: &[(String, Input)]) -> Result<Settings, ConfigError> {
    KEYS.refuse(map)?;
    KEYS.check(map)?;
    let (nodes, login) = nodes("rootNodes", given(map, "rootNodes").unwrap_or(&Input::Null))?;
    let mut parts = match given(map, "defaults") {
        Some(defaults) => node_redis::parts_of(node_redis::object("defaults", defaults)?)?,
        None => Parts::default(),
    };
    log_in(&mut parts, login, "rootNodes")?;
    if let Some(prefix) = given(map, "keyPrefix") {
        parts.key_prefix = Some(values::text("keyPrefix", prefix)?.to_owned());
    }
    if let Some(options) = given(map, "commandOptions") {
        node_redis::read_command_options(&mut parts, node_redis::object("commandOptions", options)?)?;
    }
    finish(parts, nodes)
}

/// Reads the options of a live node-redis cluster.
///
/// # Errors
/// At the first setting that a native connection cannot honour.
pub fn from_node_redis(options: &[(String, Input)]) -> Result<Settings, Unsupported> {
    if given(options, "nodeAddressMap").is_some_and(values::truthy) {
        return Err(Unsupported::new("nodeAddressMap", reasons::TRANSLATES_ADDRESSES));
    }
    let mut parts = match given(options, "defaults") {
        Some(Input::Map(defaults)) => {
            if given(defaults, "credentialsProvider").is_some() {
                return Err(Unsupported::new("defaults.credentialsProvider", reasons::PROVIDER_OF_CLUSTER));
            }
            node_redis::instance_parts(defaults)?
        }
        _ => Parts::default(),
    };
    (parts.host, parts.port, parts.path, parts.database) = (None, None, None, None);
    // The cluster makes the keys, whatever prefix its nodes have.
    parts.key_prefix = match given(options, "keyPrefix") {
        Some(prefix) => {
            let prefix = values::text("keyPrefix", prefix).map_err(|error| Unsupported::wrong("keyPrefix", &error))?;
            Some(prefix.to_owned())
        }
        None => None,
    };
    adopt("rootNodes", given(options, "rootNodes").unwrap_or(&Input::Null), parts)
}
