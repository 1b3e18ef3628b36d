//! Objects: properties, prototypes, arrays and bytes. The safety rules are those of [`super`].

use std::ffi::CStr;
use std::ptr;

use napi::sys;

use super::engine::{Engine, Thrown, Value};

impl Engine {
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
        let status = unsafe { sys::napi_has_own_property(self.0, object.0, key.0, &mut found) };
        if status != sys::Status::napi_ok {
            // A proxy may throw; nothing else could be called with its exception pending.
            self.caught();
        }
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

    /// A new array of as many items, which `item` makes.
    pub fn array<T>(self, items: &[T], item: impl Fn(&T) -> Result<Value, Thrown>) -> Result<Value, Thrown> {
        let mut array = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_create_array_with_length(self.0, items.len(), &mut array) };
        let array = self.checked(status, array)?;
        for (index, made) in items.iter().enumerate() {
            let made = item(made)?;
            // SAFETY: the module's rules.
            let status = unsafe { sys::napi_set_element(self.0, array.0, index as u32, made.0) };
            if status != sys::Status::napi_ok {
                return Err(self.caught());
            }
        }
        Ok(array)
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
        // SAFETY: N-API has returned that length, and no JavaScript runs while they are copied.
        Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec())
    }

    /// The length of a `Float64Array`, and where its numbers are; none where the value is something else.
    fn numbers(self, value: Value) -> (usize, *mut f64) {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: the module's rules; the out pointers are valid or null, and what is no typed array is an error.
        let status = unsafe {
            let (buffer, offset) = (ptr::null_mut(), ptr::null_mut());
            sys::napi_get_typedarray_info(self.0, value.0, &mut kind, &mut length, &mut data, buffer, offset)
        };
        match status == sys::Status::napi_ok && kind == sys::TypedarrayType::float64_array && !data.is_null() {
            true => (length, data.cast()),
            false => (0, ptr::null_mut()),
        }
    }

    /// How many numbers a `Float64Array` has room for.
    pub fn numbers_length(self, value: Value) -> usize {
        self.numbers(value).0
    }

    /// Writes numbers into a `Float64Array`, those that there is no room for left out.
    pub fn write_numbers(self, value: Value, numbers: &[f64]) {
        let (length, data) = self.numbers(value);
        if length > 0 {
            // SAFETY: N-API has returned that length, of aligned numbers, and no JavaScript runs meanwhile.
            unsafe { ptr::copy_nonoverlapping(numbers.as_ptr(), data, numbers.len().min(length)) };
        }
    }

    /// The global object.
    pub fn global(self) -> Result<Value, Thrown> {
        let mut value = ptr::null_mut();
        // SAFETY: the module's rules; the out pointer is valid.
        let status = unsafe { sys::napi_get_global(self.0, &mut value) };
        self.checked(status, value)
    }
}
