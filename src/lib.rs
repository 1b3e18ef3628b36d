//! The Redis store for idioteque workers, as a Node.js addon.
//!
//! Data flows one way, and back the same way: JavaScript → `js` → `store` → `link` → Redis.
//!
//! - `js`: the only room that touches the JavaScript engine, and the only one with `unsafe`. It recognises what was
//!   passed, makes the store object, and settles promises.
//! - [`store`]: what a store call means: keys, commands, replies. Pure.
//! - [`link`]: how commands reach a server: connections, deadlines, retries, on one I/O thread.
//! - [`config`]: what the caller passed, turned into where and how to connect. Pure, read once at the door.
//! - [`error`]: what can go wrong.
//!
//! The one N-API export is `createRedisStore`, in `js/door.rs`. `cargo test` runs everything but `js`, without Node, and feeds the
//! corpora in `fuzz/` to `fuzz`.

pub mod config;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(not(any(test, fuzzing)))]
mod js;
pub mod link;
pub mod store;

/// Calls are made on one thread and freed on another, which costs the allocators of C libraries more. Version 2 of mimalloc,
/// because the threads that use it may end in any order: `Cargo.toml` has the figures. Fuzzers and sanitizers keep the
/// allocator that they can watch.
#[cfg(not(any(
    fuzzing,
    sanitized,
    target_os = "android",
    target_os = "freebsd",
    all(windows, target_arch = "aarch64")
)))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
