//! Functions, promises and scopes. The safety rules are those of [`super`].

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::engine::{Deferred, Engine, Thrown, Value};

/// The native side of a JavaScript function.
pub type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

impl Engine {
    /// `function.call(this, ...arguments)`
    pub fn call(self, function: Value, this: Value, arguments: &[Value]) -> Result<Value, Thrown> {
        let mut result = ptr::null_mut();
        // SAFETY: the module's rules; `Value` is transparent, so the slice is one of raw values.
        let status = unsafe {
            let pointer = arguments.as_ptr().cast();
            sys::napi_call_function(self.0, this.0, function.0, arguments.len(), pointer, &mut result)
        };
        self.checked(status, result)
    }

    /// `new constructor(...arguments)`
    pub fn construct(self, constructor: Value, arguments: &[Value]) -> Result<Value, Thrown> {
        let mut result = ptr::null_mut();
        // SAFETY: the module's rules; `Value` is transparent, so the slice is one of raw values.
        let status = unsafe {
            let pointer = arguments.as_ptr().cast();
            sys::napi_new_instance(self.0, constructor.0, arguments.len(), pointer, &mut result)
        };
        self.checked(status, result)
    }

    /// A promise and what settles it.
    pub fn promise(self) -> Result<(Deferred, Value), Thrown> {
        let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the module's rules; the out pointers are valid.
        let status = unsafe { sys::napi_create_promise(self.0, &mut deferred, &mut promise) };
        self.checked(status, promise).map(|promise| (Deferred(deferred), promise))
    }

    /// Settles a promise.
    pub fn settle(self, deferred: Deferred, outcome: Result<Value, Value>) {
        // SAFETY: the module's rules; a deferred is settled once, because it is consumed.
        unsafe {
            match outcome {
                Ok(value) => sys::napi_resolve_deferred(self.0, deferred.0, value.0),
                Err(error) => sys::napi_reject_deferred(self.0, deferred.0, error.0),
            }
        };
    }

    /// A function whose `callback` is to be opened with [`Engine::enter`]; it owns a share of `share` until it is collected.
    pub fn function_sharing<T>(self, name: &str, callback: Callback, share: Rc<T>) -> Result<Value, Thrown> {
        let share = Rc::into_raw(share).cast_mut().cast::<c_void>();
        let mut function = ptr::null_mut();
        // SAFETY: the module's rules; the share lives until the finaliser, which runs when the function can no longer be called.
        let status = unsafe {
            let length = name.len() as isize;
            let made =
                sys::napi_create_function(self.0, name.as_ptr().cast(), length, Some(callback), share, &mut function);
            if made == sys::Status::napi_ok {
                let release = Some(release::<T> as unsafe extern "C" fn(_, _, _));
                sys::napi_add_finalizer(self.0, function, share, release, ptr::null_mut(), ptr::null_mut())
            } else {
                made
            }
        };
        if status != sys::Status::napi_ok {
            // SAFETY: the engine has not taken the share.
            drop(unsafe { Rc::from_raw(share.cast::<T>()) });
        }
        self.checked(status, function)
    }

    /// Opens a callback: its share and arguments. What `body` throws becomes the pending exception, and so does a panic.
    ///
    /// # Safety
    /// To be called first thing in a callback given to [`Engine::function_sharing`], with the same `T`.
    pub unsafe fn enter<T>(
        env: sys::napi_env,
        info: sys::napi_callback_info,
        body: impl FnOnce(Engine, &Rc<T>, [Value; 4]) -> Result<Value, Thrown>,
    ) -> sys::napi_value {
        let (mut count, mut arguments, mut data) = (4, [ptr::null_mut(); 4], ptr::null_mut());
        // SAFETY: the out pointers are valid, with room for four arguments; missing ones become undefined.
        unsafe {
            let this = ptr::null_mut();
            sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), this, &mut data);
        }
        let engine = Engine(env);
        // SAFETY: the function owns a share for as long as it can be called; `ManuallyDrop` leaves it that share.
        let share = ManuallyDrop::new(unsafe { Rc::from_raw(data.cast::<T>()) });
        let result = catch_unwind(AssertUnwindSafe(|| body(engine, &share, arguments.map(Value))));
        let thrown = match result {
            Ok(Ok(value)) => return value.0,
            Ok(Err(thrown)) => thrown.0,
            Err(_) => engine.plain_error("@idioteque/redis failed internally; this is a bug, please report it"),
        };
        engine.throw(thrown);
        ptr::null_mut()
    }

    /// Runs `scoped` with handles that are released when it returns: for loops that make many values.
    pub fn scope(self, scoped: impl FnOnce()) {
        let mut scope = ptr::null_mut();
        // SAFETY: the module's rules; the scope is closed in the same function, in reverse order.
        let status = unsafe { sys::napi_open_handle_scope(self.0, &mut scope) };
        scoped();
        if status == sys::Status::napi_ok {
            // SAFETY: as above.
            unsafe { sys::napi_close_handle_scope(self.0, scope) };
        }
    }
}

/// # Safety
/// Called by N-API, once, with the share that `function_sharing` made.
unsafe extern "C" fn release<T>(_: sys::napi_env, share: *mut c_void, _: *mut c_void) {
    // SAFETY: see above.
    drop(unsafe { Rc::from_raw(share.cast::<T>()) });
}
