//! Where to connect when nothing was passed: what the environment variables of the ecosystem say.

use super::{ConfigError, Settings, url};

/// The variables that are looked at, the first that is set first.
pub const ENVIRONMENT_NAMES: [&str; 5] =
    [REDIS_URL, "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "KV_REST_API_URL", "KV_REST_API_TOKEN"];

const REDIS_URL: &str = "REDIS_URL";

/// Reads the variables, given as name and content. An empty one counts as not set, as deployment tools leave them.
///
/// # Errors
/// When none is set, when `REDIS_URL` is wrong, and when only those of Upstash or Vercel KV are set, over whose HTTP
/// interface no native connection can be made yet.
pub fn from_environment(variables: &[(String, String)]) -> Result<Settings, ConfigError> {
    let set = |name: &str| {
        let found = variables.iter().find(|(other, text)| other == name && !text.trim().is_empty());
        found.map(|(_, text)| text.as_str())
    };
    if let Some(text) = set(REDIS_URL) {
        return url::from_url(text).map_err(|error| ConfigError {
            message: format!(
                "The environment variable {REDIS_URL}, used because nothing was passed: {}",
                error.message
            ),
            ..error
        });
    }
    for (prefix, client) in [
        ("UPSTASH_REDIS_REST", "`Redis.fromEnv()` of @upstash/redis"),
        ("KV_REST_API", "`createClient({ url, token })` of @vercel/kv"),
    ] {
        if set(&format!("{prefix}_URL")).is_some() || set(&format!("{prefix}_TOKEN")).is_some() {
            return Err(ConfigError::wrong_type(format!(
                "Nothing was passed, and of the environment only {prefix}_URL and {prefix}_TOKEN are set: connecting to \
                 Upstash with these is not supported by this version yet. Pass the client that {client} makes, or set \
                 {REDIS_URL}"
            )));
        }
    }
    Err(ConfigError::wrong_type(format!(
        "Nothing was passed, and the environment variable {REDIS_URL} is not set: pass a Redis URL, a configuration object \
         or a client, or set it"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;

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
    fn what_is_missing_or_wrong_is_named() {
        for (variables, reason) in [
            (&[][..], "REDIS_URL is not set"),
            (&[("REDIS_URL", " ")], "REDIS_URL is not set"),
            (&[("REDIS_URL", "redis://:hunter2@h:x")], "REDIS_URL, used because nothing was passed: The Redis URL"),
            (&[("UPSTASH_REDIS_REST_URL", "https://h"), ("UPSTASH_REDIS_REST_TOKEN", "hunter2")], "Redis.fromEnv()"),
            (&[("UPSTASH_REDIS_REST_TOKEN", "hunter2")], "UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN"),
            (&[("KV_REST_API_URL", "https://h"), ("KV_REST_API_TOKEN", "hunter2")], "@vercel/kv"),
        ] {
            let error = read(variables).expect_err(reason);
            assert!(error.message.contains(reason), "{reason}: {error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }
}
