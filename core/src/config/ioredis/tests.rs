//! Tests of ioredis-style configuration. The options of instances are those that ioredis 5 and 6 have after parsing.

use std::time::Duration;

use super::*;
use crate::config::address::{Address, Family};
use crate::config::secret::Secret;

fn text(text: &str) -> Input {
    Input::Text(text.into())
}

fn number(number: impl Into<f64>) -> Input {
    Input::Number(number.into())
}

fn map<const N: usize>(entries: [(&str, Input); N]) -> Vec<(String, Input)> {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

/// The options of `new Redis()` in ioredis 6, overlaid with what the caller passed.
fn instance<const N: usize>(entries: [(&str, Input); N]) -> Vec<(String, Input)> {
    let mut options = map(entries);
    for (key, value) in map([
        ("port", number(6379)),
        ("host", text("localhost")),
        ("family", number(0)),
        ("connectTimeout", number(10_000)),
        ("disconnectTimeout", number(2_000)),
        ("retryStrategy", Input::Function),
        ("keepAlive", number(30_000)),
        ("noDelay", Input::Bool(true)),
        ("connectionName", Input::Null),
        ("disableClientInfo", Input::Bool(false)),
        ("sentinels", Input::Null),
        ("name", Input::Null),
        ("role", text("master")),
        ("sentinelRetryStrategy", Input::Function),
        ("sentinelReconnectStrategy", Input::Function),
        ("natMap", Input::Null),
        ("enableTLSForSentinelMode", Input::Bool(false)),
        ("updateSentinels", Input::Bool(true)),
        ("failoverDetector", Input::Bool(false)),
        ("username", Input::Null),
        ("password", Input::Null),
        ("db", number(0)),
        ("enableOfflineQueue", Input::Bool(true)),
        ("enableReadyCheck", Input::Bool(true)),
        ("autoResubscribe", Input::Bool(true)),
        ("autoResendUnfulfilledCommands", Input::Bool(true)),
        ("lazyConnect", Input::Bool(false)),
        ("keyPrefix", text("")),
        ("reconnectOnError", Input::Null),
        ("readOnly", Input::Bool(false)),
        ("stringNumbers", Input::Bool(false)),
        ("protocol", number(3)),
        ("replyMapping", text("legacy")),
        ("maxRetriesPerRequest", number(20)),
        ("maxLoadingRetryTime", number(10_000)),
        ("enableAutoPipelining", Input::Bool(false)),
        ("autoPipeliningIgnoredCommands", Input::List(vec![])),
        ("sentinelMaxConnections", number(10)),
        ("blockingTimeoutGrace", number(100)),
    ]) {
        if !options.iter().any(|(present, _)| *present == key) {
            options.push((key, value));
        }
    }
    options
}

#[test]
fn an_object_means_what_it_means_to_ioredis() {
    let settings = from_config(&map([
        ("host", text("h")),
        ("port", text("6380")),
        ("family", number(6)),
        ("db", number(3)),
        ("username", text("u")),
        ("password", text("p")),
        ("keyPrefix", text("app:")),
        ("connectionName", text("w1")),
        ("connectTimeout", number(100)),
        ("commandTimeout", text("2500")),
        ("role", text("master")),
        ("tls", Input::Null),
        ("retryStrategy", Input::Function),
        ("maxRetriesPerRequest", Input::Null),
    ]));
    let expected = Settings {
        topology: Default::default(),
        address: Address::Tcp("h".into(), 6380),
        family: Family::V6,
        tls: None,
        username: Some("u".into()),
        password: Some(Secret::new("p")),
        database: 3,
        client_name: Some("w1".into()),
        key_prefix: "app:".into(),
        connect_timeout: Some(Duration::from_millis(100)),
        command_timeout: Some(Duration::from_millis(2500)),
    };
    assert_eq!(settings, Ok(expected));
}

#[test]
fn the_path_wins_and_null_is_absent() {
    let settings = from_config(&map([("path", text("/a.sock")), ("host", text("h")), ("port", number(1))])).unwrap();
    assert_eq!(settings.address, Address::Unix("/a.sock".into()));
    let nothing = map([("host", Input::Null), ("port", Input::Null), ("path", Input::Null), ("db", Input::Null)]);
    let settings = from_config(&nothing).unwrap();
    assert_eq!(settings.address, Address::Tcp("localhost".into(), 6379));
}

#[test]
fn database_is_another_name_for_db() {
    for (db, database, expected) in [(1, 1, Some(1)), (1, 2, None)] {
        let settings = from_config(&map([("db", number(db)), ("database", number(database))]));
        assert_eq!(settings.ok().map(|settings| settings.database), expected);
    }
}

#[test]
fn every_option_of_ioredis_is_known() {
    assert!(from_config(&instance([])).is_ok());
    for (key, value, reason) in [
        ("tls", Input::Map(vec![("ciphers".into(), text("ALL"))]), "`tls.ciphers` is for OpenSSL"),
        ("tls", text("RedisCloudFixed"), "`tls` must be an object"),
        ("sentinels", Input::List(vec![]), "is empty"),
        ("redisOptions", Input::Map(vec![]), "`new Cluster(nodes, { redisOptions })`"),
        ("startupNodes", Input::List(vec![]), "`new Cluster(nodes)`"),
        ("Connector", Input::Function, "connections are made"),
        ("monitor", Input::Bool(true), "monitor"),
        ("readOnly", Input::Bool(true), "read-only"),
        ("natMap", Input::Map(vec![]), "translates"),
        ("role", text("slave"), "master"),
        ("hots", text("h"), "Did you mean `host`?"),
        ("pass", text("hunter2"), "Did you mean `password`?"),
        ("host", text(""), "is empty"),
        ("path", text(""), "is empty"),
        ("port", text("abc"), "must be an integer"),
        ("port", number(65_536), "must be an integer"),
        ("family", number(5), "must be 4, 6"),
        ("password", number(1), "must be a string, got a number"),
        ("keyPrefix", Input::Other("Buffer".into()), "must be a string, got Buffer"),
    ] {
        let error = from_config(&map([(key, value)])).expect_err(key);
        assert!(error.message.contains(reason) && error.message.contains(key), "{key}: {error}");
        assert!(!error.message.contains("hunter2"));
    }
}

#[test]
fn an_instance_keeps_its_settings_and_its_selected_database() {
    let defaults = from_instance(&instance([]), None).unwrap();
    assert_eq!(defaults.address, Address::Tcp("localhost".into(), 6379));
    assert_eq!((defaults.family, defaults.password, defaults.client_name), (Family::Any, None, None));
    assert_eq!((defaults.connect_timeout, defaults.command_timeout), (Some(Duration::from_secs(10)), None));

    // What `new Redis("redis://user@h:1/2", { keyPrefix: "a:" })` leaves in its options.
    let options = instance([
        ("username", text("user")),
        ("password", text("")),
        ("db", number(2)),
        ("host", text("h")),
        ("port", number(1)),
        ("keyPrefix", text("a:")),
    ]);
    for (selected, database) in [(None, 2), (Some(0), 0), (Some(7), 7)] {
        let settings = from_instance(&options, selected).unwrap();
        assert_eq!(settings.address, Address::Tcp("h".into(), 1));
        assert_eq!((settings.database, settings.key_prefix.as_str()), (database, "a:"));
        assert_eq!((settings.username.as_deref(), settings.password), (Some("user"), Some(Secret::new(""))));
    }
}

#[test]
fn what_ioredis_overlooks_in_an_instance_is_overlooked() {
    let settings = from_instance(
        &instance([
            ("host", text("")),
            ("path", text("")),
            ("url", text("redis://elsewhere")),
            ("database", number(9)),
            ("skipVersionCheck", Input::Bool(true)),
            ("connectTimeout", number(0)),
            ("commandTimeout", text("5")),
            ("connectionName", text("two words")),
            ("username", text("")),
            ("tls", Input::Bool(false)),
        ]),
        None,
    )
    .unwrap();
    assert_eq!(settings.address, Address::Tcp("localhost".into(), 6379));
    assert_eq!((settings.database, settings.username, settings.client_name), (0, None, None));
    assert_eq!((settings.connect_timeout, settings.command_timeout), (None, None));
}

#[test]
fn an_instance_that_needs_its_own_methods_is_refused_with_the_reason() {
    for (key, value) in [
        ("tls", text("RedisCloudFixed")),
        ("sentinels", Input::List(vec![])),
        ("Connector", Input::Function),
        ("monitor", Input::Bool(true)),
        ("natMap", Input::Function),
        ("reconnectOnError", Input::Function),
        ("db", number(f64::NAN)),
        ("db", number(-1)),
        ("port", Input::Null),
        ("port", number(f64::NAN)),
        ("host", text("h:1")),
        ("family", text("IPv6")),
        ("password", number(1)),
        ("keyPrefix", Input::Other("Buffer".into())),
        ("commandTimeout", number(-1)),
        ("connectTimeout", number(f64::INFINITY)),
    ] {
        let unsupported = from_instance(&instance([(key, value)]), None).expect_err(key);
        assert_eq!(unsupported.setting, key);
        assert!(!unsupported.reason.starts_with('`'), "{unsupported}");
    }
}

#[test]
fn what_is_about_replicas_means_nothing_to_a_connection_to_the_primary() {
    for (key, value) in [("readOnly", Input::Bool(true)), ("preferredSlaves", Input::Function), ("role", text("slave"))]
    {
        assert!(from_instance(&instance([(key, value)]), None).is_ok(), "{key}");
    }
    let nodes = Input::List(vec![Input::Map(vec![("host".into(), text("s"))])]);
    let behind = instance([("sentinels", nodes), ("name", text("m")), ("role", text("slave"))]);
    assert_eq!(from_instance(&behind, None).unwrap_err().setting, "role");
}

#[test]
fn sentinels_and_the_primary_each_have_their_own_tls() {
    let nodes = || Input::List(vec![Input::Map(vec![("host".into(), text("s"))])]);
    let config = |more: &[&str]| {
        let mut map = vec![("sentinels".to_owned(), nodes()), ("name".to_owned(), text("main"))];
        map.extend(more.iter().map(|key| ((*key).to_owned(), Input::Bool(true))));
        map
    };
    for (given, of_primary, of_sentinels) in [
        (&[][..], false, false),
        (&["sentinelTLS"], false, true),
        (&["tls", "enableTLSForSentinelMode"], true, false),
        (&["tls", "enableTLSForSentinelMode", "sentinelTLS"], true, true),
    ] {
        for settings in [from_config(&config(given)).unwrap(), from_instance(&config(given), None).unwrap()] {
            let Topology::Sentinel(sentinels) = &settings.topology else { panic!("{settings:?}") };
            assert_eq!((settings.tls.is_some(), sentinels.tls.is_some()), (of_primary, of_sentinels), "{given:?}");
        }
    }
    for half in ["tls", "enableTLSForSentinelMode"] {
        assert!(from_config(&config(&[half])).unwrap_err().message.contains("enableTLSForSentinelMode"));
        assert!(from_instance(&config(&[half]), None).unwrap_err().reason.contains("enableTLSForSentinelMode"));
    }
}
