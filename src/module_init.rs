//! What happens whenever an environment loads the addon, hence before the first store.

use idioteque_redis_core::transport::at_io_thread_start;
use napi::bindgen_prelude::{Env, retain_current_module_for_unload_safety};
use napi_derive::napi;

use crate::scheduling;

/// Keeps the addon in memory until the process ends, whichever thread has loaded it, and says how its I/O thread is scheduled.
///
/// Node.js closes the addons of a worker thread when that ends. The system then unmaps an addon that is loaded nowhere else,
/// with the I/O thread in it, and with what is to run when the worker's own thread ends, such as the allocator's clean-up.
/// napi does this by itself where its own thread-safe functions are made; we make ours without it.
#[napi(module_exports)]
pub fn module_init(_: Env) {
    retain_current_module_for_unload_safety();
    at_io_thread_start(scheduling::take_short_slices);
}
