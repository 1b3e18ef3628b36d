//! Tests of node-redis-style configuration.

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

fn socket<const N: usize>(entries: [(&str, Input); N]) -> (&'static str, Input) {
    ("socket", Input::Map(map(entries)))
}

#[test]
fn an_object_means_what_it_means_to_node_redis() {
    let settings = from_config(&map([
        socket([
            ("host", text("h")),
            ("port", text("6380")),
            ("family", number(4)),
            ("connectTimeout", number(100)),
            ("tls", Input::Bool(false)),
            ("rejectUnauthorized", Input::Bool(false)),
            ("reconnectStrategy", Input::Function),
            ("noDelay", Input::Bool(true)),
        ]),
        ("username", text("u")),
        ("password", text("p")),
        ("database", number(3)),
        ("name", text("w1")),
        ("keyPrefix", text("app:")),
        ("commandOptions", Input::Map(map([("timeout", number(2500)), ("typeMapping", Input::Map(vec![]))]))),
        ("RESP", number(3)),
        ("readonly", Input::Bool(false)),
        ("url", Input::Null),
    ]));
    let expected = Settings {
        topology: Default::default(),
        address: Address::Tcp("h".into(), 6380),
        family: Family::V4,
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
fn the_path_of_a_socket_wins() {
    let settings = from_config(&map([socket([("host", text("h")), ("port", number(1)), ("path", text("/a"))])]));
    assert_eq!(settings.unwrap().address, Address::Unix("/a".into()));
    let settings = from_config(&map([socket([("path", Input::Null)])]));
    assert_eq!(settings.unwrap().address, Address::Tcp("localhost".into(), 6379));
}

#[test]
fn other_keys_complete_the_url() {
    let settings = from_config(&map([
        ("url", text("redis://u@h/3")),
        ("password", text("p")),
        ("database", number(3)),
        socket([("host", text("h")), ("port", number(7)), ("connectTimeout", number(0))]),
    ]))
    .unwrap();
    assert_eq!(settings.address, Address::Tcp("h".into(), 7));
    assert_eq!((settings.username.as_deref(), settings.database), (Some("u"), 3));
    assert_eq!((settings.password, settings.connect_timeout), (Some(Secret::new("p")), None));
}

#[test]
fn what_contradicts_the_url_is_named() {
    let url = "redis://u:hunter2@h:6379/3";
    for (url, other, key) in [
        (url, ("database", number(5)), "database"),
        (url, ("username", text("x")), "username"),
        (url, ("password", text("x")), "password"),
        (url, socket([("host", text("x"))]), "host"),
        (url, socket([("port", number(7))]), "port"),
        (url, socket([("path", text("/x"))]), "path"),
        ("unix:///a", socket([("host", text("x"))]), "host"),
        ("unix:///a", socket([("path", text("/x"))]), "path"),
    ] {
        let error = from_config(&map([("url", text(url)), other])).expect_err(key);
        assert!(error.message.starts_with(&format!("`{key}` is given twice")), "{key}: {error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_not_understood_is_an_error_that_names_it() {
    for (entry, reason) in [
        (("url", text("")), "is empty"),
        (("url", Input::Other("URL".into())), "`url` must be a string, got URL"),
        (("url", text("https://h")), "needs a token"),
        (("credentialsProvider", Input::Map(vec![])), "`username` and `password`"),
        (("readonly", Input::Bool(true)), "read-only"),
        (("db", number(1)), "`db` is not a setting of a node-redis-style configuration. Did you mean `database`?"),
        (("host", text("h")), "Did you mean `socket.host`?"),
        (("connectTimeout", number(1)), "Did you mean `socket.connectTimeout`?"),
        (("databse", number(1)), "Did you mean `database`?"),
        (("tls", Input::Bool(true)), "Did you mean `socket.tls`?"),
        (("socket", text("/tmp/a.sock")), "`socket` must be an object"),
        (("commandOptions", number(1)), "`commandOptions` must be an object, got 1"),
        (("commandOptions", Input::Map(map([("timeot", number(1))]))), "Did you mean `commandOptions.timeout`?"),
        (("commandOptions", Input::Map(map([("timeout", number(-1))]))), "`commandOptions.timeout` must be a positive"),
        (("database", number(1.5)), "`database` must be an integer"),
        (("password", Input::Function), "`password` must be a string, got a function"),
        (("name", text("two words")), "`name` must consist"),
        (socket([("tls", Input::Map(vec![]))]), "`socket.tls` must be true or false"),
        (socket([("tls", Input::Bool(true)), ("pfx", text("x"))]), "`socket.pfx` is a PKCS #12 file"),
        (socket([("ca", text("pem"))]), "`socket.ca` is a setting for TLS"),
        (socket([("rejectUnauthorized", Input::Bool(false))]), "`socket.rejectUnauthorized` is a setting for TLS"),
        (socket([("lookup", Input::Function)]), "`socket.lookup` replaces"),
        (socket([("localAddress", text("10.0.0.1"))]), "`socket.localAddress` chooses"),
        (socket([("hots", text("h"))]), "Did you mean `socket.host`?"),
        (socket([("host", text(""))]), "`socket.host` is empty"),
        (socket([("port", number(0))]), "`socket.port` must be an integer from 1 to 65535, got 0"),
    ] {
        let error = from_config(&map([entry])).expect_err(reason);
        assert!(error.message.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_live_client_is_read_as_it_would_connect_itself() {
    let settings = from_instance(&map([
        ("username", text("u")),
        ("password", text("p")),
        ("database", number(3)),
        ("name", text("two words")),
        ("keyPrefix", text("app:")),
        ("readonly", Input::Bool(false)),
        ("commandOptions", Input::Map(map([("timeout", number(2500)), ("asap", Input::Bool(true))]))),
        // As a `redis://` URL leaves it; what belongs to TLS is ignored without `tls`, and so are unknown keys.
        socket([
            ("host", text("h")),
            ("port", number(6380)),
            ("path", Input::Null),
            ("tls", Input::Bool(false)),
            ("ca", text("pem")),
            ("reconnectStrategy", Input::Function),
            ("unheardOf", number(1)),
            ("connectTimeout", number(100)),
        ]),
    ]))
    .unwrap();
    assert_eq!(settings.address, Address::Tcp("h".into(), 6380));
    assert_eq!((settings.username.as_deref(), settings.password), (Some("u"), Some(Secret::new("p"))));
    assert_eq!((settings.database, settings.client_name, settings.key_prefix.as_str()), (3, None, "app:"));
    assert_eq!(settings.connect_timeout, Some(Duration::from_millis(100)));
    assert_eq!(settings.command_timeout, Some(Duration::from_millis(2500)));
    assert_eq!(from_instance(&[]).unwrap().address, Address::Tcp("localhost".into(), 6379));
}

#[test]
fn what_a_live_client_needs_beyond_a_native_connection_is_named() {
    for (entry, setting) in [
        (socket([("tls", Input::Map(vec![]))]), "socket.tls"),
        (socket([("tls", Input::Bool(true)), ("rejectUnauthorized", Input::Bool(false))]), "socket.rejectUnauthorized"),
        (socket([("lookup", Input::Function)]), "socket.lookup"),
        (socket([("localAddress", text("10.0.0.1"))]), "socket.localAddress"),
        (("password", Input::Function), "password"),
        (("database", number(1.5)), "database"),
    ] {
        let unsupported = from_instance(&map([entry])).expect_err(setting);
        assert_eq!(unsupported.setting, setting, "{unsupported}");
    }
}
