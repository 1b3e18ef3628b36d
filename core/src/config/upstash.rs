//! Reads where an Upstash database is reached over HTTP: `{ url, token }`, the settings of a live client, and the
//! proxy that the environment names.

use super::error::ConfigError;
use super::input::Input;
use super::partial::Parts;
use super::schema::Keys;
use super::secret::Secret;
use super::settings::Settings;
use super::topology::{Topology, Upstash};
use super::{Tls, values};
use crate::error_texts::unsupported::UPSTASH_REQUESTS;
use crate::error_texts::values as texts;

/// The keys of a configuration object. The ignored ones are the other options of @upstash/redis that change no request.
const KEYS: Keys = Keys {
    kind: "an Upstash configuration",
    prefix: "",
    mapped: &["url", "token", "readYourWrites"],
    ignored: &[
        "automaticDeserialization",
        "cache",
        "enableAutoPipelining",
        "enableTelemetry",
        "keepAlive",
        "latencyLogging",
        "responseEncoding",
    ],
    refused: &[
        ("agent", UPSTASH_REQUESTS),
        ("backend", UPSTASH_REQUESTS),
        ("retry", UPSTASH_REQUESTS),
        ("signal", UPSTASH_REQUESTS),
    ],
    aliases: &[("baseUrl", "url"), ("restUrl", "url"), ("restToken", "token"), ("password", "token")],
};

/// Whether a text is the URL of something that speaks HTTP.
pub(super) fn is_http(text: &str) -> bool {
    let scheme = text.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// Reads `{ url, token }`.
///
/// # Errors
/// For a key or value that is not understood, and for what only a client of @upstash/redis can do.
pub(super) fn from_config(map: &[(String, Input)]) -> Result<Settings, ConfigError> {
    if let Some((key, reason)) = map.iter().find_map(|(key, value)| Some((key, KEYS.refusal(key, value)?))) {
        return Err(ConfigError::wrong_type(texts::wrong_setting(key, reason)));
    }
    KEYS.check(map)?;
    let text = |key: &str| match values::given(map, key) {
        Some(value) => values::text(key, value),
        None => Err(ConfigError::wrong_type(texts::upstash_incomplete(key))),
    };
    let read_your_writes = match values::given(map, "readYourWrites") {
        None => true,
        Some(Input::Bool(flag)) => *flag,
        Some(other) => {
            let shown = values::describe(other);
            return Err(ConfigError::wrong_type(texts::must_be_boolean("readYourWrites", shown)));
        }
    };
    settings(text("url")?, "`url`", text("token")?, "`token`", read_your_writes)
}

/// Settings from a URL and a token. The locations are named in error messages.
///
/// # Errors
/// When one of them cannot be what it should be.
pub fn settings(
    url: &str,
    url_location: &str,
    token: &str,
    token_location: &str,
    read_your_writes: bool,
) -> Result<Settings, ConfigError> {
    let wrong = |text| Err(ConfigError::wrong_type(text));
    let (url, token) = (url.trim(), token.trim());
    if token.is_empty() {
        return wrong(texts::upstash_empty(token_location));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return wrong(texts::token_malformed(token_location));
    }
    if url.is_empty() {
        return wrong(texts::upstash_empty(url_location));
    }
    if !is_http(url) {
        return wrong(texts::url_not_https(url_location));
    }
    let Ok(parsed) = url::Url::parse(url) else { return wrong(texts::url_unreadable(url_location)) };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return wrong(texts::url_has_login(url_location));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return wrong(texts::url_has_query(url_location));
    }
    let (Some(host), Some(port)) = (parsed.host(), parsed.port_or_known_default()) else {
        return wrong(texts::url_has_no_host(url_location));
    };
    let host = match host {
        url::Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    let upstash = Upstash {
        url: parsed.as_str().trim_end_matches('/').to_owned(),
        token: Secret::new(token),
        read_your_writes,
        proxy: None,
        no_proxy: String::new(),
    };
    let parts = Parts {
        host: Some(host),
        port: Some(port),
        tls: (parsed.scheme() == "https").then(Tls::default),
        topology: Some(Topology::Upstash(upstash)),
        ..Parts::default()
    };
    Ok(parts.into_settings())
}

/// The variables that name proxies, in the order in which they count.
pub const PROXY_NAMES: [&str; 9] = [
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    // Set where a web server starts a script: there, `HTTP_PROXY` is what some client sent in a header called `Proxy`.
    "REQUEST_METHOD",
];

impl Upstash {
    /// Goes through the proxy that the environment names, given as name and content of [`PROXY_NAMES`].
    pub fn use_proxy(&mut self, variables: &[(String, String)]) {
        let set = |name: &str| {
            let found = variables.iter().find(|(other, text)| other == name && !text.trim().is_empty());
            found.map(|(_, text)| text.trim())
        };
        let of_scheme = match self.url.starts_with("https:") {
            true => set("https_proxy").or_else(|| set("HTTPS_PROXY")),
            false => {
                let upper = || set("HTTP_PROXY").filter(|_| set("REQUEST_METHOD").is_none());
                set("http_proxy").or_else(upper)
            }
        };
        let proxy = of_scheme.or_else(|| set("all_proxy")).or_else(|| set("ALL_PROXY"));
        self.proxy = proxy.map(Secret::new);
        self.no_proxy = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default().to_owned();
    }
}

#[cfg(test)]
mod tests;
