//! A `uv_poll_t` on the descriptor of an [`AnswerWatch`].

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::{mem, ptr};

use idioteque_redis_core::transport::AnswerWatch;
use napi::sys;

use crate::environment::Environment;
use crate::node_api::CallbackScope;

/// `UV_POLL` of `uv_handle_type`, and `UV_READABLE` of `uv_poll_event`, which are part of libuv's ABI.
const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

/// A `uv_poll_t`, whose size libuv tells.
type Handle = *mut c_void;

/// Functions of libuv <https://docs.libuv.org/en/v1.x/poll.html>, which Node.js has for addons.
struct Libuv {
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    handle_set_data: unsafe extern "C" fn(Handle, *mut c_void),
    poll_init: unsafe extern "C" fn(*mut sys::uv_loop_s, Handle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(Handle, c_int, unsafe extern "C" fn(Handle, c_int, c_int)) -> c_int,
    unref: unsafe extern "C" fn(Handle),
    close: unsafe extern "C" fn(Handle, unsafe extern "C" fn(Handle)),
}

impl Libuv {
    /// `None` where the process has none to offer.
    fn find() -> Option<Self> {
        // SAFETY: these are the types that libuv declares its functions with.
        unsafe {
            Some(Self {
                handle_size: function(c"uv_handle_size")?,
                handle_set_data: function(c"uv_handle_set_data")?,
                poll_init: function(c"uv_poll_init")?,
                poll_start: function(c"uv_poll_start")?,
                unref: function(c"uv_unref")?,
                close: function(c"uv_close")?,
            })
        }
    }
}

/// A function of the process.
///
/// # Safety
/// `T` is a pointer to a function of the type that this one has.
unsafe fn function<T: Copy>(name: &CStr) -> Option<T> {
    // SAFETY: the name ends with a zero.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert_eq!(mem::size_of::<T>(), mem::size_of::<*mut c_void>());
    // SAFETY: the caller's, for an address that is there; both are pointers.
    (!address.is_null()).then(|| unsafe { mem::transmute_copy(&address) })
}

/// What the event loop polls. It lives from `start` until the loop has closed it.
struct Poll {
    libuv: Libuv,
    /// Its first word, and how many there are: memory of a boxed slice, aligned as whatever may be in it.
    handle: (*mut u64, usize),
    watch: Rc<AnswerWatch>,
    environment: Rc<Environment>,
    settle: Box<dyn Fn()>,
    scope: CallbackScope,
    /// What the end of the environment waits for.
    ending: Cell<Option<sys::napi_async_cleanup_hook_handle>>,
}

impl Poll {
    fn read_answers(&self) {
        let completions = &self.environment.completions;
        if !completions.attend() {
            return self.watch.read_answers();
        }
        let _ = catch_unwind(AssertUnwindSafe(|| self.watch.read_answers()));
        if completions.end_attending() && !self.scope.run(|| (self.settle)()) {
            completions.call_after_all();
        }
    }
}

/// Has the event loop poll a new watch, until the environment ends.
pub fn start(environment: &Rc<Environment>, settle: Box<dyn Fn()>) -> Option<Rc<AnswerWatch>> {
    let libuv = Libuv::find()?;
    let watch = AnswerWatch::new().ok()?;
    let descriptor = watch.descriptor()?;
    let scope = CallbackScope::new(environment.engine(), "idioteque-redis").ok()?;
    let env = environment.engine().raw();
    let mut event_loop = ptr::null_mut();
    // SAFETY: on the environment's own thread, as all of this; the out pointer is valid.
    if unsafe { sys::napi_get_uv_event_loop(env, &mut event_loop) } != sys::Status::napi_ok {
        return None;
    }
    // SAFETY: asks for a number.
    let size = unsafe { (libuv.handle_size)(UV_POLL) };
    let mut words = vec![0u64; size.div_ceil(mem::size_of::<u64>())].into_boxed_slice();
    // SAFETY: the loop is the environment's, and the memory as large as libuv wants it. When it fails, libuv keeps nothing.
    if unsafe { (libuv.poll_init)(event_loop, words.as_mut_ptr().cast(), descriptor) } != 0 {
        return None;
    }
    let length = words.len();
    let words = Box::into_raw(words).cast::<u64>();
    let handle: Handle = words.cast();
    let poll = Box::into_raw(Box::new(Poll {
        libuv,
        handle: (words, length),
        watch: watch.clone(),
        environment: environment.clone(),
        settle,
        scope,
        ending: Cell::new(None),
    }));
    // SAFETY: the handle and what it refers to stay where they are until `on_closed`, which `close` leads to, once: by the hook, or
    // here when there is none.
    unsafe {
        let libuv = &(*poll).libuv;
        (libuv.handle_set_data)(handle, poll.cast());
        (libuv.unref)(handle);
        let is_started = (libuv.poll_start)(handle, UV_READABLE, on_readable) == 0;
        let hooked = sys::napi_add_async_cleanup_hook(env, Some(on_end), poll.cast(), ptr::null_mut());
        if hooked != sys::Status::napi_ok {
            (libuv.close)(handle, on_closed);
            return None;
        }
        is_started.then_some(watch)
    }
}

/// # Safety
/// Called by the event loop with a handle that `start` made.
unsafe extern "C" fn on_readable(handle: Handle, _: c_int, _: c_int) {
    // SAFETY: its data is the `Poll` that has it, which is there until it is closed; every libuv finds the data in the same place.
    let poll = unsafe { &*poll_of(handle) };
    if !poll.environment.handle.has_ended() {
        // A panic must not cross into the loop. What was to be read, the I/O thread reads.
        let _ = catch_unwind(AssertUnwindSafe(|| poll.read_answers()));
    }
}

/// # Safety
/// Called by N-API, once, with the `Poll` that `start` made.
unsafe extern "C" fn on_end(ending: sys::napi_async_cleanup_hook_handle, poll: *mut c_void) {
    // SAFETY: it is there until `on_closed`.
    let poll = unsafe { &*poll.cast::<Poll>() };
    poll.scope.end();
    poll.ending.set(Some(ending));
    // SAFETY: the handle is open, and closed once.
    unsafe { (poll.libuv.close)(poll.handle.0.cast(), on_closed) };
}

/// # Safety
/// Called by the event loop, once, with a handle that `start` made.
unsafe extern "C" fn on_closed(handle: Handle) {
    // SAFETY: nothing refers to it any more.
    let poll = unsafe { Box::from_raw(poll_of(handle)) };
    let (words, length) = poll.handle;
    // SAFETY: this is the slice that `start` has boxed; libuv does not touch it behind this callback.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(words, length)) });
    if let Some(ending) = poll.ending.get() {
        // SAFETY: the environment waits for this, once.
        unsafe { sys::napi_remove_async_cleanup_hook(ending) };
    }
}

/// # Safety
/// The handle is one that `start` made.
unsafe fn poll_of(handle: Handle) -> *mut Poll {
    // SAFETY: `data` is the first field of every handle, which `uv_handle_set_data` has set.
    unsafe { *handle.cast::<*mut Poll>() }
}
