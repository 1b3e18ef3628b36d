//! Tests of the configuration of Upstash and Vercel KV.

use super::*;
use crate::config::address::Address;

fn text(text: &str) -> Input {
    Input::Text(text.into())
}

fn config<const N: usize>(entries: [(&str, Input); N]) -> Result<Settings, ConfigError> {
    from_config(&entries.map(|(key, value)| (key.to_owned(), value)))
}

fn upstash(settings: Settings) -> Upstash {
    match settings.topology {
        Topology::Upstash(upstash) => upstash,
        other => panic!("{other:?}"),
    }
}

#[test]
fn url_and_token_are_enough() {
    for (url, address, encrypted, normal) in [
        ("https://eu1-x.upstash.io", ("eu1-x.upstash.io", 443), true, "https://eu1-x.upstash.io"),
        (" https://H:8443/\n", ("h", 8443), true, "https://h:8443"),
        ("http://[::1]:79/base/", ("::1", 79), false, "http://[::1]:79/base"),
        ("HTTP://127.0.0.1", ("127.0.0.1", 80), false, "http://127.0.0.1"),
    ] {
        let settings = config([("url", text(url)), ("token", text("hunter2\n"))]).unwrap();
        assert_eq!(settings.address, Address::Tcp(address.0.into(), address.1));
        assert_eq!(settings.tls.is_some(), encrypted);
        assert!(!format!("{settings:?}").contains("hunter2"));
        let upstash = upstash(settings);
        assert_eq!((upstash.url.as_str(), upstash.token.reveal()), (normal, "hunter2"));
        assert!(upstash.read_your_writes && upstash.proxy.is_none());
    }
}

#[test]
fn what_is_missing_or_wrong_is_named_without_the_token() {
    let token = || ("token", text("hunter2"));
    let url = || ("url", text("https://h"));
    for (settings, reason) in [
        (config([token()]), "`url` is missing"),
        (config([url()]), "`token` is missing"),
        (config([url(), ("token", text(" "))]), "`token` is empty"),
        (config([url(), ("token", text("hunter2 hunter2"))]), "printable ASCII"),
        (config([token(), ("url", text("redis://h"))]), "must begin with https://"),
        (config([token(), ("url", text("https://"))]), "cannot be read"),
        (config([token(), ("url", text("https://u:hunter2@h"))]), "must not have a user name"),
        (config([token(), ("url", text("https://h?token=hunter2"))]), "? or #"),
        (config([url(), token(), ("signal", Input::Function)]), "`signal` changes the requests"),
        (config([url(), token(), ("tokne", text("x"))]), "Did you mean `token`?"),
        (config([url(), token(), ("readYourWrites", text("x"))]), "must be true or false"),
    ] {
        let error = settings.expect_err(reason);
        assert!(error.message.contains(reason), "{reason}: {error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_proxy_of_the_scheme_goes_first_and_no_header_can_name_one() {
    let proxy_of = |url: &str, variables: &[(&str, &str)]| {
        let mut upstash = upstash(config([("url", text(url)), ("token", text("t"))]).unwrap());
        let owned: Vec<_> = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        upstash.use_proxy(&owned);
        (upstash.proxy.map(|proxy| proxy.reveal().to_owned()).unwrap_or_default(), upstash.no_proxy)
    };
    let all = [("ALL_PROXY", "a"), ("HTTPS_PROXY", "s"), ("http_proxy", "p"), ("HTTP_PROXY", "P"), ("NO_PROXY", "n")];
    assert_eq!(proxy_of("https://h", &all), ("s".into(), "n".into()));
    assert_eq!(proxy_of("http://h", &all), ("p".into(), "n".into()));
    assert_eq!(proxy_of("https://h", &[("all_proxy", "a"), ("https_proxy", " ")]).0, "a");
    assert_eq!(proxy_of("http://h", &[("HTTP_PROXY", "P")]).0, "P");
    assert_eq!(proxy_of("http://h", &[("HTTP_PROXY", "P"), ("REQUEST_METHOD", "GET")]).0, "");
    assert_eq!(proxy_of("https://h", &[("http_proxy", "p")]).0, "");
}
