//! Decides what a value that is not a client is: a URL, a port, or an object in the style of ioredis, node-redis or
//! Upstash.

use super::error::ConfigError;
use super::input::Input;
use super::schema::Keys;
use super::settings::Settings;
use super::{cluster, ioredis, node_redis, upstash, url, values};
use crate::error_texts::values as texts;

/// Keys that only an ioredis-style object has at its top level, and where node-redis has the same setting.
const OF_IOREDIS: &[(&str, &str)] = &[
    ("host", "socket.host"),
    ("port", "socket.port"),
    ("path", "socket.path"),
    ("db", "database"),
    ("sentinels", "sentinelRootNodes"),
];

/// Keys that only a node-redis-style object has; `database` is also taken for `db` beside `host`.
const OF_NODE_REDIS: &[&str] =
    &["url", "socket", "RESP", "commandOptions", "rootNodes", "sentinelRootNodes", "database"];

/// Reads what was passed in place of a client: a URL or shorthand, a port, or a configuration object.
///
/// # Errors
/// For anything else, and for what the URL or the object gets wrong.
pub fn from_input(input: &Input) -> Result<Settings, ConfigError> {
    match input {
        Input::Text(text) => url::from_url(text),
        Input::Number(_) => url::from_url(&values::port("port", input)?.to_string()),
        Input::Map(map) => from_object(map),
        Input::List(_) => cluster::from_nodes(input),
        other => Err(ConfigError::wrong_type(texts::not_accepted(values::describe(other)))),
    }
}

/// Reads a configuration object in the style of ioredis, node-redis or Upstash, whichever its keys belong to.
///
/// # Errors
/// When it does not name a server, mixes both styles, or has a key or value that is not understood.
pub fn from_object(map: &[(String, Input)]) -> Result<Settings, ConfigError> {
    let has = |key: &str| map.iter().any(|(name, value)| name == key && *value != Input::Null);
    let over_http = |(key, value): &(String, Input)| match value {
        Input::Text(text) => key == "url" && upstash::is_http(text),
        _ => false,
    };
    if has("token") || map.iter().any(over_http) {
        return upstash::from_config(map);
    }
    let of_ioredis = OF_IOREDIS.iter().find(|(key, _)| has(key));
    let of_node_redis = OF_NODE_REDIS.iter().find(|key| has(key));
    match (of_ioredis, of_node_redis) {
        (Some(_), None | Some(&"database")) => ioredis::from_config(map),
        (None, Some(_)) if has("sentinelRootNodes") => node_redis::from_sentinel_config(map),
        (None, Some(_)) if has("rootNodes") => cluster::from_config(map),
        (None, Some(_)) => {
            ioredis::refuse_cluster_options(map)?;
            node_redis::from_config(map)
        }
        (Some((key, instead)), Some(other)) => Err(ConfigError::wrong_type(texts::two_styles(key, other, instead))),
        (None, None) => Err(no_address(map)),
    }
}

/// The error for an object that names no server: perhaps because the key that should do so is misspelt.
fn no_address(map: &[(String, Input)]) -> ConfigError {
    let known = |key: &str| ioredis::KEYS.has(key) || node_redis::KEYS.has(key);
    if let Err(error) = ioredis::refuse_cluster_options(map) {
        return error;
    }
    match map.iter().find(|(key, value)| *value != Input::Null && !known(key)) {
        Some((key, _)) => {
            let suggests = |keys: &Keys| keys.suggestion(key).is_some();
            let of_node_redis = suggests(&node_redis::KEYS) && !suggests(&ioredis::KEYS);
            let style = if of_node_redis { node_redis::KEYS } else { ioredis::KEYS };
            Keys { kind: "a Redis configuration", ..style }.unknown(key)
        }
        None => ConfigError::wrong_type(texts::no_server()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::address::Address;

    fn text(text: &str) -> Input {
        Input::Text(text.into())
    }

    fn number(number: i32) -> Input {
        Input::Number(number.into())
    }

    fn map<const N: usize>(entries: [(&str, Input); N]) -> Vec<(String, Input)> {
        entries.map(|(key, value)| (key.to_owned(), value)).into()
    }

    #[test]
    fn the_keys_decide_the_style() {
        let nothing = || Input::Map(vec![]);
        for (object, host, port, database) in [
            (map([("port", number(1))]), "localhost", 1, 0),
            (map([("host", text("h"))]), "h", 6379, 0),
            (map([("db", number(2))]), "localhost", 6379, 2),
            (map([("host", text("h")), ("database", number(2))]), "h", 6379, 2),
            (map([("host", text("h")), ("name", text("a name that ioredis ignores"))]), "h", 6379, 0),
            (map([("database", number(2))]), "localhost", 6379, 2),
            (map([("socket", nothing()), ("host", Input::Null)]), "localhost", 6379, 0),
            (map([("url", text("redis://h:1/2"))]), "h", 1, 2),
            (map([("RESP", number(3))]), "localhost", 6379, 0),
        ] {
            let settings = from_object(&object).unwrap();
            assert_eq!(
                (settings.address, settings.database),
                (Address::Tcp(host.into(), port), database),
                "{object:?}"
            );
        }
    }

    #[test]
    fn objects_with_too_little_or_too_much_are_errors() {
        const REDIS_OPTIONS: &str = "`redisOptions` is an option of ioredis's Cluster: pass an array of nodes, or `new \
            Cluster(nodes, { redisOptions })`";
        let nothing = || Input::Map(vec![]);
        for (object, reason) in [
            (map([]), "does not say where to connect"),
            (map([("host", Input::Null)]), "does not say where to connect"),
            (map([("password", text("hunter2"))]), "does not say where to connect"),
            (map([("hots", text("h"))]), "Did you mean `host`?"),
            (map([("scoket", Input::Map(vec![]))]), "Did you mean `socket`?"),
            (map([("nonsense", text("h"))]), "`nonsense` is not a setting of a Redis configuration"),
            (map([("db", number(1)), ("database", number(2))]), "`database` is given twice"),
            (map([("db", number(1)), ("url", text("redis://h"))]), "which has `database`: use one style"),
            (map([("host", text("h")), ("socket", Input::Map(vec![]))]), "which has `socket.host`: use one style"),
            (map([("url", text("https://h"))]), "`token` is missing"),
            (map([("url", text("redis://h")), ("token", text("hunter2"))]), "must begin with https://"),
            (map([("url", text("https://h")), ("database", number(1))]), "not a setting of an Upstash configuration"),
            (map([("sentinels", Input::List(vec![])), ("name", text("m"))]), "is empty"),
            (map([("sentinelRootNodes", Input::List(vec![])), ("replicaPoolSize", number(1))]), "is empty"),
            (map([("rootNodes", Input::List(vec![])), ("defaults", Input::Map(vec![]))]), "is empty"),
            (map([("sentinelRootNodes", Input::List(vec![]))]), "is empty"),
            (map([("rootNodes", Input::List(vec![]))]), "is empty"),
            (map([("host", text("h")), ("redisOptions", nothing())]), REDIS_OPTIONS),
            (map([("redisOptions", nothing())]), REDIS_OPTIONS),
            (map([("socket", nothing()), ("redisOptions", nothing())]), REDIS_OPTIONS),
            (
                map([("host", text("h")), ("scaleReads", text("slave"))]),
                "`scaleReads` is an option of ioredis's Cluster",
            ),
            (map([("startupNodes", Input::List(vec![]))]), "pass them as an array in place of the object"),
            (map([("nodes", Input::List(vec![]))]), "pass them as an array in place of the object"),
            (map([("host", text("h")), ("tls", number(1))]), "`tls` must be an object"),
            (map([("url", text("redis://h")), ("tls", Input::Bool(true))]), "Did you mean `socket.tls`?"),
        ] {
            let error = from_object(&object).expect_err(reason);
            assert!(error.message.contains(reason), "{object:?}: {error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn anything_else_is_an_error_with_what_is_accepted() {
        assert_eq!(from_input(&text("h:1")).unwrap().address, Address::Tcp("h".into(), 1));
        assert_eq!(from_input(&number(1)).unwrap().address, Address::Tcp("localhost".into(), 1));
        assert!(from_input(&Input::Map(map([("host", text("h"))]))).is_ok());
        assert!(from_input(&number(0)).unwrap_err().range);
        assert!(from_input(&Input::List(vec![])).unwrap_err().message.contains("is empty"));
        for (input, shown) in [
            (Input::Null, "got null"),
            (Input::Bool(true), "got true"),
            (Input::Function, "got a function"),
            (Input::Other("symbol".into()), "got symbol"),
        ] {
            let error = from_input(&input).unwrap_err();
            assert!(error.message.starts_with("Pass a Redis URL") && error.message.ends_with(shown), "{error}");
        }
    }
}
