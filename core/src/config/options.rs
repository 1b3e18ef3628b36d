//! Reads the second argument of `createRedisStore`.

use std::time::Duration;

use super::error::ConfigError;
use super::input::Input;
use super::schema::Keys;
use super::values;
use crate::error_texts::values as texts;

/// The deadline of one store call when neither the options nor the client name one.
const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of one connection attempt when neither the options nor the client name one.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many calls of one store may be pending when the options do not limit it.
const DEFAULT_MAX_PENDING: usize = 100_000;

/// The longest expiry in milliseconds: `Number.MAX_SAFE_INTEGER`, some 285 000 years. Redis adds the time of day to
/// it and refuses what then overflows 64 bits: <https://redis.io/docs/latest/commands/pexpire/>.
const MAX_TTL_MS: f64 = 9_007_199_254_740_991.0;

const KEYS: Keys = Keys {
    kind: "the store's options",
    prefix: "",
    mapped: &[
        "ttl",
        "slidingTtl",
        "inProgressTtl",
        "orphanTtl",
        "claim",
        "keyPrefix",
        "hashTags",
        "connection",
        "readAhead",
        "commandTimeout",
        "connectTimeout",
        "maxPending",
        "warnings",
    ],
    ignored: &[],
    refused: &[],
    aliases: &[
        ("expire", "ttl"),
        ("expiry", "ttl"),
        ("expiration", "ttl"),
        ("ttlMs", "ttl"),
        ("px", "ttl"),
        ("sliding", "slidingTtl"),
        ("prefix", "keyPrefix"),
        ("timeout", "commandTimeout"),
        ("cluster", "hashTags"),
        ("mode", "connection"),
    ],
};

/// Whose connection carries the commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// A native one where that is possible, else the caller's own client.
    #[default]
    Auto,
    /// A native one; an error where that is impossible.
    Native,
    /// Always the caller's own client.
    Client,
}

/// The options of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Milliseconds until the keys of an execution expire; `None` for never.
    pub ttl: Option<u64>,
    /// Whether progress on any task extends the life of all three keys.
    pub sliding_ttl: bool,
    /// Milliseconds until the mark of a task in progress expires; `None` for never.
    pub in_progress_ttl: Option<u64>,
    /// Milliseconds that is kept what is written although its execution is gone; `None` for as long as anything else.
    pub orphan_ttl: Option<u64>,
    /// Whether a task is handed out once. The function that makes the error for whoever comes second stays in JavaScript.
    pub claims: bool,
    /// Put before every key; `None` leaves it to the client's own prefix.
    pub key_prefix: Option<String>,
    /// Whether keys are written as `{<id>}…`, so that an execution is in one cluster slot.
    pub hash_tags: bool,
    /// Whose connection carries the commands.
    pub connection: Connection,
    /// Whether calls carry the small reads that are about to be asked.
    pub read_ahead: bool,
    /// The deadline of one store call, reconnecting and retrying included.
    pub command_timeout: Option<Duration>,
    /// The limit of one connection attempt.
    pub connect_timeout: Option<Duration>,
    /// How many calls may be pending before more are refused.
    pub max_pending: usize,
    /// Whether the process is warned of what works and is likely wrong.
    pub warnings: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl: None,
            sliding_ttl: false,
            in_progress_ttl: None,
            orphan_ttl: None,
            claims: false,
            key_prefix: None,
            hash_tags: false,
            connection: Connection::Auto,
            read_ahead: true,
            command_timeout: None,
            connect_timeout: None,
            max_pending: DEFAULT_MAX_PENDING,
            warnings: true,
        }
    }
}

impl Options {
    /// Reads the options object; without one, every option has its default.
    ///
    /// A `ttl` of 0 means no expiry, and parts of a millisecond are rounded up. Timeouts have to be positive: a store
    /// call without a deadline could wait for ever.
    ///
    /// # Errors
    /// A `TypeError` for an unknown key or a value of the wrong type (`null` counts as absent), a `RangeError` for a number
    /// out of range.
    pub fn read(input: Option<&Input>) -> Result<Options, ConfigError> {
        let map = match input {
            None | Some(Input::Null) => return Ok(Options::default()),
            Some(Input::Map(map)) => map,
            Some(other) => {
                let shown = values::describe(other);
                return Err(ConfigError::wrong_type(texts::options_must_be_object(shown)));
            }
        };
        let mut options = Options::default();
        for (key, value) in map.iter().filter(|(_, value)| *value != Input::Null) {
            match key.as_str() {
                "ttl" => options.ttl = ttl(key, number(key, value, "of milliseconds")?)?,
                "slidingTtl" => options.sliding_ttl = boolean(key, value)?,
                "inProgressTtl" => options.in_progress_ttl = ttl(key, number(key, value, "of milliseconds")?)?,
                "orphanTtl" => options.orphan_ttl = ttl(key, number(key, value, "of milliseconds")?)?,
                "claim" => options.claims = function(key, value)?,
                "readAhead" => options.read_ahead = boolean(key, value)?,
                "keyPrefix" => options.key_prefix = Some(values::text(key, value)?.to_owned()),
                "hashTags" => options.hash_tags = boolean(key, value)?,
                "warnings" => options.warnings = boolean(key, value)?,
                "connection" => options.connection = connection(key, value)?,
                "commandTimeout" => options.command_timeout = Some(timeout(key, value)?),
                "connectTimeout" => options.connect_timeout = Some(timeout(key, value)?),
                "maxPending" => {
                    let value = Input::Number(number(key, value, "of calls")?);
                    options.max_pending = values::integer(key, &value, 1, u32::MAX)? as usize;
                }
                _ => return Err(KEYS.unknown(key)),
            }
        }
        Ok(options)
    }

    /// The deadline of one store call: the option, else the client's own limit for a command, else 10 seconds.
    pub fn command_timeout_or(&self, of_client: Option<Duration>) -> Duration {
        self.command_timeout.or(of_client).unwrap_or(DEFAULT_COMMAND_TIMEOUT)
    }

    /// The limit of one connection attempt: the option, else the client's own limit, else 5 seconds.
    pub fn connect_timeout_or(&self, of_client: Option<Duration>) -> Duration {
        self.connect_timeout.or(of_client).unwrap_or(DEFAULT_CONNECT_TIMEOUT)
    }

    /// The first option that is set and that a client's own methods cannot do.
    pub fn beyond_clients(&self) -> Option<&'static str> {
        let set = [
            ("inProgressTtl", self.in_progress_ttl.is_some()),
            ("orphanTtl", self.orphan_ttl.is_some()),
            ("claim", self.claims),
        ];
        set.into_iter().find(|(_, is_set)| *is_set).map(|(name, _)| name)
    }

    /// What is put before every key: the option, else the client's own prefix.
    pub fn key_prefix_or<'a>(&'a self, of_client: &'a str) -> &'a str {
        self.key_prefix.as_deref().unwrap_or(of_client)
    }
}

fn ttl(key: &str, ms: f64) -> Result<Option<u64>, ConfigError> {
    if ms == 0.0 {
        return Ok(None);
    }
    if ms > 0.0 && ms <= MAX_TTL_MS {
        return Ok(Some(ms.ceil() as u64));
    }
    Err(ConfigError::out_of_range(texts::must_be_ttl(key, MAX_TTL_MS, values::describe(&Input::Number(ms)))))
}

fn timeout(key: &str, value: &Input) -> Result<Duration, ConfigError> {
    values::timer(key, number(key, value, "of milliseconds")?)
}

fn number(key: &str, value: &Input, of_what: &str) -> Result<f64, ConfigError> {
    match value {
        Input::Number(number) => Ok(*number),
        other => {
            let shown = values::describe(other);
            Err(ConfigError::wrong_type(texts::must_be_number(key, of_what, shown)))
        }
    }
}

fn boolean(key: &str, value: &Input) -> Result<bool, ConfigError> {
    match value {
        Input::Bool(value) => Ok(*value),
        other => {
            let shown = values::describe(other);
            Err(ConfigError::wrong_type(texts::must_be_boolean(key, shown)))
        }
    }
}

/// Whether there is a function.
fn function(key: &str, value: &Input) -> Result<bool, ConfigError> {
    match value {
        Input::Function => Ok(true),
        other => Err(ConfigError::wrong_type(texts::must_be_function(key, values::describe(other)))),
    }
}

fn connection(key: &str, value: &Input) -> Result<Connection, ConfigError> {
    match value {
        Input::Text(text) if text == "auto" => Ok(Connection::Auto),
        Input::Text(text) if text == "native" => Ok(Connection::Native),
        Input::Text(text) if text == "client" => Ok(Connection::Client),
        other => {
            let shown = values::describe(other);
            Err(ConfigError::wrong_type(texts::must_be_connection(key, shown)))
        }
    }
}

#[cfg(test)]
mod tests;
