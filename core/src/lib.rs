//! The Redis store for idioteque workers, without Node.js.
//!
//! Data flows one way, and back the same way: [`store`] → [`transport`] → Redis.
//!
//! - [`store`]: what a store call means: keys, commands, replies. Pure.
//! - [`transport`]: how commands reach a server: connections, deadlines, retries, on one I/O thread.
//! - [`config`]: what the caller passed, turned into where and how to connect. Pure, read once when a store is made.
//! - [`moment`]: the clock by which what was read ahead ages.
//! - [`error`]: what can go wrong. [`error_texts`]: what is said of it.
//!
//! `cargo test` needs no Node.js and no Redis.

#![forbid(unsafe_code)]

pub mod config;
pub mod error;
pub mod error_texts;
pub mod moment;
pub mod store;
pub mod transport;
