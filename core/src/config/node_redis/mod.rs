//! Reads node-redis-style configuration of a single server or of Sentinel. Clusters are in [`super::cluster`].

mod client;
mod sentinel;

pub(super) use client::{KEYS, instance_parts, object, parts_of, read_command_options};
pub use client::{from_config, from_instance};
pub use sentinel::from_sentinel_config;
