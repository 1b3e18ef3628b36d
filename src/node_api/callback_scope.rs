//! Callbacks that N-API does not make, such as those of libuv. The safety rules are those of [`super`].

use std::cell::Cell;
use std::ptr;

use napi::sys;

use super::engine::{Engine, Thrown};

/// Where such callbacks run: behind each, Node.js runs the continuations of what it has settled. To be ended before its environment
/// ends.
pub struct CallbackScope {
    engine: Engine,
    /// `None` when it has ended.
    context: Cell<Option<sys::napi_async_context>>,
}

impl CallbackScope {
    /// Callbacks that diagnostics show by this name.
    pub fn new(engine: Engine, name: &str) -> Result<Self, Thrown> {
        let name = engine.text(name.as_bytes())?;
        let mut context = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_async_init(engine.0, ptr::null_mut(), name.0, &mut context) };
        if status != sys::Status::napi_ok {
            return Err(engine.caught());
        }
        Ok(Self { engine, context: Cell::new(Some(context)) })
    }

    /// Runs a callback, unless the environment will not have that. To be called from the event loop, with no JavaScript below it, while
    /// the environment has not ended.
    pub fn run(&self, callback: impl FnOnce()) -> bool {
        let Some(context) = self.context.get() else { return false };
        let mut has_run = false;
        self.engine.scope(|| {
            let mut scope = ptr::null_mut();
            // SAFETY: the module's rules; the context has not been destroyed, and the scope is closed in the same function.
            let status = unsafe { sys::napi_open_callback_scope(self.engine.0, ptr::null_mut(), context, &mut scope) };
            if status == sys::Status::napi_ok {
                callback();
                has_run = true;
                // SAFETY: as above.
                unsafe { sys::napi_close_callback_scope(self.engine.0, scope) };
            }
        });
        has_run
    }

    /// Ends it.
    pub fn end(&self) {
        if let Some(context) = self.context.take() {
            // SAFETY: the module's rules; taken out, so it is destroyed once.
            unsafe { sys::napi_async_destroy(self.engine.0, context) };
        }
    }
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        self.end();
    }
}
