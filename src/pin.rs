//! The addon stays in memory until the process ends, whichever thread has loaded it.

use napi::bindgen_prelude::{Env, retain_current_module_for_unload_safety};
use napi_derive::napi;

/// Runs whenever an environment loads the addon, hence before the first store, whose I/O thread outlives them all.
///
/// Node.js closes the addons of a worker thread when that ends. The system then unmaps an addon that is loaded nowhere else,
/// with the I/O thread in it, and with what is to run when the worker's own thread ends, such as the allocator's clean-up.
/// napi does this by itself where its own thread-safe functions are made; we make ours without it.
#[napi(module_exports)]
pub fn keep_loaded(_: Env) {
    retain_current_module_for_unload_safety();
}
