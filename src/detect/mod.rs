//! What was passed to `createRedisStore`, distinguished in `classify`. One file per family of clients: what its clients have that no
//! others do, what in them stands in the way of a native connection, and where their settings are.
//!
//! Class names are lost in builds, and `instanceof` fails across two copies of a package: own properties and what the
//! prototypes hold are what distinguishes clients.

mod classify;
mod glide;
mod input_error;
pub mod ioredis;
pub mod node_redis;
mod replicas;
mod shape;
mod upstash;

pub use classify::{ClientFamily, OwnMethods, Recognised, from_environment, recognise};
pub use input_error::InputError;
