//! Reads what node-redis's `createSentinel` takes.

use super::client::{object, parts_of, read_command_options};
use crate::config::error::ConfigError;
use crate::config::input::Input;
use crate::config::partial::Parts;
use crate::config::schema::Keys;
use crate::config::settings::Settings;
use crate::config::values::given;
use crate::config::{Topology, topology, values};
use crate::error_texts::unsupported::TRANSLATES_ADDRESSES;

/// The keys of what `createSentinel` takes.
const KEYS: Keys = Keys {
    kind: "a node-redis-style Sentinel configuration",
    prefix: "",
    mapped: &["name", "sentinelRootNodes", "nodeClientOptions", "sentinelClientOptions", "keyPrefix", "commandOptions"],
    ignored: &[
        "RESP",
        "clientSideCache",
        "functions",
        "masterPoolSize",
        "maxCommandRediscovers",
        "modules",
        "passthroughClientErrorEvents",
        "replicaPoolSize",
        "reserveClient",
        "scanInterval",
        "scripts",
    ],
    refused: &[("nodeAddressMap", TRANSLATES_ADDRESSES)],
    aliases: &[
        ("sentinels", "sentinelRootNodes"),
        ("username", "nodeClientOptions.username"),
        ("password", "nodeClientOptions.password"),
        ("database", "nodeClientOptions.database"),
        ("socket", "nodeClientOptions.socket"),
    ],
};

/// Reads what `createSentinel` takes.
///
/// # Errors
/// For a key that node-redis does not have, and what cannot be honoured.
pub fn from_sentinel_config(map: &[(String, Input)]) -> Result<Settings, ConfigError> {
    KEYS.refuse(map)?;
    KEYS.check(map)?;
    let mut sentinels = topology::sentinels(
        "sentinelRootNodes",
        given(map, "sentinelRootNodes").unwrap_or(&Input::Null),
        given(map, "name"),
    )?;
    if let Some(options) = given(map, "sentinelClientOptions") {
        let login = parts_of(object("sentinelClientOptions", options)?)?;
        (sentinels.username, sentinels.password) = (login.username, login.password);
        (sentinels.family, sentinels.tls) = (login.family.unwrap_or_default(), login.tls);
    }
    let mut parts = match given(map, "nodeClientOptions") {
        Some(options) => parts_of(object("nodeClientOptions", options)?)?,
        None => Parts::default(),
    };
    if let Some(prefix) = given(map, "keyPrefix") {
        parts.key_prefix = Some(values::text("keyPrefix", prefix)?.to_owned());
    }
    if let Some(options) = given(map, "commandOptions") {
        read_command_options(&mut parts, object("commandOptions", options)?)?;
    }
    parts.topology = Some(Topology::Sentinel(sentinels));
    Ok(parts.into_settings())
}
