//! What callers pass: whatever it is, nothing panics, and no secret in it is repeated.

use std::fmt::Debug;

use idioteque_redis_core::config::url::from_url;
use idioteque_redis_core::config::{ConfigError, Input, Options, Settings, from_input};
use serde_json::Value as Json;

/// Stands where a secret is.
const SECRET: &str = "planted-secret";
/// The keys that hold secrets.
const SECRET_KEYS: [&str; 6] = ["password", "sentinelPassword", "passphrase", "token", "key", "pfx"];

fn check(outcome: &Result<Settings, ConfigError>) {
    let shown = match outcome {
        Ok(settings) => format!("{settings:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    no_secret(&shown);
}

fn no_secret(shown: &impl Debug) {
    assert!(!format!("{shown:?}").contains(SECRET), "a secret in {shown:?}");
}

/// A URL as it is, and with a secret in the place of its password.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data).replace(SECRET, "");
    let _ = from_url(&text);
    if let Some((scheme, rest)) = text.split_once("://") {
        let (user_info, host) = rest.split_once('@').unwrap_or(("", rest));
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        check(&from_url(&format!("{scheme}://{user}:{SECRET}{password}@{host}")));
        check(&from_url(&format!("{scheme}://{user}:{password}{SECRET}@{host}")));
    }
}

/// JSON as a configuration, with something secret under each key that may hold it; `{ "$": … }` is what JSON has not.
pub fn configuration(data: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Json>(data) else { return };
    let input = input(&json);
    check(&from_input(&input));
    let _ = Options::read(Some(&input)).map_err(|error| no_secret(&error));
}

fn input(json: &Json) -> Input {
    match json {
        Json::Null => Input::Null,
        Json::Bool(flag) => Input::Bool(*flag),
        Json::Number(number) => Input::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Input::Text(text.replace(SECRET, "")),
        Json::Array(items) => Input::List(items.iter().map(input).collect()),
        Json::Object(map) => match map.get("$").and_then(Json::as_str) {
            Some("function") => Input::Function,
            Some("NaN") => Input::Number(f64::NAN),
            Some("Infinity") => Input::Number(f64::INFINITY),
            Some(text) if text.starts_with("bytes ") => Input::Bytes(text.as_bytes()[6..].to_vec()),
            Some(name) => Input::Other(name.replace(SECRET, "")),
            None => Input::Map(map.iter().map(|(key, value)| (key.replace(SECRET, ""), entry(key, value))).collect()),
        },
    }
}

fn entry(key: &str, value: &Json) -> Input {
    match value {
        Json::String(text) if SECRET_KEYS.contains(&key) => Input::Text(format!("{SECRET}{text}")),
        value => input(value),
    }
}
