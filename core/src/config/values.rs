//! Reads single configuration values, with messages that name the key and never repeat a secret.

use std::path::PathBuf;
use std::time::Duration;

use super::address::Family;
use super::error::ConfigError;
use super::input::Input;
use super::secret::Secret;
use crate::error_texts::values as texts;

/// The longest time a JavaScript timer can wait, in milliseconds: about 24.8 days.
pub(super) const MAX_TIMER_MS: f64 = 2_147_483_647.0;

/// Redis reads a database number as a C `int`: <https://redis.io/docs/latest/commands/select/>.
const MAX_DATABASE: u32 = i32::MAX as u32;

/// The value of a key, unless it is `null`.
pub(super) fn given<'a>(map: &'a [(String, Input)], key: &str) -> Option<&'a Input> {
    map.iter().find(|(name, value)| name == key && *value != Input::Null).map(|(_, value)| value)
}

/// The value as an error message shows it. Text is for fields that hold no secret.
pub(super) fn describe(value: &Input) -> String {
    match value {
        Input::Null => "null".into(),
        Input::Bool(value) => value.to_string(),
        Input::Number(value) if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        Input::Number(value) if value.abs() >= 1e21 => format!("{value:e}"),
        Input::Number(value) => value.to_string(),
        // An @ may mean that a whole URL, password included, was put into the wrong place.
        Input::Text(text) if text.chars().count() <= 40 && !text.contains('@') => format!("{text:?}"),
        Input::Text(_) | Input::Bytes(_) | Input::Function | Input::List(_) | Input::Map(_) | Input::Other(_) => {
            kind(value)
        }
    }
}

/// The type of the value, for messages about fields that may hold a secret.
pub(super) fn kind(value: &Input) -> String {
    match value {
        Input::Null => "null".into(),
        Input::Bool(_) => "a boolean".into(),
        Input::Number(_) => "a number".into(),
        Input::Text(_) => "a string".into(),
        Input::Bytes(_) => "a Buffer".into(),
        Input::Function => "a function".into(),
        Input::List(_) => "an array".into(),
        Input::Map(_) => "an object".into(),
        Input::Other(name) => name.clone(),
    }
}

/// Whether JavaScript takes the value for true, as the clients do for switches such as `tls`.
pub(super) fn truthy(value: &Input) -> bool {
    match value {
        Input::Null => false,
        Input::Bool(value) => *value,
        Input::Number(value) => *value != 0.0 && !value.is_nan(),
        Input::Text(text) => !text.is_empty(),
        Input::Bytes(_) | Input::Function | Input::List(_) | Input::Map(_) | Input::Other(_) => true,
    }
}

/// A string.
pub(super) fn text<'a>(key: &str, value: &'a Input) -> Result<&'a str, ConfigError> {
    match value {
        Input::Text(text) => Ok(text),
        other => Err(ConfigError::wrong_type(texts::must_be_text(key, kind(other)))),
    }
}

/// A string of which the empty one means "none", as with user names.
pub(super) fn optional_text(key: &str, value: &Input) -> Result<Option<String>, ConfigError> {
    Ok(Some(text(key, value)?).filter(|text| !text.is_empty()).map(str::to_owned))
}

/// A password; the empty one means "none".
pub(super) fn secret(key: &str, value: &Input) -> Result<Option<Secret>, ConfigError> {
    Ok(optional_text(key, value)?.map(Secret::new))
}

/// A name for CLIENT SETNAME, which takes printable ASCII without spaces; the empty one means "none".
pub(super) fn client_name(key: &str, value: &Input) -> Result<Option<String>, ConfigError> {
    let name = optional_text(key, value)?;
    match &name {
        Some(name) if !name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(ConfigError::wrong_type(texts::must_be_client_name(key)))
        }
        _ => Ok(name),
    }
}

/// A host name or IP address; brackets around IPv6 are taken off.
pub(super) fn host(key: &str, value: &Input) -> Result<String, ConfigError> {
    let text = text(key, value)?;
    let wrong = |text| Err(ConfigError::wrong_type(text));
    if text.is_empty() {
        return wrong(texts::host_empty(key));
    }
    if text.contains(['/', '@', '?', '#']) {
        return wrong(texts::host_is_url(key));
    }
    if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return wrong(texts::host_has_spaces(key));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.matches(':').count() == 1 || bare.contains(['[', ']']) {
        return wrong(texts::host_has_port(key));
    }
    Ok(bare.to_owned())
}

/// The path of a Unix domain socket.
pub(super) fn path(key: &str, value: &Input) -> Result<PathBuf, ConfigError> {
    match text(key, value)? {
        "" => Err(ConfigError::wrong_type(texts::path_empty(key))),
        text => Ok(PathBuf::from(text)),
    }
}

/// A TCP port, as a number or in digits.
pub(super) fn port(key: &str, value: &Input) -> Result<u16, ConfigError> {
    integer(key, value, 1, u32::from(u16::MAX)).map(|port| port as u16)
}

/// A database number, as a number or in digits.
pub(super) fn database(key: &str, value: &Input) -> Result<u32, ConfigError> {
    integer(key, value, 0, MAX_DATABASE)
}

/// The IP versions: 4, 6, or 0 for either.
pub(super) fn family(key: &str, value: &Input) -> Result<Family, ConfigError> {
    match number(value) {
        Some(0.0) => Ok(Family::Any),
        Some(4.0) => Ok(Family::V4),
        Some(6.0) => Ok(Family::V6),
        _ => Err(ConfigError::wrong_type(texts::must_be_family(key, describe(value)))),
    }
}

/// A timeout as clients have it: milliseconds, as a number or in digits. 0 switches the client's limit off.
pub(super) fn client_timeout(key: &str, value: &Input) -> Result<Option<Duration>, ConfigError> {
    match number(value) {
        Some(0.0) => Ok(None),
        Some(ms) => timer(key, ms).map(Some),
        None => Err(ConfigError::wrong_type(texts::must_be_number(key, "of milliseconds", describe(value)))),
    }
}

/// A positive time in milliseconds that a timer can wait; parts of a millisecond are rounded up.
pub(super) fn timer(key: &str, ms: f64) -> Result<Duration, ConfigError> {
    if ms > 0.0 && ms <= MAX_TIMER_MS {
        return Ok(Duration::from_millis(ms.ceil() as u64));
    }
    Err(ConfigError::out_of_range(texts::must_be_time(key, MAX_TIMER_MS, describe(&Input::Number(ms)))))
}

/// A whole number between two bounds, as a number or in digits.
pub(super) fn integer(key: &str, value: &Input, min: u32, max: u32) -> Result<u32, ConfigError> {
    let text = || texts::must_be_integer(key, min, max, describe(value));
    let number = number(value).ok_or_else(|| ConfigError::wrong_type(text()))?;
    if number.fract() != 0.0 || number < f64::from(min) || number > f64::from(max) {
        return Err(ConfigError::out_of_range(text()));
    }
    Ok(number as u32)
}

/// A number, or the number that a text spells in plain decimal digits, as environment variables hold it.
fn number(value: &Input) -> Option<f64> {
    match value {
        Input::Number(number) => Some(*number),
        Input::Text(text) => decimal(text),
        _ => None,
    }
}

/// The number that a text spells in plain decimal digits; neither hexadecimal nor exponents.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let digits = text.trim();
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let plain = unsigned.starts_with(|char: char| char.is_ascii_digit())
        && unsigned.ends_with(|char: char| char.is_ascii_digit())
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(text: &str) -> Input {
        Input::Text(text.into())
    }

    #[test]
    fn ports_are_integers_from_1_to_65535() {
        for (value, port_number) in [(Input::Number(6379.0), 6379), (text_of("6379"), 6379), (text_of(" 1\n"), 1)] {
            assert_eq!(port("port", &value), Ok(port_number), "{value:?}");
        }
        for value in [0.0, -1.0, 65536.0, 1.5, f64::NAN, f64::INFINITY].map(Input::Number) {
            assert!(port("port", &value).unwrap_err().range, "{value:?}");
        }
        for value in [text_of("abc"), text_of(""), text_of("0x1"), text_of("1e3"), text_of("77abc"), Input::Bool(true)]
        {
            assert!(!port("port", &value).unwrap_err().range, "{value:?}");
        }
        assert!(port("port", &text_of("70000")).unwrap_err().range);
        let docker = port("port", &text_of("tcp://10.0.0.1:6379")).unwrap_err();
        assert_eq!(docker.message, r#"`port` must be an integer from 1 to 65535, got "tcp://10.0.0.1:6379""#);
    }

    #[test]
    fn databases_are_what_select_takes() {
        for (value, database_number) in [
            (Input::Number(0.0), 0),
            (Input::Number(-0.0), 0),
            (text_of("015"), 15),
            (text_of("2147483647"), 2147483647),
        ] {
            assert_eq!(database("db", &value), Ok(database_number), "{value:?}");
        }
        for value in [text_of("-1"), text_of("1.5"), text_of("2147483648"), Input::Number(f64::NAN)] {
            assert!(database("db", &value).unwrap_err().range, "{value:?}");
        }
        for value in [text_of("one"), text_of("%31"), text_of("1.2.3"), Input::List(vec![])] {
            assert!(!database("db", &value).unwrap_err().range, "{value:?}");
        }
    }

    #[test]
    fn hosts_are_hosts_only() {
        for (value, expected) in
            [("localhost", "localhost"), ("::1", "::1"), ("[::1]", "::1"), ("fe80::1%eth0", "fe80::1%eth0")]
        {
            assert_eq!(host("host", &text_of(value)).as_deref(), Ok(expected));
        }
        for value in ["", "redis://:hunter2@h", "h:6379", "[::1]:6379", "h ", "h\n", "user:hunter2@h", "h/0", "a\0b"] {
            let error = host("host", &text_of(value)).unwrap_err();
            assert!(!error.message.contains("hunter2"), "{error}");
        }
        assert!(host("host", &Input::List(vec![])).unwrap_err().message.ends_with("got an array"));
    }

    #[test]
    fn timeouts_are_positive_and_rounded_up() {
        assert_eq!(client_timeout("t", &Input::Number(1.2)), Ok(Some(Duration::from_millis(2))));
        assert_eq!(client_timeout("t", &text_of("100")), Ok(Some(Duration::from_millis(100))));
        assert_eq!(client_timeout("t", &Input::Number(0.0)), Ok(None));
        for value in [-1.0, f64::NAN, f64::INFINITY, 2_147_483_648.0].map(Input::Number) {
            assert!(client_timeout("t", &value).unwrap_err().range, "{value:?}");
        }
        assert!(!client_timeout("t", &text_of("1s")).unwrap_err().range);
    }

    #[test]
    fn values_are_described_as_javascript_writes_them() {
        for (value, expected) in [
            (Input::Number(f64::NAN), "NaN"),
            (Input::Number(f64::NEG_INFINITY), "-Infinity"),
            (Input::Number(1e21), "1e21"),
            (Input::Number(1.5), "1.5"),
            (text_of("a\"b"), r#""a\"b""#),
            (text_of("u:pw@h"), "a string"),
            (Input::Other("Buffer".into()), "Buffer"),
        ] {
            assert_eq!(describe(&value), expected);
        }
    }

    #[test]
    fn client_names_are_what_redis_accepts() {
        assert_eq!(client_name("name", &text_of("worker-1")), Ok(Some("worker-1".into())));
        assert_eq!(client_name("name", &text_of("")), Ok(None));
        for value in ["a b", "a\n", "é"] {
            assert!(client_name("name", &text_of(value)).is_err(), "{value:?}");
        }
    }
}
