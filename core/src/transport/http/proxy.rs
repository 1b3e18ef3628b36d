//! The proxy that the environment names, if requests to the endpoint go through it.

use std::error::Error;
use std::net::IpAddr;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

use super::error::NotConnected;
use crate::config::{Address, Settings, Tls, Upstash};
use crate::error_texts::{Text, http as texts};
use crate::transport::error::{ConnectError, display_address};

/// A proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Where it listens.
    pub address: Address,
    /// How the connection to it is encrypted; `None` is plaintext.
    pub tls: Option<Tls>,
    /// What to log in to it with.
    pub login: Option<HeaderValue>,
}

/// The proxy on the way to an endpoint. There is none to this machine itself, nor to what `NO_PROXY` names.
///
/// # Errors
/// When the environment names something that we cannot go through: going round it would be worse than saying so.
pub fn on_the_way(upstash: &Upstash, settings: &Settings) -> Result<Option<Proxy>, ConnectError> {
    let Some(named) = &upstash.proxy else { return Ok(None) };
    let Ok(endpoint) = upstash.url.parse::<Uri>() else { return Ok(None) };
    if is_this_machine(&settings.address) {
        return Ok(None);
    }
    let matcher = |no: &str| Matcher::builder().all(named.reveal()).no(no).build();
    let Some(proxy) = matcher("").intercept(&endpoint) else {
        return Err(unusable(texts::proxy_unreadable()));
    };
    if matcher(&upstash.no_proxy).intercept(&endpoint).is_none() {
        return Ok(None);
    }
    let encrypted = match proxy.uri().scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(unusable(texts::proxy_of_another_kind())),
    };
    let host = proxy.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = proxy.uri().port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let login = proxy.basic_auth().cloned().map(|mut login| {
        login.set_sensitive(true);
        login
    });
    // The trusted authorities are the same for the proxy.
    let tls = encrypted.then(|| settings.tls.clone().unwrap_or_default());
    Ok(Some(Proxy { address: Address::Tcp(host, port), tls, login }))
}

fn unusable(text: Text) -> ConnectError {
    ConnectError::Fatal(text.error())
}

fn is_this_machine(address: &Address) -> bool {
    let Address::Tcp(host, _) = address else { return true };
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Why there is no tunnel. The type of such errors has no name outside its crate, so one kind is known by its words.
pub fn tunnel_failed(error: &dyn Error, address: &Address) -> ConnectError {
    if let Some(NotConnected(connect_error)) = error.source().and_then(|cause| cause.downcast_ref()) {
        return connect_error.clone();
    }
    let (proxy, cause) = (display_address(address), error.to_string());
    if cause.contains("authorization required") {
        return ConnectError::Fatal(texts::proxy_requires_login(proxy).caused_by(cause));
    }
    ConnectError::Transient(texts::no_tunnel(proxy).caused_by(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, Topology, upstash};
    use crate::error::Code;

    fn way(url: &str, proxy: &str, no_proxy: &str) -> Result<Option<Proxy>, ConnectError> {
        let settings = upstash::settings(url, "url", "token", "token", true).unwrap();
        let Topology::Upstash(upstash) = settings.topology.clone() else { panic!("{settings:?}") };
        let proxy = Some(Secret::new(proxy));
        on_the_way(&Upstash { proxy, no_proxy: no_proxy.into(), ..upstash }, &settings)
    }

    #[test]
    fn the_proxy_is_used_for_other_machines_only() {
        let address = |url: &str, no: &str| way(url, "proxy:3128", no).unwrap().map(|proxy| proxy.address);
        let proxy = Some(Address::Tcp("proxy".into(), 3128));
        assert_eq!(address("https://x.upstash.io", ""), proxy);
        assert_eq!(address("http://x.upstash.io", "example.com"), proxy);
        assert_eq!(address("https://x.upstash.io", "example.com, upstash.io"), None);
        assert_eq!(address("https://x.upstash.io", "*"), None);
        for host in ["localhost", "127.0.0.1:8079", "[::1]", "rest.localhost"] {
            assert_eq!(address(&format!("http://{host}"), ""), None, "{host}");
        }
    }

    #[test]
    fn its_login_and_its_encryption_are_read() {
        let proxy = way("https://x", "https://user:hunter2@[::1]", "").unwrap().unwrap();
        assert_eq!(proxy.address, Address::Tcp("::1".into(), 443));
        assert!(proxy.tls.is_some() && proxy.login.is_some());
        assert!(!format!("{proxy:?}").contains("hunter2"));
    }

    #[test]
    fn one_that_cannot_be_used_is_not_gone_round() {
        for proxy in ["socks5://user:hunter2@proxy:1080", "://hunter2"] {
            let connect_error = way("https://x", proxy, "").expect_err(proxy);
            assert!(matches!(&connect_error, ConnectError::Fatal(error) if error.code == Code::Config));
            assert!(!connect_error.error().message.contains("hunter2"));
        }
    }
}
