//! The Redis store for idioteque workers, as a Node.js addon.
//!
//! Data flows one way, and back the same way: JavaScript → this crate → [`idioteque_redis_core`] → Redis.
//!
//! - `create_store`: `createRedisStore`, and the version that `index.js` looks at.
//! - `detect`: what was passed to it. `adopted_client`: a client whose settings are used. `js_values`, `env_vars`: values and
//!   environment variables as configuration.
//! - `settings_warnings`: what is likely wrong with what was passed.
//! - `store_object`, `method`: the object with the store's methods, and what a call of one does. `native_store`: the store behind
//!   it.
//! - `console`: what the admin API asks the servers through, in place of a store.
//! - `ownership`: values that the functions of a store keep alive, as the garbage collector sees it.
//! - `read_ahead`: answers that are known already in this turn of the event loop. `scheduled`, `outbox`: what is done when
//!   it is over.
//! - `fallback`: the client's own methods, where a native connection turned out to be impossible.
//! - `environment`: what one JavaScript environment keeps. `completion_queue`, `backlog`, `settle`, `results`: finished calls,
//!   back to their promises.
//! - `answer_poll`: answers that the JavaScript thread reads by itself.
//! - `seen`: status, statistics, pings and the details of traced calls.
//! - `module_init`: what happens when the addon is loaded. `scheduling`: how the I/O thread is scheduled.
//! - `node_api`: Node-API, wrapped. `js_builtins`, `error`: what is made of the JavaScript side's own classes.
//!
//! This crate has the only `unsafe` code; the store itself is in [`idioteque_redis_core`], which has nothing of Node.js.

// `#[napi]` exports nothing in a test build, so nothing would be used there. The crate has no tests of its own: they are
// in `__test__`.
#![cfg_attr(test, allow(dead_code))]

mod adopted_client;
mod answer_poll;
mod backlog;
mod completion_queue;
mod console;
mod create_store;
mod detect;
mod env_vars;
mod environment;
mod error;
mod fallback;
mod js_builtins;
mod js_values;
mod method;
mod module_init;
mod native_store;
mod node_api;
mod outbox;
mod ownership;
mod read_ahead;
mod results;
mod scheduled;
mod scheduling;
mod seen;
mod settings_warnings;
mod settle;
mod statistics;
mod store_object;

/// Calls are made on one thread and freed on another, which costs the allocators of C libraries more. Version 2 of mimalloc,
/// because the threads that use it may end in any order: `Cargo.toml` has the figures. Sanitizers keep the
/// allocator that they can watch.
#[cfg(not(any(sanitized, target_os = "android", target_os = "freebsd", all(windows, target_arch = "aarch64"))))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
