//! Types, strings, numbers and errors. The safety rules are those of [`super`].

use std::ptr;

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
pub struct Deferred(pub(super) sys::napi_deferred);

/// One JavaScript environment, on its own thread.
#[derive(Clone, Copy)]
pub struct Engine(pub(super) sys::napi_env);

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
    pub(super) fn checked(self, status: sys::napi_status, value: sys::napi_value) -> Result<Value, Thrown> {
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

    /// `null`
    pub fn null(self) -> Value {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        unsafe { sys::napi_get_null(self.0, &mut value) };
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
        /// No engine refuses a shorter text for its length.
        const LONGEST_ANYWHERE: usize = (1 << 28) - 16;
        let mut value = ptr::null_mut();
        // ASCII needs no decoding, which for large texts takes longer than anything else done with them but parsing.
        let create = if bytes.is_ascii() { sys::napi_create_string_latin1 } else { sys::napi_create_string_utf8 };
        // SAFETY: the module's rules; pointer and length are those of one slice.
        let status = unsafe { create(self.0, bytes.as_ptr().cast(), bytes.len() as isize, &mut value) };
        if status != sys::Status::napi_ok && bytes.len() >= LONGEST_ANYWHERE {
            self.caught();
            return Err(Thrown(
                self.plain_error(&format!("{} bytes are longer than a string of JavaScript can be", bytes.len())),
            ));
        }
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
            // SAFETY: the module's rules; without a buffer N-API only returns the length.
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
}
