//! The Redis store for idioteque workers, as a Node.js addon.

pub mod config;
pub mod error;
mod js;
pub mod link;
pub mod store;
