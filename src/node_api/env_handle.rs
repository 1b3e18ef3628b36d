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

    /// Keeps a value alive. Not for what may hold a store: the garbage collector does not see that the store holds the value,
    /// and would collect neither.
    pub fn keep(&self, value: Value) -> Result<Kept, Thrown> {
        self.reference(value, 1).map(Kept)
    }

    /// Refers to a value that something else keeps alive.
    pub fn refer(&self, value: Value) -> Result<Reference, Thrown> {
        self.reference(value, 0)
    }

    fn reference(&self, value: Value, count: u32) -> Result<Reference, Thrown> {
        let engine = self.engine();
        let mut reference = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_create_reference(engine.0, value.0, count, &mut reference) };
        if status == sys::Status::napi_ok {
            Ok(Reference { env: self.clone(), reference })
        } else {
            Err(engine.caught())
        }
    }
}

/// A value kept alive beyond the callback, until this is dropped.
pub struct Kept(Reference);

impl Kept {
    /// The value.
    pub fn value(&self) -> Value {
        self.0.value()
    }
}

/// A value that is there for as long as JavaScript keeps it alive.
pub struct Reference {
    env: EnvHandle,
    reference: sys::napi_ref,
}

impl Reference {
    /// The value. When it has been collected, N-API refuses every operation with what this returns.
    pub fn value(&self) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the reference was made in this environment, and a null value is what N-API checks for.
        unsafe { sys::napi_get_reference_value(self.env.engine().0, self.reference, &mut value) };
        Value(value)
    }

    /// The value, unless it has been collected.
    pub fn get(&self) -> Option<Value> {
        Some(self.value()).filter(|value| !value.0.is_null())
    }

    /// Keeps the value alive until [`Reference::release`] is called as often as this.
    pub fn hold(&self) {
        // SAFETY: the module's rules; the reference was made in this environment.
        unsafe { sys::napi_reference_ref(self.env.engine().0, self.reference, ptr::null_mut()) };
    }

    /// Keeps the value alive no more.
    pub fn release(&self) {
        // SAFETY: the module's rules; called once for each `hold`.
        unsafe { sys::napi_reference_unref(self.env.engine().0, self.reference, ptr::null_mut()) };
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // The environment deletes the references that are left when it ends.
        if !self.env.has_ended() {
            // SAFETY: the module's rules; the reference is deleted once, because nothing else does.
            unsafe { sys::napi_delete_reference(self.env.engine().0, self.reference) };
        }
    }
}
