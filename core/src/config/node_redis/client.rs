//! Reads what node-redis's `createClient` takes, and a live client: a plain object such as `{ url }` or `{ socket: { host, port }, database }`.

use crate::config::error::{ConfigError, Unsupported};
use crate::config::input::Input;
use crate::config::partial::Parts;
use crate::config::schema::Keys;
use crate::config::settings::Settings;
use crate::config::{tls, url, values};
use crate::error_texts::unsupported as reasons;
use crate::error_texts::values as texts;

/// The keys of a node-redis-style configuration object. The ignored ones are all other options of redis 4 to 6.
pub(in crate::config) const KEYS: Keys = Keys {
    kind: "a node-redis-style configuration",
    prefix: "",
    mapped: &["url", "socket", "username", "password", "database", "name", "keyPrefix", "commandOptions"],
    ignored: &[
        "RESP",
        "clientInfoTag",
        "clientSideCache",
        "commandsQueueMaxLength",
        "disableClientInfo",
        "disableOfflineQueue",
        "emitInvalidate",
        "functions",
        "himportRegistry",
        "isolationPoolOptions",
        "legacyMode",
        "maintEndpointType",
        "maintNotifications",
        "maintRelaxedCommandTimeout",
        "maintRelaxedSocketTimeout",
        "modules",
        "pingInterval",
        "scripts",
        "unstableResp3",
    ],
    refused: &[("credentialsProvider", reasons::CREDENTIALS_PROVIDER), ("readonly", reasons::READ_ONLY)],
    aliases: &[
        ("host", "socket.host"),
        ("hostname", "socket.host"),
        ("port", "socket.port"),
        ("path", "socket.path"),
        ("family", "socket.family"),
        ("tls", "socket.tls"),
        ("ssl", "socket.tls"),
        ("connectTimeout", "socket.connectTimeout"),
        ("commandTimeout", "commandOptions.timeout"),
        ("timeout", "commandOptions.timeout"),
        ("db", "database"),
        ("user", "username"),
        ("pass", "password"),
        ("pwd", "password"),
        ("auth", "password"),
        ("prefix", "keyPrefix"),
        ("connectionName", "name"),
        ("clientName", "name"),
    ],
};

/// The keys of `socket`: those of node-redis and of Node's `net.connect`. What `tls.connect` takes besides, and node-redis
/// ignores without `tls: true`, is in [`tls::OF_NODE_REDIS`].
const SOCKET: Keys = Keys {
    kind: "a node-redis-style configuration",
    prefix: "socket.",
    mapped: &["host", "port", "path", "family", "connectTimeout", "tls"],
    ignored: &[
        "allowHalfOpen",
        "autoSelectFamily",
        "autoSelectFamilyAttemptTimeout",
        "hints",
        "keepAlive",
        "keepAliveInitialDelay",
        "noDelay",
        "onread",
        "readable",
        "reconnectStrategy",
        "signal",
        "socketTimeout",
        "timeout",
        "writable",
    ],
    refused: &[
        ("lookup", reasons::REPLACES_RESOLUTION),
        ("localAddress", reasons::LOCAL_ADDRESS),
        ("localPort", reasons::LOCAL_PORT),
        ("fd", reasons::OPEN_FILE),
    ],
    aliases: &[("hostname", "socket.host"), ("db", "database"), ("username", "username"), ("password", "password")],
};

/// The keys of `commandOptions`.
const COMMAND_OPTIONS: Keys = Keys {
    kind: "a node-redis-style configuration",
    prefix: "commandOptions.",
    mapped: &["timeout"],
    ignored: &["abortSignal", "asap", "askRedirect", "chainId", "slotNumber", "typeMapping"],
    refused: &[],
    aliases: &[("commandTimeout", "commandOptions.timeout")],
};

/// Reads a plain node-redis-style configuration object.
///
/// Defaults are those of node-redis: port 6379 on localhost, database 0; `socket.path` wins over `socket.host`. What
/// `url` leaves open is taken from the other keys. Numbers may be given in digits, and `null` counts as absent.
///
/// # Errors
/// For a key that node-redis does not have, a value that makes no sense, what cannot be honoured (such as
/// `readonly`), and where `url` and another key differ, in which case node-redis silently follows the URL.
pub fn from_config(map: &[(String, Input)]) -> Result<Settings, ConfigError> {
    KEYS.refuse(map)?;
    parts_of(map).map(Parts::into_settings)
}

/// The settings in one client's options.
pub(in crate::config) fn parts_of(map: &[(String, Input)]) -> Result<Parts, ConfigError> {
    KEYS.refuse(map)?;
    let mut url = match map.iter().find(|(key, value)| key == "url" && *value != Input::Null) {
        Some((key, value)) => url::parts(values::text(key, value)?)?,
        None => Parts::default(),
    };
    KEYS.check(map)?;
    let mut parts = Parts::default();
    for (key, value) in map.iter().filter(|(_, value)| *value != Input::Null) {
        match key.as_str() {
            "socket" => read_socket(&mut parts, object(key, value)?, &mut url)?,
            "commandOptions" => read_command_options(&mut parts, object(key, value)?)?,
            key => set(&mut parts, key, value)?,
        }
    }
    url.join(parts, "in `url` and beside it")
}

/// Reads the `options` of a live client, into which node-redis has already parsed its `url`.
///
/// Keys that node-redis itself does not read are ignored, TLS options without `tls` among them.
///
/// # Errors
/// At the first setting that a native connection cannot honour.
pub fn from_instance(options: &[(String, Input)]) -> Result<Settings, Unsupported> {
    instance_parts(options).map(Parts::into_settings)
}

/// The settings in the options of a live client.
pub(in crate::config) fn instance_parts(options: &[(String, Input)]) -> Result<Parts, Unsupported> {
    let mut parts = Parts::default();
    for (key, value) in options.iter().filter(|(_, value)| *value != Input::Null) {
        let read = match (key.as_str(), value) {
            ("socket", Input::Map(socket)) => {
                let refused = socket.iter().find_map(|(key, value)| Some((key, SOCKET.refusal(key, value)?)));
                if let Some((key, reason)) = refused {
                    return Err(Unsupported::new(format!("socket.{key}"), reason));
                }
                parts.tls = match socket.iter().find(|(key, _)| key == "tls") {
                    Some((_, Input::Bool(true))) => Some(tls::read(&tls::OF_NODE_REDIS, socket)?),
                    Some((_, value)) if values::truthy(value) => {
                        return Err(Unsupported::new("socket.tls", reasons::TLS_OF_NODE_REDIS));
                    }
                    _ => None,
                };
                set_socket(&mut parts, socket)
            }
            // What is set by default has no limit of the caller's choosing.
            ("commandOptions", Input::Map(map)) => set_command_options(&mut parts, map),
            ("socket" | "commandOptions", _) => Ok(()),
            // Its answer, or the refusal of it, is the client's own affair; it works on either way.
            ("name", name) if values::client_name(key, name).is_err() => Ok(()),
            _ => set(&mut parts, key, value),
        };
        read.map_err(|error| Unsupported::wrong(key, &error))?;
    }
    Ok(parts)
}

fn set(parts: &mut Parts, key: &str, value: &Input) -> Result<(), ConfigError> {
    match key {
        "username" => parts.username = values::optional_text(key, value)?,
        "password" => parts.password = values::secret(key, value)?,
        "database" => parts.database = Some(values::database(key, value)?),
        "name" => parts.client_name = values::client_name(key, value)?,
        "keyPrefix" => parts.key_prefix = Some(values::text(key, value)?.to_owned()),
        _ => {}
    }
    Ok(())
}

/// `socket` of a configuration object; `url` holds the settings of the URL beside it.
fn read_socket(parts: &mut Parts, socket: &[(String, Input)], url: &mut Parts) -> Result<(), ConfigError> {
    SOCKET.refuse(socket)?;
    let present = socket.iter().filter(|(_, value)| *value != Input::Null).cloned();
    let (of_tls, socket): (Vec<_>, Vec<_>) = present.partition(|(key, _)| tls::OF_NODE_REDIS.has(key));
    let wanted = match socket.iter().find(|(key, _)| key == "tls") {
        Some((_, Input::Bool(wanted))) => Some(*wanted),
        Some(_) => return Err(ConfigError::wrong_type(texts::wrong_setting("socket.tls", reasons::TLS_OF_NODE_REDIS))),
        None => None,
    };
    match (wanted, url.tls.is_some()) {
        (Some(false), true) => {
            return Err(ConfigError::wrong_type(texts::tls_contradicts_url()));
        }
        (Some(true), _) | (None, true) => {
            if let Some(refused) = of_tls.iter().find_map(|(key, value)| tls::refusal(&tls::OF_NODE_REDIS, key, value))
            {
                return Err(ConfigError::wrong_type(texts::cannot_be_honoured(refused.setting, refused.reason)));
            }
            let tls = tls::read(&tls::OF_NODE_REDIS, &of_tls);
            parts.tls =
                Some(tls.map_err(|wrong| ConfigError::wrong_type(texts::wrong_setting(wrong.setting, wrong.reason)))?);
            // These options are more exact than the scheme.
            url.tls = None;
        }
        (None, false) if !of_tls.is_empty() => {
            return Err(ConfigError::wrong_type(texts::tls_not_asked_for(&of_tls[0].0)));
        }
        _ => {}
    }
    SOCKET.check(&socket)?;
    set_socket(parts, &socket)
}

fn set_socket(parts: &mut Parts, socket: &[(String, Input)]) -> Result<(), ConfigError> {
    // In both Node and node-redis, a path goes before host and port.
    let has_path = socket.iter().any(|(key, value)| key == "path" && *value != Input::Null);
    for (key, value) in socket.iter().filter(|(_, value)| *value != Input::Null) {
        let name = format!("socket.{key}");
        match key.as_str() {
            "path" => parts.path = Some(values::path(&name, value)?),
            "host" if !has_path => parts.host = Some(values::host(&name, value)?),
            "port" if !has_path => parts.port = Some(values::port(&name, value)?),
            "family" => parts.family = Some(values::family(&name, value)?),
            "connectTimeout" => parts.connect_timeout = values::client_timeout(&name, value)?,
            _ => {}
        }
    }
    Ok(())
}

pub(in crate::config) fn read_command_options(
    parts: &mut Parts,
    options: &[(String, Input)],
) -> Result<(), ConfigError> {
    COMMAND_OPTIONS.check(options)?;
    set_command_options(parts, options)
}

fn set_command_options(parts: &mut Parts, options: &[(String, Input)]) -> Result<(), ConfigError> {
    for (key, value) in options.iter().filter(|(key, value)| key == "timeout" && *value != Input::Null) {
        parts.command_timeout = values::client_timeout(&format!("commandOptions.{key}"), value)?;
    }
    Ok(())
}

pub(in crate::config) fn object<'a>(key: &str, value: &'a Input) -> Result<&'a [(String, Input)], ConfigError> {
    match value {
        Input::Map(map) => Ok(map),
        other => Err(ConfigError::wrong_type(texts::must_be_object(key, values::describe(other)))),
    }
}

#[cfg(test)]
mod tests;
