//! The engine's own operations, each wrapped once, so that the rest of these rooms reads like JavaScript.
//!
//! The rules of N-API (<https://nodejs.org/api/n-api.html>) that every `unsafe` block here relies on: an [`Engine`] exists
//! only on its environment's own JavaScript thread while that environment lives, and a [`Value`] is used only inside the
//! callback (handle scope) in which it was obtained.

use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

/// A JavaScript value, valid until the current callback returns.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Value(pub sys::napi_value);

/// A JavaScript exception that was caught, as the value that was thrown.
pub struct Thrown(pub Value);

/// The kinds of JavaScript values that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `undefined`
    Undefined,
    /// `null`
    Null,
    /// A boolean.
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// A symbol.
    Symbol,
    /// An object that cannot be called.
    Object,
    /// A function or class.
    Function,
    /// A bigint.
    BigInt,
    /// Anything else.
    Other,
}

/// A promise that is not yet settled. Settling consumes it.
pub struct Deferred(sys::napi_deferred);

/// A value kept alive beyond the callback, until it is given to [`Engine::forget`].
pub struct Reference(sys::napi_ref);

/// The native side of a JavaScript function.
pub type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// One JavaScript environment, on its own thread.
#[derive(Clone, Copy)]
pub struct Engine(sys::napi_env);

impl Engine {
    /// # Safety
    /// To be called on the environment's own thread, with an environment that lives for as long as the result is used.
    pub unsafe fn new(env: sys::napi_env) -> Self {
        Self(env)
    }

    /// The raw environment.
    pub fn raw(self) -> sys::napi_env {
        self.0
    }

    /// A status other than ok leaves `value` null: the operation was refused, at worst because the environment is ending.
    fn checked(self, status: sys::napi_status, value: sys::napi_value) -> Result<Value, Thrown> {
        if status == sys::Status::napi_ok { Ok(Value(value)) } else { Err(self.caught()) }
    }

    /// Takes the pending exception, or makes an error where N-API refused without one.
    pub fn caught(self) -> Thrown {
        let mut error = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_get_and_clear_last_exception(self.0, &mut error) };
        let caught = Value(error);
        if status == sys::Status::napi_ok && !error.is_null() && self.type_of(caught) != Type::Undefined {
            return Thrown(caught);
        }
        Thrown(self.plain_error("the JavaScript engine refused the operation"))
    }

    /// The type of a value.
    pub fn type_of(self, value: Value) -> Type {
        let mut kind = -1;
        // SAFETY: the module's rules; the out pointer is valid.
        unsafe { sys::napi_typeof(self.0, value.0, &mut kind) };
        match kind {
            sys::ValueType::napi_undefined => Type::Undefined,
            sys::ValueType::napi_null => Type::Null,
            sys::ValueType::napi_boolean => Type::Boolean,
            sys::ValueType::napi_number => Type::Number,
            sys::ValueType::napi_string => Type::Text,
            sys::ValueType::napi_symbol => Type::Symbol,
            sys::ValueType::napi_object => Type::Object,
            sys::ValueType::napi_function => Type::Function,
            sys::ValueType::napi_bigint => Type::BigInt,
            _ => Type::Other,
        }
    }

    /// `undefined`
    pub fn undefined(self) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        unsafe { sys::napi_get_undefined(self.0, &mut value) };
        Value(value)
    }

    /// `true` or `false`
    pub fn boolean(self, flag: bool) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        unsafe { sys::napi_get_boolean(self.0, flag, &mut value) };
        Value(value)
    }

    /// A number.
    pub fn number(self, number: f64) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        unsafe { sys::napi_create_double(self.0, number, &mut value) };
        Value(value)
    }

    /// A string from UTF-8; what is not UTF-8 becomes U+FFFD, as JavaScript clients decode it.
    ///
    /// # Errors
    /// When the string is longer than the engine allows.
    pub fn text(self, bytes: &[u8]) -> Result<Value, Thrown> {
        let mut value = ptr::null_mut();
        // ASCII needs no decoding, which for large texts takes longer than anything else done with them but parsing.
        let create = if bytes.is_ascii() { sys::napi_create_string_latin1 } else { sys::napi_create_string_utf8 };
        // SAFETY: the module's rules; pointer and length are those of one slice.
        let status = unsafe { create(self.0, bytes.as_ptr().cast(), bytes.len() as isize, &mut value) };
        self.checked(status, value)
    }

    /// A new, empty object.
    pub fn object(self) -> Result<Value, Thrown> {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_create_object(self.0, &mut value) };
        self.checked(status, value)
    }

    /// `new Error(message)`; falls back to `undefined` where not even that can be made.
    pub fn plain_error(self, message: &str) -> Value {
        let mut error = ptr::null_mut();
        let Ok(message) = self.text(message.as_bytes()) else { return self.undefined() };
        // SAFETY: the module's rules; a null code is allowed.
        let status = unsafe { sys::napi_create_error(self.0, ptr::null_mut(), message.0, &mut error) };
        if status == sys::Status::napi_ok { Value(error) } else { self.undefined() }
    }

    /// `new TypeError(message)` or `new RangeError(message)` with a `code`.
    pub fn argument_error(self, range: bool, code: &str, message: &str) -> Result<Value, Thrown> {
        let (code, message) = (self.text(code.as_bytes())?, self.text(message.as_bytes())?);
        let mut error = ptr::null_mut();
        let create = if range { sys::napi_create_range_error } else { sys::napi_create_type_error };
        // SAFETY: the module's rules; both arguments are strings.
        let status = unsafe { create(self.0, code.0, message.0, &mut error) };
        self.checked(status, error)
    }

    /// Makes a value the pending exception of the current callback.
    pub fn throw(self, error: Value) {
        // SAFETY: the module's rules.
        unsafe { sys::napi_throw(self.0, error.0) };
    }

    /// Appends a string's UTF-8 to a buffer; lone surrogates become U+FFFD. False when the value is not a string.
    pub fn append_text(self, value: Value, buffer: &mut Vec<u8>) -> bool {
        /// Long enough for nearly all ids, so that one call does.
        const USUAL: usize = 256;
        let start = buffer.len();
        buffer.reserve(USUAL);
        let mut room = buffer.capacity() - start;
        let mut written = 0;
        // SAFETY: the module's rules; N-API writes at most `room` bytes, its terminator included, into the spare capacity.
        let status = unsafe {
            let spare = buffer.as_mut_ptr().add(start).cast();
            sys::napi_get_value_string_utf8(self.0, value.0, spare, room, &mut written)
        };
        if status != sys::Status::napi_ok {
            return false;
        }
        // A cut happens at the end of a character of at most four bytes, before the terminator.
        if written + 4 >= room {
            let mut length = 0;
            // SAFETY: the module's rules; without a buffer N-API only tells the length.
            unsafe { sys::napi_get_value_string_utf8(self.0, value.0, ptr::null_mut(), 0, &mut length) };
            buffer.reserve(length + 1);
            room = buffer.capacity() - start;
            // SAFETY: as above, with room for the whole string and its terminator.
            unsafe {
                let spare = buffer.as_mut_ptr().add(start).cast();
                sys::napi_get_value_string_utf8(self.0, value.0, spare, room, &mut written);
            }
        }
        // SAFETY: N-API has initialised `written` bytes behind `start`, within the capacity.
        unsafe { buffer.set_len(start + written) };
        true
    }

    /// A string as Rust text, or `None` when the value is not a string.
    pub fn string(self, value: Value) -> Option<String> {
        let mut buffer = Vec::new();
        self.append_text(value, &mut buffer).then(|| String::from_utf8_lossy(&buffer).into_owned())
    }

    /// A number, or `None` when the value is not a number.
    pub fn to_f64(self, value: Value) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_get_value_double(self.0, value.0, &mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// A boolean, or `None` when the value is not a boolean.
    pub fn to_bool(self, value: Value) -> Option<bool> {
        let mut flag = false;
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_get_value_bool(self.0, value.0, &mut flag) };
        (status == sys::Status::napi_ok).then_some(flag)
    }

    /// `object[key]`, getters and prototypes included.
    pub fn get(self, object: Value, key: &CStr) -> Result<Value, Thrown> {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the key is terminated.
        let status = unsafe { sys::napi_get_named_property(self.0, object.0, key.as_ptr(), &mut value) };
        self.checked(status, value)
    }

    /// `object[key]` for any key.
    pub fn get_by(self, object: Value, key: Value) -> Result<Value, Thrown> {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules.
        let status = unsafe { sys::napi_get_property(self.0, object.0, key.0, &mut value) };
        self.checked(status, value)
    }

    /// `object[key] = value`
    pub fn set(self, object: Value, key: &CStr, value: Value) -> Result<(), Thrown> {
        // SAFETY: the module's rules; the key is terminated.
        let status = unsafe { sys::napi_set_named_property(self.0, object.0, key.as_ptr(), value.0) };
        if status == sys::Status::napi_ok { Ok(()) } else { Err(self.caught()) }
    }

    /// `object[key] = value` for any key.
    pub fn set_by(self, object: Value, key: Value, value: Value) -> Result<(), Thrown> {
        // SAFETY: the module's rules.
        let status = unsafe { sys::napi_set_property(self.0, object.0, key.0, value.0) };
        if status == sys::Status::napi_ok { Ok(()) } else { Err(self.caught()) }
    }

    /// `Object.hasOwn(object, key)`
    pub fn has_own(self, object: Value, key: &str) -> bool {
        let Ok(key) = self.text(key.as_bytes()) else { return false };
        let mut found = false;
        // SAFETY: the module's rules; the key is a string.
        unsafe { sys::napi_has_own_property(self.0, object.0, key.0, &mut found) };
        found
    }

    /// `Object.getPrototypeOf(object)`
    pub fn prototype(self, object: Value) -> Result<Value, Thrown> {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules.
        let status = unsafe { sys::napi_get_prototype(self.0, object.0, &mut value) };
        self.checked(status, value)
    }

    /// `a === b`
    pub fn same(self, a: Value, b: Value) -> bool {
        let mut same = false;
        // SAFETY: the module's rules.
        unsafe { sys::napi_strict_equals(self.0, a.0, b.0, &mut same) };
        same
    }

    /// `Object.keys(object)`
    pub fn keys(self, object: Value) -> Result<Vec<Value>, Thrown> {
        let mut names = ptr::null_mut();
        // SAFETY: the module's rules; the enumerators are N-API's own.
        let status = unsafe {
            sys::napi_get_all_property_names(
                self.0,
                object.0,
                sys::KeyCollectionMode::own_only,
                sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
                sys::KeyConversion::numbers_to_strings,
                &mut names,
            )
        };
        self.items(self.checked(status, names)?)
    }

    /// Whether the value is an array.
    pub fn is_array(self, value: Value) -> bool {
        let mut array = false;
        // SAFETY: the module's rules.
        unsafe { sys::napi_is_array(self.0, value.0, &mut array) };
        array
    }

    /// The items of an array.
    pub fn items(self, array: Value) -> Result<Vec<Value>, Thrown> {
        let mut length = 0;
        // SAFETY: the module's rules; for what is not an array the length stays 0.
        unsafe { sys::napi_get_array_length(self.0, array.0, &mut length) };
        (0..length)
            .map(|index| {
                let mut item = ptr::null_mut();
                // SAFETY: the module's rules.
                let status = unsafe { sys::napi_get_element(self.0, array.0, index, &mut item) };
                self.checked(status, item)
            })
            .collect()
    }

    /// The content of a Buffer or another `Uint8Array`, or `None` when the value is none.
    pub fn bytes(self, value: Value) -> Option<Vec<u8>> {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: the module's rules; the out pointers are valid or null, and what is no typed array is an error.
        let status = unsafe {
            let (buffer, offset) = (ptr::null_mut(), ptr::null_mut());
            sys::napi_get_typedarray_info(self.0, value.0, &mut kind, &mut length, &mut data, buffer, offset)
        };
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
            return None;
        }
        if data.is_null() {
            return Some(Vec::new());
        }
        // SAFETY: N-API says that so many bytes are there, and no JavaScript runs while they are copied.
        Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec())
    }

    /// The global object.
    pub fn global(self) -> Result<Value, Thrown> {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_get_global(self.0, &mut value) };
        self.checked(status, value)
    }

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

    /// Keeps a value alive.
    pub fn keep(self, value: Value) -> Result<Reference, Thrown> {
        let mut reference = ptr::null_mut();
        // SAFETY: the module's rules.
        let status = unsafe { sys::napi_create_reference(self.0, value.0, 1, &mut reference) };
        if status == sys::Status::napi_ok { Ok(Reference(reference)) } else { Err(self.caught()) }
    }

    /// The value that is kept alive.
    pub fn kept(self, reference: &Reference) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the reference is strong and was made in this environment.
        unsafe { sys::napi_get_reference_value(self.0, reference.0, &mut value) };
        Value(value)
    }

    /// Stops keeping a value alive.
    pub fn forget(self, reference: Reference) {
        // SAFETY: the module's rules; the reference is consumed.
        unsafe { sys::napi_delete_reference(self.0, reference.0) };
    }

    /// A function whose `callback` is to be opened with [`Engine::enter`]; it owns a share of `share` until it is collected.
    pub fn function_sharing<T>(self, name: &str, callback: Callback, share: Rc<T>) -> Result<Value, Thrown> {
        let share = Rc::into_raw(share).cast_mut().cast::<c_void>();
        let mut function = ptr::null_mut();
        // SAFETY: the module's rules; the share lives until the finaliser, which runs when nobody can call the function.
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
        body: impl FnOnce(Engine, &Rc<T>, [Value; 3]) -> Result<Value, Thrown>,
    ) -> sys::napi_value {
        let (mut count, mut arguments, mut data) = (3, [ptr::null_mut(); 3], ptr::null_mut());
        // SAFETY: the out pointers are valid, with room for three arguments; missing ones become undefined.
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
