//! Where to connect when nothing was passed: the environment variables of the ecosystem.

use super::error::ConfigError;
use super::settings::Settings;
use super::{upstash, url};
use crate::error_texts::values as texts;

/// The variables that are looked at, the first that is set first.
pub const ENVIRONMENT_NAMES: [&str; 5] =
    [REDIS_URL, "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "KV_REST_API_URL", "KV_REST_API_TOKEN"];

const REDIS_URL: &str = "REDIS_URL";

const OF_UPSTASH: [(&str, &str); 2] =
    [("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"), ("KV_REST_API_URL", "KV_REST_API_TOKEN")];

/// Reads the variables, given as name and content. An empty one counts as not set, as deployment tools leave them.
/// `REDIS_URL` goes before Upstash's pair, and that before Vercel KV's.
///
/// # Errors
/// When none is set, when one is wrong, and when of a pair only one is set.
pub fn from_environment(variables: &[(String, String)]) -> Result<Settings, ConfigError> {
    let set = |name: &str| {
        let found = variables.iter().find(|(other, text)| other == name && !text.trim().is_empty());
        found.map(|(_, text)| text.as_str())
    };
    if let Some(text) = set(REDIS_URL) {
        return url::from_url(text).map_err(|error| ConfigError {
            message: texts::environment_wrong(REDIS_URL, &error.message).into_message(),
            ..error
        });
    }
    for (url, token) in OF_UPSTASH {
        match (set(url), set(token)) {
            (None, None) => {}
            (Some(text), Some(secret)) => {
                return upstash::settings(text, &texts::variable(url), secret, &texts::variable(token), true);
            }
            (found, _) => {
                let (there, missing) = if found.is_some() { (url, token) } else { (token, url) };
                return Err(ConfigError::wrong_type(texts::environment_incomplete(url, token, there, missing)));
            }
        }
    }
    Err(ConfigError::wrong_type(texts::environment_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::address::Address;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let owned: Vec<_> = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        from_environment(&owned)
    }

    #[test]
    fn redis_url_goes_first() {
        let settings = read(&[("KV_REST_API_URL", "https://h"), ("REDIS_URL", "redis://h:1/2")]).unwrap();
        assert_eq!((settings.address, settings.database), (Address::Tcp("h".into(), 1), 2));
    }

    #[test]
    fn upstash_goes_before_vercel_kv() {
        let kv = [("KV_REST_API_URL", "https://kv"), ("KV_REST_API_TOKEN", "t")];
        let upstash = [("UPSTASH_REDIS_REST_URL", "https://upstash"), ("UPSTASH_REDIS_REST_TOKEN", "t")];
        let address = |variables: &[_]| read(variables).unwrap().address;
        assert_eq!(address(&kv), Address::Tcp("kv".into(), 443));
        assert_eq!(address(&[kv, upstash].concat()), Address::Tcp("upstash".into(), 443));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (variables, reason) in [
            (&[][..], "REDIS_URL is not set"),
            (&[("REDIS_URL", " ")], "REDIS_URL is not set"),
            (&[("REDIS_URL", "redis://:hunter2@h:x")], "REDIS_URL, used because nothing was passed: The Redis URL"),
            (&[("UPSTASH_REDIS_REST_TOKEN", "hunter2")], "set UPSTASH_REDIS_REST_URL too"),
            (&[("KV_REST_API_URL", "https://h"), ("KV_REST_API_TOKEN", "")], "set KV_REST_API_TOKEN too"),
            (&[("KV_REST_API_URL", "redis://h"), ("KV_REST_API_TOKEN", "hunter2")], "variable KV_REST_API_URL, used"),
        ] {
            let error = read(variables).expect_err(reason);
            assert!(error.message.contains(reason), "{reason}: {error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }
}
