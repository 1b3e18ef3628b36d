//! What the caller passed, turned into where and how to connect. Pure: no I/O, no N-API.

pub mod cluster;
pub mod environment;
pub mod ioredis;
pub mod node_redis;
pub mod options;
pub mod upstash;
pub mod url;

mod keys;
mod object;
mod parts;
mod read;
pub mod tls;
mod topology;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::{ENVIRONMENT_NAMES, from_environment};
pub use object::{from_input, from_object};
pub use options::{Connection, Options};
pub use tls::Tls;
pub use topology::{Sentinels, Topology};
pub use upstash::Upstash;

/// A JavaScript value as configuration sees it. `undefined` never appears: such keys are left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number, `NaN` and infinities included.
    Number(f64),
    /// A string.
    Text(String),
    /// A Buffer or another array of bytes.
    Bytes(Vec<u8>),
    /// A function, of which nothing more is known.
    Function,
    /// An array.
    List(Vec<Input>),
    /// A plain object, its own enumerable keys in order.
    Map(Vec<(String, Input)>),
    /// Something configuration has no use for (symbol, bigint, class instance); holds its name for messages.
    Other(String),
}

/// A password or token. Its debug form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the handshake, and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a text shows it, or how it begins: who quotes it may cut it short.
    pub fn is_in(&self, text: &str) -> bool {
        let end = self.0.char_indices().nth(Self::TELLING).map_or(self.0.len(), |(end, _)| end);
        end > 0 && text.to_ascii_lowercase().contains(&self.0[..end].to_ascii_lowercase())
    }

    /// Characters at its beginning by which a secret is recognised.
    const TELLING: usize = 6;
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Host name or IP address (without brackets), and port.
    Tcp(String, u16),
    /// Path of a Unix domain socket.
    Unix(PathBuf),
}

/// Which IP versions a host name may resolve to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Either, in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Where and how to connect to one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The server. Where it has to be found first, the one that is asked or was found last.
    pub address: Address,
    /// How the server is found.
    pub topology: Topology,
    /// The IP versions to use.
    pub family: Family,
    /// How the connection is encrypted; `None` is plaintext.
    pub tls: Option<Tls>,
    /// ACL user; `None` is the server's `default` user.
    pub username: Option<String>,
    /// Password; `None` sends no AUTH. A user without a password has an empty one, as ACL users with `nopass` need it.
    pub password: Option<Secret>,
    /// The database to SELECT.
    pub database: u32,
    /// Name given with CLIENT SETNAME.
    pub client_name: Option<String>,
    /// Put before every key, unless the store's own option says otherwise.
    pub key_prefix: String,
    /// The client's own limit for one connection attempt.
    pub connect_timeout: Option<Duration>,
    /// The client's own limit for one command.
    pub command_timeout: Option<Duration>,
}

impl Settings {
    /// Trusts the authorities in a file besides Mozilla's, as Node does with `NODE_EXTRA_CA_CERTS`: whoever named
    /// authorities of their own trusts no others.
    pub fn trust_file(&mut self, file: &Path) {
        let of_sentinels = match &mut self.topology {
            Topology::Sentinel(sentinels) => sentinels.tls.as_mut(),
            Topology::Single | Topology::Cluster(_) | Topology::Upstash(_) => None,
        };
        for tls in self.tls.iter_mut().chain(of_sentinels) {
            if let tls::Authorities::Mozilla { extra } = &mut tls.authorities {
                *extra = Some(file.to_owned());
            }
        }
    }

    /// Whether any of the connections is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some() || matches!(&self.topology, Topology::Sentinel(sentinels) if sentinels.tls.is_some())
    }
}

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
    pub fn wrong_type(message: impl Into<String>) -> Self {
        Self { range: false, message: message.into() }
    }

    /// For a number that is out of range.
    pub fn out_of_range(message: impl Into<String>) -> Self {
        Self { range: true, message: message.into() }
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

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.setting, self.reason)
    }
}

impl std::error::Error for Unsupported {}
