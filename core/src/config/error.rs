//! What is wrong with a configuration, or cannot be honoured.

use std::fmt;

use crate::error_texts::Text;

/// What is wrong with an argument, thrown by `createRedisStore` itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Whether it becomes a `RangeError` (a number outside its range) or a `TypeError`.
    pub range: bool,
    /// What is wrong and what is accepted. Never contains a secret.
    pub message: String,
}

impl ConfigError {
    /// For a value of the wrong type, a string that makes no sense, an unknown key, a contradiction.
    pub fn wrong_type(text: Text) -> Self {
        Self { range: false, message: text.into_message() }
    }

    /// For a number that is out of range.
    pub fn out_of_range(text: Text) -> Self {
        Self { range: true, message: text.into_message() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A setting of a caller's own client that a native connection cannot honour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The name of the setting, as the client spells it.
    pub setting: String,
    /// Why it cannot be honoured, as the end of a sentence that begins with the setting. Never contains a secret.
    pub reason: String,
}

impl Unsupported {
    /// A setting that cannot be honoured for one of the reasons in [`crate::error_texts::unsupported`].
    pub fn new(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { setting: setting.into(), reason: reason.into() }
    }

    /// A setting whose value a configuration object could not have either.
    pub(super) fn wrong(setting: &str, error: &ConfigError) -> Self {
        Self::new(setting, error.message.strip_prefix(&format!("`{setting}` ")).unwrap_or(&error.message))
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.setting, self.reason)
    }
}

impl std::error::Error for Unsupported {}
