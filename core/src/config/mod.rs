//! What the caller passed, turned into where and how to connect. Pure: no I/O, no N-API.

mod address;
pub mod cluster;
pub mod env;
mod error;
mod input;
pub mod ioredis;
pub mod node_redis;
mod object;
pub mod options;
mod partial;
mod schema;
mod secret;
mod settings;
pub mod tls;
mod topology;
pub mod upstash;
pub mod url;
mod values;

pub use address::{Address, Family};
pub use env::{ENVIRONMENT_NAMES, from_environment};
pub use error::{ConfigError, Unsupported};
pub use input::Input;
pub use object::{from_input, from_object};
pub use options::{Connection, Options};
pub use secret::Secret;
pub use settings::Settings;
pub use tls::Tls;
pub use topology::{Sentinels, Topology, Upstash};
