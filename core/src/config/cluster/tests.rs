//! Tests of what names a cluster.

use super::*;
use crate::config::secret::Secret;
use crate::config::{Address, Input, Tls, Topology};

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
