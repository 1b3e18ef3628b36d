//! A handle of an environment for what may outlive it, and values that are kept alive for as long as their owner.
//! The safety rules are those of [`super`].

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::engine::{Engine, Thrown, Value};

/// One environment, and whether it has ended. Owners of [`Kept`] values are freed by the garbage collector, which at the end
/// of the environment runs their finalisers after everything else: from then on the engine must not be used.
#[derive(Clone)]
pub struct EnvHandle(Rc<Inner>);

struct Inner {
    engine: Engine,
    ended: Cell<bool>,
}

impl EnvHandle {
    /// A handle of the environment that is running.
    pub fn new(engine: Engine) -> Self {
        Self(Rc::new(Inner { engine, ended: Cell::new(false) }))
    }

    /// The engine, which is to be used only while the environment has not ended.
    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// Whether the environment is being torn down: the engine must not be used any more.
    pub fn has_ended(&self) -> bool {
        self.0.ended.get()
    }

    /// The environment is being torn down.
    pub fn end(&self) {
        self.0.ended.set(true);
    }

    /// Keeps a value alive.
    pub fn keep(&self, value: Value) -> Result<Kept, Thrown> {
        let engine = self.engine();
        let mut reference = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_create_reference(engine.0, value.0, 1, &mut reference) };
        if status == sys::Status::napi_ok { Ok(Kept { env: self.clone(), reference }) } else { Err(engine.caught()) }
    }
}

/// A value kept alive beyond the callback, until this is dropped.
pub struct Kept {
    env: EnvHandle,
    reference: sys::napi_ref,
}

impl Kept {
    /// The value.
    pub fn value(&self) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the reference is strong and was made in this environment.
        unsafe { sys::napi_get_reference_value(self.env.engine().0, self.reference, &mut value) };
        Value(value)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The environment deletes the references that are left when it ends.
        if !self.env.has_ended() {
            // SAFETY: the module's rules; the reference is deleted once, because nothing else does.
            unsafe { sys::napi_delete_reference(self.env.engine().0, self.reference) };
        }
    }
}
