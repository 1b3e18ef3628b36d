//! Tests of the URL reader. What is expected of URLs that ioredis 6 and redis 6 accept was read off those packages.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::address::{Address, Family};

fn tcp_parts(host: &str, port: u16, database: u32) -> Parts {
    let port = Some(port).filter(|port| *port != 6379);
    Parts { host: Some(host.into()), port, database: Some(database).filter(|db| *db != 0), ..Parts::default() }
}

fn with_login(parts: Parts, username: &str, password: &str) -> Parts {
    let login = credentials(username.into(), password.into());
    Parts { username: login.username, password: login.password, ..parts }
}

#[test]
fn urls_mean_what_they_mean_to_the_clients() {
    let host = || tcp_parts("host", 6379, 0);
    for (text, expected) in [
        ("redis://host", host()),
        ("redis://host/", host()),
        ("redis://host:", host()),
        ("REDIS://host", host()),
        ("valkey://host", host()),
        ("//host", host()),
        (" redis://host\n", host()),
        ("redis://@host", host()),
        ("redis://:@host", host()),
        ("redis://:pw@host", with_login(host(), "", "pw")),
        ("redis://user@host", with_login(host(), "user", "")),
        ("redis://user:@host", with_login(host(), "user", "")),
        ("redis://u:p%40%2F%25q@host:1/2", with_login(tcp_parts("host", 1, 2), "u", "p@/%q")),
        ("redis://u:p@ss:|w@host", with_login(host(), "u", "p@ss:|w")),
        ("redis://us%3Aer:%E2%82%AC@host", with_login(host(), "us:er", "€")),
        ("user:pw@host:1", with_login(tcp_parts("host", 1, 0), "user", "pw")),
        ("redis://host?username=u&password=p%2Bw", with_login(host(), "u", "p+w")),
        ("redis:///3", Parts { database: Some(3), ..Parts::default() }),
        ("redis://", Parts::default()),
        ("redis://HOST/1", tcp_parts("HOST", 6379, 1)),
        ("redis://127.0.0.1:7000/15", tcp_parts("127.0.0.1", 7000, 15)),
        ("redis://[::1]:7/1", tcp_parts("::1", 7, 1)),
        ("[::1]:7", tcp_parts("::1", 7, 0)),
        ("redis://a_b", tcp_parts("a_b", 6379, 0)),
        ("redis://host?db=3", tcp_parts("host", 6379, 3)),
        ("redis://host/3?db=3", tcp_parts("host", 6379, 3)),
        ("host:6380?db=3", tcp_parts("host", 6380, 3)),
        ("host", host()),
        ("host:6380", tcp_parts("host", 6380, 0)),
        ("redis:6380", tcp_parts("redis", 6380, 0)),
        ("6380", Parts { port: Some(6380), ..Parts::default() }),
    ] {
        assert_eq!(parts(text).map(|parts| explicit(&parts)), Ok(explicit(&expected)), "{text}");
    }
}

/// Leaves out the two values that set nothing.
fn explicit(parts: &Parts) -> Parts {
    let parts = parts.clone();
    Parts { port: parts.port.filter(|port| *port != 6379), database: parts.database.filter(|db| *db != 0), ..parts }
}

#[test]
fn sockets_are_read_in_all_spellings() {
    let path = |path: &str| Parts { path: Some(PathBuf::from(path)), ..Parts::default() };
    for (text, expected) in [
        ("/tmp/a.sock", path("/tmp/a.sock")),
        ("/tmp/a%20@b.sock?db=2", Parts { database: Some(2), ..path("/tmp/a%20@b.sock") }),
        ("unix:///tmp/a.sock", path("/tmp/a.sock")),
        ("UNIX:///tmp/a.sock?db=2", Parts { database: Some(2), ..path("/tmp/a.sock") }),
        ("redis+unix:///tmp/a%20b", path("/tmp/a b")),
        ("unix://u:p%40@/tmp/../a", with_login(path("/tmp/../a"), "u", "p@")),
        ("unix://:p@/a", with_login(path("/a"), "", "p")),
    ] {
        assert_eq!(parts(text), Ok(expected), "{text}");
    }
    for text in ["unix://", "unix:///", "unix://tmp/a.sock", "unix://tmp", "/", "unix:///a#b", "unix:///%zz"] {
        assert!(parts(text).is_err(), "{text}");
    }
}

#[test]
fn query_parameters_become_settings() {
    let url = "redis://h?family=6&name=w1&keyPrefix=a%3A&connectTimeout=100&commandTimeout=2500&lazyConnect=true";
    let settings = from_url(url).unwrap();
    assert_eq!(settings.address, Address::Tcp("h".into(), 6379));
    assert_eq!(settings.family, Family::V6);
    assert_eq!(settings.client_name.as_deref(), Some("w1"));
    assert_eq!(settings.key_prefix, "a:");
    assert_eq!(settings.connect_timeout, Some(Duration::from_millis(100)));
    assert_eq!(settings.command_timeout, Some(Duration::from_millis(2500)));
}

#[test]
fn what_cannot_be_meant_is_an_error_with_the_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("  ", "is empty"),
        ("https://eu1-x.upstash.io", "needs a token"),
        ("http://h", "needs a token"),
        ("tcp://h:1", "unknown scheme `tcp://`. Accepted are redis://"),
        ("redis-sentinel://h", "unknown scheme"),
        ("redis://h/1?db=2", "`database` is given twice"),
        ("redis://h?db=1&db=1", "more than once"),
        ("redis://h?name=a&connectionName=b", "more than once"),
        ("redis://a@h?username=b", "`username` is given twice"),
        ("redis://h?dbs=1", "`dbs` is not a setting of the query of a Redis URL. Did you mean `db`?"),
        ("redis://h?timeout=1", "Did you mean `commandTimeout`?"),
        ("redis://h?host=x", "write it in the URL itself"),
        ("redis://h?tls=true", "write rediss://"),
        ("redis://h?sentinels=x", "must be an array"),
        ("redis://h?readOnly=true", "readOnly"),
        ("redis://h?db=", "must be an integer"),
        ("redis://h/abc", "must be an integer"),
        ("redis://h/-1", "must be an integer"),
        ("redis://h/1.5", "must be an integer"),
        ("redis://h/1/", "must be an integer"),
        ("redis://h/0x1", "must be an integer"),
        ("redis://h/1e1", "must be an integer"),
        ("redis://h/%31", "must be an integer"),
        ("redis://h/99999999999", "must be an integer"),
        ("redis://h#x", "# part"),
        ("redis://h:0", "`port`"),
        ("redis://h:70000", "invalid port"),
        ("0", "`port`"),
        ("-1", "`port`"),
        ("70000", "`port`"),
        ("::1", "brackets"),
        ("redis://:6379", "empty host"),
        ("redis://münchen", "xn--"),
        ("redis://h%41", "xn--"),
        ("host:6380/4", "no scheme"),
        ("redis://u:%zz@h", "percent-encoded"),
        ("redis://u:%ff@h", "percent-encoded"),
        ("redis://u:%a", "cannot be read"),
    ] {
        let error = from_url(text).expect_err(text);
        assert!(error.message.contains(reason), "{text}: {error}");
    }
    assert!(from_url("redis://h/-1").unwrap_err().range);
    assert!(!from_url("redis://h/abc").unwrap_err().range);
}

#[test]
fn no_error_shows_a_piece_of_the_password() {
    for text in [
        "redis://u:hunter2/sesame@h",
        "redis://u:12/hunter2@h",
        "redis://u:12?hunter2@h",
        "redis://u:12#hunter2@h",
        "redis://u:12/hunter2?sesame=1@h",
        "redis://u:hunter2@h:port",
        "redis://u:hunter2@h/sesame/1@x",
        "redis://u:hunter2%zz@h",
        "redis://u:hunter2@h?password=sesame",
        "redis://u:hunter2@h?nonsense=sesame",
        "redis://u:hunter2@h/1?db=2",
        "redis://u:hunter2@",
        "redis://u:hunter2@h#x",
        "rediss://u:hunter2@h?tls=true",
        "https://u:hunter2@h",
        "what://u:hunter2@h",
        "u:hunter2://sesame@h",
        "u:hunter2@h/0",
        "unix://u:hunter2/sesame@/tmp/x",
        "unix://u:hunter2%zz@/tmp/x",
        "unix://u:hunter2@",
        "unix:///u:hunter2@tmp/x",
        "/redis://u:hunter2@h",
        "/u:hunter2@h",
        "/run/redis.sock?u:hunter2@h",
        "unix:///run/redis.sock?u:hunter2@h",
    ] {
        let error = from_url(text).expect_err(text);
        assert!(!error.message.contains("hunter2") && !error.message.contains("sesame"), "{text}: {error}");
    }
    let settings = from_url("redis://u:hunter2@h").unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn the_scheme_asks_for_tls() {
    for (url, tls) in [
        ("rediss://h:1/2", true),
        ("REDISS://h:1/2", true),
        ("valkeys://h:1/2", true),
        ("redis://h:1/2", false),
        ("valkey://h:1/2", false),
    ] {
        let settings = from_url(url).unwrap();
        assert_eq!((settings.tls.is_some(), settings.database), (tls, 2), "{url}");
    }
}
