//! The start-up nodes of a cluster, and what they have to agree on.

use crate::config::address::Address;
use crate::config::error::{ConfigError, Unsupported};
use crate::config::input::Input;
use crate::config::partial::Parts;
use crate::config::settings::Settings;
use crate::config::topology::Topology;
use crate::config::values::given;
use crate::config::{Tls, ioredis, node_redis, topology, url, values};
use crate::error_texts::values as texts;

const DEFAULT_PORT: u16 = 6379;

/// Reads an array of start-up nodes: objects such as `{ host, port }`, URLs, and ports on this machine. Credentials that
/// one of them has count for all.
///
/// # Errors
/// For anything else, and for an empty array.
pub fn from_nodes(list: &Input) -> Result<Settings, ConfigError> {
    let (nodes, parts) = nodes("nodes", list)?;
    finish(parts, nodes)
}

/// The settings of a live cluster: its nodes, and what counts for all of them.
pub(super) fn adopt(key: &str, list: &Input, mut parts: Parts) -> Result<Settings, Unsupported> {
    let reason = |error: ConfigError| Unsupported::wrong(key, &error);
    let (nodes, login) = nodes(key, list).map_err(reason)?;
    log_in(&mut parts, login, key).map_err(reason)?;
    finish(parts, nodes).map_err(reason)
}

/// The nodes' own URLs count where nothing else is given. A URL that asks for TLS has no settings of
/// TLS, but does not go with such settings given elsewhere.
pub(super) fn log_in(parts: &mut Parts, login: Parts, key: &str) -> Result<(), ConfigError> {
    if parts.password.is_none() && parts.username.is_none() {
        (parts.username, parts.password) = (login.username, login.password);
    }
    match (&parts.tls, login.tls) {
        (None, of_nodes) => parts.tls = of_nodes,
        (Some(of_all), Some(of_nodes)) if of_nodes != Tls::default() && of_nodes != *of_all => {
            return Err(two_kinds(key));
        }
        _ => {}
    }
    Ok(())
}

/// The nodes that are found later have no settings of their own, so that they could be spoken to in plaintext.
fn two_kinds(key: &str) -> ConfigError {
    ConfigError::wrong_type(texts::nodes_differ_in_tls(key))
}

/// The settings of a cluster that begins at these nodes.
pub(super) fn finish(mut parts: Parts, nodes: Vec<Address>) -> Result<Settings, ConfigError> {
    if parts.database.is_some_and(|database| database != 0) {
        return Err(ConfigError::wrong_type(texts::cluster_has_one_database()));
    }
    parts.topology = Some(Topology::Cluster(nodes));
    Ok(parts.into_settings())
}

/// The start-up nodes, and what the first of them with credentials logs in with.
pub(super) fn nodes(key: &str, list: &Input) -> Result<(Vec<Address>, Parts), ConfigError> {
    let mut nodes = Vec::new();
    let (mut login, mut encrypted) = (Parts::default(), Vec::new());
    for (index, item) in topology::items(key, list)?.iter().enumerate() {
        let parts = node(&format!("{key}[{index}]"), item)?;
        if parts.database.is_some_and(|database| database != 0) {
            return Err(ConfigError::wrong_type(texts::node_has_database(format_args!("{key}[{index}]"))));
        }
        let host = parts.host.clone().unwrap_or_else(|| topology::DEFAULT_HOST.to_owned());
        nodes.push(Address::Tcp(host, parts.port.unwrap_or(DEFAULT_PORT)));
        encrypted.push(parts.tls.clone());
        if login.password.is_none() && login.username.is_none() {
            (login.username, login.password) = (parts.username, parts.password);
        }
    }
    login.tls = encrypted.first().cloned().flatten();
    let for_all = encrypted.iter().all(|tls| *tls == login.tls);
    if !for_all {
        return Err(two_kinds(key));
    }
    Ok((nodes, login))
}

/// One start-up node.
fn node(location: &str, item: &Input) -> Result<Parts, ConfigError> {
    let Input::Map(map) = item else {
        return match item {
            Input::Text(text) => url::parts(text),
            Input::Number(_) => Ok(Parts { port: Some(values::port(location, item)?), ..Parts::default() }),
            other => Err(ConfigError::wrong_type(texts::must_be_node(location, values::kind(other)))),
        };
    };
    if given(map, "url").is_some() || given(map, "socket").is_some() {
        return node_redis::parts_of(map);
    }
    let (login, rest): (Vec<_>, Vec<_>) =
        map.iter().cloned().partition(|(key, _)| matches!(key.as_str(), "username" | "password" | "tls"));
    let Address::Tcp(host, port) = topology::address(location, &Input::Map(rest), DEFAULT_PORT)? else {
        return Ok(Parts::default());
    };
    Ok(Parts { host: Some(host), port: Some(port), ..ioredis::parts(&login)? })
}
