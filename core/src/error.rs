//! What can go wrong, as data: the codes a caller can act on, and a message with what to do next.

use std::fmt;

/// The `code` of a `RedisStoreError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The configuration cannot be used. The same at every retry.
    Config,
    /// The value has no JSON form, so nothing was sent.
    Serialize,
    /// What Redis holds is not the JSON it should be.
    Parse,
    /// The server could not be reached, or the connection was lost and did not come back in time.
    Connection,
    /// The deadline passed.
    Timeout,
    /// The server refused the command.
    Reply,
    /// More calls are pending than `maxPending` allows, or more bytes than a store keeps.
    Overloaded,
    /// The store was closed.
    Closed,
}

impl Code {
    /// The code as JavaScript sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Config => "ERR_REDIS_CONFIG",
            Code::Serialize => "ERR_REDIS_SERIALIZE",
            Code::Parse => "ERR_REDIS_PARSE",
            Code::Connection => "ERR_REDIS_CONNECTION",
            Code::Timeout => "ERR_REDIS_TIMEOUT",
            Code::Reply => "ERR_REDIS_REPLY",
            Code::Overloaded => "ERR_REDIS_OVERLOADED",
            Code::Closed => "ERR_REDIS_CLOSED",
        }
    }
}

/// Why a store call failed, made from a [`Text`](crate::error_texts::Text). The ids of the call are added where it is turned
/// into a JavaScript error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What kind of failure it is.
    pub code: Code,
    /// A sentence for a person, with what to do next where that is known. Never contains a secret.
    pub message: String,
    /// The server's own error code, such as `WRONGTYPE`, when `code` is [`Code::Reply`].
    pub reply: Option<String>,
    /// The error of the layer below, for the error's `cause`.
    pub cause: Option<String>,
    /// Whether it is a native connection that cannot do it, and the methods of a live client perhaps can. Nothing was sent then.
    pub beyond_native: bool,
}

impl StoreError {
    /// The same, of a call of this method of the store, of which nothing was sent.
    pub fn in_call(self, method: &str) -> Self {
        Self { message: format!("{method}: {}", self.message), ..self }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.as_str())
    }
}

impl std::error::Error for StoreError {}
