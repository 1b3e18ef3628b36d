//! The Redis store for idioteque workers, as a Node.js addon.
//!
//! Data flows one way, and back the same way: JavaScript → `js` → [`idioteque_redis_core`] → Redis.
//!
//! - `js`: the only room that touches the JavaScript engine, and the only one with `unsafe`. It recognises what was
//!   passed, makes the store object, and settles promises.
//! - [`idioteque_redis_core`]: the store itself, which knows nothing of Node.js.
//!
//! The one N-API export is `createRedisStore`, in `js/door.rs`.

mod js;

/// Calls are made on one thread and freed on another, which costs the allocators of C libraries more. Version 2 of mimalloc,
/// because the threads that use it may end in any order: `Cargo.toml` has the figures. Sanitizers keep the
/// allocator that they can watch.
#[cfg(not(any(sanitized, target_os = "android", target_os = "freebsd", all(windows, target_arch = "aarch64"))))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
