//! Reads what names a cluster: an array of start-up nodes, node-redis's `{ rootNodes, defaults }`, and live clusters.

use super::error::{ConfigError, Unsupported};
use super::input::Input;
use super::partial::Parts;
use super::schema::Keys;
use super::settings::{Address, Settings};
use super::topology::Topology;
use super::{Tls, ioredis, node_redis, topology, url, values};

const DEFAULT_PORT: u16 = 6379;

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
    refused: &[("nodeAddressMap", NO_MAP)],
    aliases: &[
        ("nodes", "rootNodes"),
        ("startupNodes", "rootNodes"),
        ("username", "defaults.username"),
        ("password", "defaults.password"),
        ("socket", "defaults.socket"),
        ("redisOptions", "defaults"),
    ],
};

const NO_MAP: &str = "translates addresses, which a native connection does not do";

/// Reads an array of start-up nodes: objects such as `{ host, port }`, URLs, and ports on this machine. Credentials that
/// one of them has count for all.
///
/// # Errors
/// For anything else, and for an empty array.
pub fn from_nodes(list: &Input) -> Result<Settings, ConfigError> {
    let (nodes, parts) = nodes("nodes", list)?;
    finish(parts, nodes)
}

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

/// Reads the `startupNodes` and the `options` of a live ioredis cluster.
///
/// # Errors
/// At the first setting that a native connection cannot honour.
pub fn from_ioredis(startup: &Input, options: &[(String, Input)]) -> Result<Settings, Unsupported> {
    if given(options, "natMap").is_some_and(values::truthy) {
        return Err(unsupported("natMap", NO_MAP));
    }
    if given(options, "scaleReads") == Some(&Input::Function) {
        return Err(unsupported("scaleReads", "chooses who answers, and the store has to read what it wrote"));
    }
    let mut parts = match given(options, "redisOptions") {
        Some(Input::Map(of_nodes)) => ioredis::instance_parts(of_nodes, None)?,
        _ => Parts::default(),
    };
    // Where the nodes are is not up to `redisOptions`, and a cluster has one database only.
    (parts.host, parts.port, parts.path, parts.database, parts.topology) = (None, None, None, None, None);
    if let Some(Input::Text(prefix)) = given(options, "keyPrefix") {
        parts.key_prefix = Some(prefix.clone());
    }
    adopt("startupNodes", startup, parts)
}

/// Reads the options of a live node-redis cluster.
///
/// # Errors
/// At the first setting that a native connection cannot honour.
pub fn from_node_redis(options: &[(String, Input)]) -> Result<Settings, Unsupported> {
    if given(options, "nodeAddressMap").is_some_and(values::truthy) {
        return Err(unsupported("nodeAddressMap", NO_MAP));
    }
    let mut parts = match given(options, "defaults") {
        Some(Input::Map(defaults)) => {
            if given(defaults, "credentialsProvider").is_some() {
                return Err(unsupported("defaults.credentialsProvider", "is called by the client alone"));
            }
            node_redis::instance_parts(defaults)?
        }
        _ => Parts::default(),
    };
    (parts.host, parts.port, parts.path, parts.database) = (None, None, None, None);
    if let Some(Input::Text(prefix)) = given(options, "keyPrefix") {
        parts.key_prefix = Some(prefix.clone());
    }
    adopt("rootNodes", given(options, "rootNodes").unwrap_or(&Input::Null), parts)
}

fn unsupported(setting: &str, reason: &str) -> Unsupported {
    Unsupported { setting: setting.to_owned(), reason: reason.to_owned() }
}

fn adopt(key: &str, list: &Input, mut parts: Parts) -> Result<Settings, Unsupported> {
    let reason = |error: ConfigError| Unsupported {
        setting: key.to_owned(),
        reason: error.message.strip_prefix(&format!("`{key}` ")).unwrap_or(&error.message).to_owned(),
    };
    let (nodes, login) = nodes(key, list).map_err(reason)?;
    log_in(&mut parts, login, key).map_err(reason)?;
    finish(parts, nodes).map_err(reason)
}

fn given<'a>(map: &'a [(String, Input)], key: &str) -> Option<&'a Input> {
    map.iter().find(|(name, value)| name == key && *value != Input::Null).map(|(_, value)| value)
}

/// What the nodes' own URLs say counts where nothing else is said. One that asks for TLS says nothing of its settings,
/// but does not stand beside other ones.
fn log_in(parts: &mut Parts, login: Parts, key: &str) -> Result<(), ConfigError> {
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
    ConfigError::wrong_type(format!(
        "`{key}` has nodes with different settings of TLS, and all nodes of a cluster need the same: give them once for all"
    ))
}

fn finish(mut parts: Parts, nodes: Vec<Address>) -> Result<Settings, ConfigError> {
    if parts.database.is_some_and(|database| database != 0) {
        return Err(ConfigError::wrong_type("`database` must be 0: a cluster has no other"));
    }
    parts.topology = Some(Topology::Cluster(nodes));
    Ok(parts.into_settings())
}

/// The start-up nodes, and what the first of them with credentials logs in with.
fn nodes(key: &str, list: &Input) -> Result<(Vec<Address>, Parts), ConfigError> {
    let mut nodes = Vec::new();
    let (mut login, mut encrypted) = (Parts::default(), Vec::new());
    for (index, item) in topology::items(key, list)?.iter().enumerate() {
        let parts = node(&format!("{key}[{index}]"), item)?;
        if parts.database.is_some_and(|database| database != 0) {
            return Err(ConfigError::wrong_type(format!(
                "`{key}[{index}]` names a database, and a cluster has only 0"
            )));
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

fn node(place: &str, item: &Input) -> Result<Parts, ConfigError> {
    let Input::Map(map) = item else {
        return match item {
            Input::Text(text) => url::parts(text),
            Input::Number(_) => Ok(Parts { port: Some(values::port(place, item)?), ..Parts::default() }),
            other => Err(ConfigError::wrong_type(format!(
                "`{place}` must be a URL, a port or an object such as {{ host, port }}, got {}",
                values::kind(other)
            ))),
        };
    };
    if given(map, "url").is_some() || given(map, "socket").is_some() {
        return node_redis::parts_of(map);
    }
    let (login, rest): (Vec<_>, Vec<_>) =
        map.iter().cloned().partition(|(key, _)| matches!(key.as_str(), "username" | "password" | "tls"));
    let Address::Tcp(host, port) = topology::address(place, &Input::Map(rest), DEFAULT_PORT)? else {
        return Ok(Parts::default());
    };
    Ok(Parts { host: Some(host), port: Some(port), ..ioredis::parts(&login)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    fn text(text: &str) -> Input {
        Input::Text(text.into())
    }

    fn map<const N: usize>(entries: [(&str, Input); N]) -> Vec<(String, Input)> {
        entries.map(|(key, value)| (key.to_owned(), value)).into()
    }

    fn node(host: &str, port: u16) -> Input {
        Input::Map(map([("host", text(host)), ("port", Input::Number(port.into()))]))
    }

    #[test]
    fn nodes_are_objects_urls_and_ports() {
        let of_url = Input::Map(map([("url", text("redis://g:8"))]));
        let of_socket = Input::Map(map([("socket", node("s", 9))]));
        let list = [node("a", 1), Input::Number(2.0), text("redis://user:secret@h:7"), of_url, of_socket];
        let settings = from_nodes(&Input::List(list.into())).unwrap();
        let expected = [("a", 1), ("127.0.0.1", 2), ("h", 7), ("g", 8), ("s", 9)];
        let expected = expected.map(|(host, port)| Address::Tcp(host.into(), port));
        assert_eq!(settings.topology, Topology::Cluster(expected.into()));
        assert_eq!(settings.address, Address::Tcp("a".into(), 1));
        assert_eq!((settings.username.as_deref(), settings.password), (Some("user"), Some(Secret::new("secret"))));
    }

    #[test]
    fn what_is_no_cluster_is_named() {
        for (list, reason) in [
            (Input::List(vec![]), "is empty"),
            (Input::List(vec![Input::Bool(true)]), "nodes[0]"),
            (Input::List(vec![text("redis://h:1/3")]), "database"),
            (Input::List(vec![Input::Map(map([("hots", text("h"))]))]), "hots"),
        ] {
            let error = from_nodes(&list).unwrap_err();
            assert!(error.message.contains(reason), "{error}");
        }
    }

    #[test]
    fn defaults_are_for_all_nodes() {
        let defaults = Input::Map(map([("username", text("u")), ("password", text("p"))]));
        let config = map([("rootNodes", Input::List(vec![node("a", 1)])), ("defaults", defaults)]);
        let settings = from_config(&config).unwrap();
        assert_eq!((settings.username.as_deref(), settings.password), (Some("u"), Some(Secret::new("p"))));
        let of_ioredis = map([("redisOptions", Input::Map(map([("password", text("p"))]))), ("keyPrefix", text("k:"))]);
        let settings = from_ioredis(&Input::List(vec![node("a", 1)]), &of_ioredis).unwrap();
        assert_eq!((settings.key_prefix.as_str(), settings.password), ("k:", Some(Secret::new("p"))));
        let mapped = map([("natMap", Input::Function)]);
        assert_eq!(from_ioredis(&Input::List(vec![node("a", 1)]), &mapped).unwrap_err().setting, "natMap");
    }

    #[test]
    fn tls_is_the_same_for_all_nodes() {
        let with_tls = |value| Input::Map(map([("host", text("a")), ("tls", value)]));
        for nodes in [vec![text("rediss://a"), text("rediss://b:1")], vec![with_tls(Input::Bool(true))]] {
            assert_eq!(from_nodes(&Input::List(nodes)).unwrap().tls, Some(Tls::default()));
        }
        let mixed = Input::List(vec![text("rediss://a"), text("redis://b")]);
        assert!(from_nodes(&mixed).unwrap_err().message.contains("need the same"));
        let socket = Input::Map(map([("tls", Input::Bool(true)), ("servername", text("s"))]));
        let defaults = Input::Map(map([("socket", socket)]));
        for node in ["redis://a", "rediss://a"] {
            let config = map([("rootNodes", Input::List(vec![text(node)])), ("defaults", defaults.clone())]);
            assert_eq!(from_config(&config).unwrap().tls.unwrap().server_name.as_deref(), Some("s"), "{node}");
        }
        let options = map([("redisOptions", Input::Map(map([("tls", Input::Map(vec![]))])))]);
        let settings = from_ioredis(&Input::List(vec![node("a", 1)]), &options).unwrap();
        assert_eq!(settings.tls, Some(Tls::default()));
    }
}
