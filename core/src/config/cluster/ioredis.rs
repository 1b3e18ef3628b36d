//! Reads a live ioredis cluster.

use super::nodes::adopt;
use crate::config::error::Unsupported;
use crate::config::input::Input;
use crate::config::partial::Parts;
use crate::config::settings::Settings;
use crate::config::values::given;
use crate::config::{ioredis, values};
use crate::error_texts::unsupported as reasons;

/// Reads the `startupNodes` and the `options` of a live ioredis cluster.
///
/// # Errors
/// At the first setting that a native connection cannot honour.
pub fn from_ioredis(startup: &Input, options: &[(String, Input)]) -> Result<Settings, Unsupported> {
    if given(options, "natMap").is_some_and(values::truthy) {
        return Err(Unsupported::new("natMap", reasons::TRANSLATES_ADDRESSES));
    }
    if given(options, "useSRVRecords").is_some_and(values::truthy) {
        return Err(Unsupported::new("useSRVRecords", reasons::LOOKS_UP_SERVICES));
    }
    let mut parts = match given(options, "redisOptions") {
        Some(Input::Map(of_nodes)) => ioredis::instance_parts(of_nodes, None)?,
        _ => Parts::default(),
    };
    // Where the nodes are is not up to `redisOptions`, and a cluster has one database only.
    (parts.host, parts.port, parts.path, parts.database, parts.topology) = (None, None, None, None, None);
    // Since version 5 a cluster takes over the prefix of `redisOptions`, and before it that one is put before no key.
    parts.key_prefix = match given(options, "keyPrefix").filter(|prefix| values::truthy(prefix)) {
        Some(prefix) => {
            let prefix = values::text("keyPrefix", prefix).map_err(|error| Unsupported::wrong("keyPrefix", &error))?;
            Some(prefix.to_owned())
        }
        None => None,
    };
    adopt("startupNodes", startup, parts)
}
