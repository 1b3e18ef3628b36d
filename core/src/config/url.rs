//! Reads Redis URLs and the shorthands of ioredis, strictly: what is not understood is an error, and no error shows
//! any part of the URL that could belong to a password.

use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use super::error::ConfigError;
use super::input::Input;
use super::partial::Parts;
use super::schema::Keys;
use super::secret::Secret;
use super::settings::Settings;
use super::{Tls, ioredis, values};
use crate::error_texts::{Text, urls as texts};

/// The keys of a query: those of an ioredis-style configuration object.
const QUERY: Keys = Keys { kind: "the query of a Redis URL", ..ioredis::KEYS };

/// Reads a Redis URL: `redis://` and `valkey://`, `rediss://` and `valkeys://` for TLS, `unix://` and `redis+unix://`, and the shorthands `host:port`,
/// `6379` and `/path.sock`.
///
/// The database comes from the path, or from `?db=` (the only way for a socket). Further query parameters are those of
/// an ioredis configuration (`family`, `connectionName` or `name`, `keyPrefix`, `connectTimeout`, `commandTimeout`,
/// `username`, `password`).
///
/// # Errors
/// For anything else, and for what contradicts itself.
pub fn from_url(text: &str) -> Result<Settings, ConfigError> {
    parts(text).map(Parts::into_settings)
}

/// The same, before defaults.
pub(super) fn parts(text: &str) -> Result<Parts, ConfigError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong(texts::empty()));
    }
    if values::decimal(text).is_some() {
        let port = values::port("port", &Input::Text(text.to_owned()))?;
        return Ok(Parts { port: Some(port), ..Parts::default() });
    }
    match scheme(text) {
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => tcp(rest, true),
            "unix" | "redis+unix" => unix(rest),
            "rediss" | "valkeys" => Ok(Parts { tls: Some(Tls::default()), ..tcp(rest, true)? }),
            "http" | "https" => Err(wrong(texts::of_upstash())),
            other => Err(wrong(texts::unknown_scheme(other, texts::ACCEPTED))),
        },
        None => match text.strip_prefix("//") {
            Some(rest) => tcp(rest, true),
            None if text.starts_with('/') => {
                refuse_credentials(text)?;
                let (path, query) = text.split_once('?').unwrap_or((text, ""));
                socket(path.to_owned(), Parts::default(), query)
            }
            None => tcp(text, false),
        },
    }
}

fn wrong(text: Text) -> ConfigError {
    ConfigError::wrong_type(text)
}

/// The scheme and what follows its `://`. `host:port` has none.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let valid = scheme.starts_with(|char: char| char.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    valid.then_some((scheme, rest))
}

/// `[user[:password]@]host[:port][/database][?query]`. Without a scheme, a path is not a database but a mistake.
fn tcp(rest: &str, has_scheme: bool) -> Result<Parts, ConfigError> {
    // A raw `/`, `?` or `#` in the password makes the rest of it, and the host, look like a path or query.
    if rest.find(['/', '?', '#']).is_some_and(|end| rest[end..].contains('@')) {
        return Err(wrong(texts::at_behind_host(texts::ENCODE)));
    }
    let url = url::Url::parse(&format!("redis://{rest}"))
        .map_err(|error| wrong(texts::unreadable(error, texts::ACCEPTED, texts::ENCODE)))?;
    if url.fragment().is_some() {
        return Err(wrong(texts::has_fragment(texts::ENCODE)));
    }
    let host = match url.host() {
        Some(url::Host::Ipv6(address)) => Some(address.to_string()),
        Some(host) => Some(host.to_string()).filter(|host| !host.is_empty()),
        None => None,
    };
    if host.as_ref().is_some_and(|host| host.contains('%')) {
        return Err(wrong(texts::host_not_ascii()));
    }
    let database = match url.path().strip_prefix('/').unwrap_or_default() {
        "" => None,
        _ if !has_scheme => return Err(wrong(texts::path_without_scheme())),
        path => Some(values::database("database", &Input::Text(path.to_owned()))?),
    };
    let port = match url.port() {
        Some(port) => Some(values::port("port", &Input::Number(f64::from(port)))?),
        None => None,
    };
    let username = decode(url.username(), "user name")?;
    let password = decode(url.password().unwrap_or_default(), "password")?;
    let parts = Parts { host, port, database, ..credentials(username, password) };
    parts.join(query(url.query().unwrap_or_default())?, "by the URL and by its query")
}

/// `[user[:password]@]/path[?query]`, which the URL standard does not allow for.
fn unix(rest: &str) -> Result<Parts, ConfigError> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let user_info = match authority.strip_suffix('@') {
        Some(user_info) => user_info,
        None if authority.is_empty() => "",
        None => return Err(wrong(texts::socket_path_relative())),
    };
    if path.contains('#') {
        return Err(wrong(texts::path_has_fragment()));
    }
    refuse_credentials(path)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let credentials = credentials(decode(username, "user name")?, decode(password, "password")?);
    socket(decode(path, "path")?, credentials, query)
}

/// Paths and unknown parameters are shown in errors, and ones like this have a password in them that belongs elsewhere.
fn refuse_credentials(path_and_query: &str) -> Result<(), ConfigError> {
    match path_and_query.split_once(':') {
        Some((_, rest)) if rest.contains('@') => Err(wrong(texts::login_in_socket_path())),
        _ => Ok(()),
    }
}

/// A socket path, and the other settings in its URL.
fn socket(path: String, credentials: Parts, text: &str) -> Result<Parts, ConfigError> {
    if path.len() < 2 {
        return Err(wrong(texts::socket_path_relative()));
    }
    Parts { path: Some(path.into()), ..credentials }.join(query(text)?, "by the URL and by its query")
}

fn credentials(username: String, password: String) -> Parts {
    let present = |text: String| Some(text).filter(|text| !text.is_empty());
    Parts { username: present(username), password: present(password).map(Secret::new), ..Parts::default() }
}

/// Undoes percent-encoding as `decodeURIComponent` does, which refuses what is not well-formed.
fn decode(text: &str, what: &str) -> Result<String, ConfigError> {
    let malformed = || wrong(texts::malformed(what));
    let well_formed = |part: &str| part.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(well_formed) {
        return Err(malformed());
    }
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| malformed())
}

/// Query parameters are the keys of an ioredis configuration, except that the address stands in the URL itself.
fn query(text: &str) -> Result<Parts, ConfigError> {
    let mut map: Vec<(String, Input)> = Vec::new();
    for (key, value) in form_urlencoded::parse(text.as_bytes()) {
        let key = if key == "name" { "connectionName".into() } else { key };
        if matches!(&*key, "host" | "port" | "path") {
            return Err(wrong(texts::address_in_query(key)));
        }
        if key == "tls" {
            return Err(wrong(texts::tls_in_query()));
        }
        if map.iter().any(|(earlier, _)| *earlier == key) {
            return Err(wrong(texts::parameter_twice(key)));
        }
        map.push((key.into(), Input::Text(value.into())));
    }
    QUERY.refuse(&map)?;
    QUERY.check(&map)?;
    ioredis::parts(&map)
}

#[cfg(test)]
mod tests;
