//! Why what was passed to `createRedisStore` is not accepted.

use idioteque_redis_core::config::ConfigError;

use crate::node_api::Thrown;

/// Why an input is not accepted.
pub enum InputError {
    /// It is wrong.
    Wrong(ConfigError),
    /// Looking at it threw.
    Threw(Thrown),
}

impl From<ConfigError> for InputError {
    fn from(error: ConfigError) -> Self {
        InputError::Wrong(error)
    }
}

impl From<Thrown> for InputError {
    fn from(thrown: Thrown) -> Self {
        InputError::Threw(thrown)
    }
}
