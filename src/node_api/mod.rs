//! The engine's own operations, each wrapped once, so that the rest of the addon reads like JavaScript.
//!
//! The rules of N-API (<https://nodejs.org/api/n-api.html>) that every `unsafe` block here relies on: an [`Engine`] exists
//! only on its environment's own JavaScript thread while that environment exists, and a [`Value`] is used only inside the
//! callback (handle scope) in which it was obtained.

#[cfg(target_os = "linux")]
mod callback_scope;
mod engine;
mod env_handle;
mod function;
mod object;

#[cfg(target_os = "linux")]
pub use callback_scope::CallbackScope;
pub use engine::{Deferred, Engine, Thrown, Type, Value};
pub use env_handle::{EnvHandle, Kept, Reference};
pub use function::Callback;
