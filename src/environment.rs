//! What one JavaScript environment (the main thread, a worker thread, a vm context) keeps: the calls that
//! are pending, and the completion queue through which the I/O thread reaches it.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use idioteque_redis_core::store::prefetch_policy::Depth;
use idioteque_redis_core::store::recency::Begun;
use idioteque_redis_core::store::{Call, ExecutionHash, Operation};
use idioteque_redis_core::transport::{Closer, SharedConnection};
use napi::sys;
use slab::Slab;

use crate::adopted_client::{AdoptedClients, SettingsQuestion};
use crate::completion_queue::CompletionQueue;
use crate::native_store::NativeStore;
use crate::node_api::{Deferred, Engine, EnvHandle, Thrown, Value};
use crate::outbox::Outbox;
use crate::ownership::Ownership;
use crate::read_ahead::ReadAhead;

/// One environment. JavaScript thread only, like everything that is not behind the completion queue's lock.
pub struct Environment {
    /// What may be kept beyond the environment's end.
    pub handle: EnvHandle,
    /// Where the I/O thread puts finished calls.
    pub completions: Arc<CompletionQueue<SettingsQuestion>>,
    /// The questions of consoles that have no answer yet; a question's place is its token.
    questions: RefCell<Slab<(Deferred, Rc<NativeStore>)>>,
    /// The calls that are pending; a call's place is its token.
    pub calls: RefCell<Slab<PendingPromise>>,
    /// The stores whose connections are being closed; a store's place is the token.
    closing: RefCell<Slab<Rc<NativeStore>>>,
    /// The pings that have no answer; a ping's place is its token.
    pub pings: RefCell<Slab<(Deferred, Rc<NativeStore>)>>,
    /// What is known in this turn of the event loop.
    pub turn: Rc<ReadAhead>,
    /// What is sent when that is over.
    pub outbox: Rc<Outbox>,
    /// What the functions of stores keep alive.
    pub ownership: Ownership,
    /// Room for the arguments of the call being made.
    pub scratch: RefCell<Vec<u8>>,
    /// The clients whose settings stores use.
    pub clients: AdoptedClients,
}

/// A promise that is not settled yet.
pub struct PendingPromise {
    /// The promise.
    pub deferred: Deferred,
    /// The store it was asked of.
    pub store: Rc<NativeStore>,
    /// The database it was made for.
    pub database: u32,
    /// What had happened to its execution when it was asked.
    pub begun: Begun,
    /// Bytes of its arguments.
    pub bytes: usize,
    /// The call that could have carried it, if it is a question that was asked behind another call.
    pub behind: Option<(Operation, Depth)>,
    /// Whether another call about its execution was made just before it, in the same turn.
    pub is_beside: bool,
    /// Its number if it is traced.
    pub trace: Option<u32>,
}

impl Environment {
    /// The environment of the current callback, set up when this is its first call. `connect` then opens its completion queue.
    pub fn current(
        engine: Engine,
        after_turn: Value,
        connect: impl FnOnce(&Rc<Environment>) -> Result<(), Thrown>,
    ) -> Result<Rc<Environment>, Thrown> {
        Self::existing(engine).map_or_else(|| Self::set_up(engine, after_turn, connect), Ok)
    }

    /// The environment of the current callback, if it has been set up.
    fn existing(engine: Engine) -> Option<Rc<Environment>> {
        let mut data = ptr::null_mut();
        // SAFETY: on the environment's own thread; the out pointer is valid.
        unsafe { sys::napi_get_instance_data(engine.raw(), &mut data) };
        if data.is_null() {
            return None;
        }
        // SAFETY: the instance data is only ever the `Rc` that `set_up` leaves there, which stays until the environment ends;
        // the count is raised for the copy that is handed out.
        unsafe {
            Rc::increment_strong_count(data.cast::<Environment>());
            Some(Rc::from_raw(data.cast::<Environment>()))
        }
    }

    fn set_up(
        engine: Engine,
        after_turn: Value,
        connect: impl FnOnce(&Rc<Environment>) -> Result<(), Thrown>,
    ) -> Result<Rc<Environment>, Thrown> {
        let handle = EnvHandle::new(engine);
        let outbox = Outbox::new(&handle, after_turn)?;
        let environment = Rc::new(Environment {
            completions: Arc::new(CompletionQueue::default()),
            questions: RefCell::default(),
            calls: RefCell::default(),
            closing: RefCell::default(),
            pings: RefCell::default(),
            turn: ReadAhead::new(&handle, after_turn, outbox.clone())?,
            outbox,
            ownership: Ownership::new(&handle)?,
            clients: RefCell::default(),
            scratch: RefCell::default(),
            handle,
        });
        connect(&environment)?;
        // SAFETY: on the environment's own thread. The hook runs before the thread-safe function's own, because it was
        // registered after `connect` made that, and before the instance data is finalised. Both own a count of the `Rc` until then.
        unsafe {
            let hook = Rc::into_raw(environment.clone()).cast_mut().cast::<c_void>();
            sys::napi_add_env_cleanup_hook(engine.raw(), Some(end), hook);
            let data = Rc::into_raw(environment.clone()).cast_mut().cast::<c_void>();
            sys::napi_set_instance_data(engine.raw(), data, Some(finalise), ptr::null_mut());
        }
        Ok(environment)
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        self.handle.engine()
    }

    /// Notes a pending call, and keeps the process alive for it. Returns its token.
    pub fn begin_call(
        &self,
        deferred: Deferred,
        store: Rc<NativeStore>,
        (call, execution): (&Call, ExecutionHash),
        (behind, is_beside): (Option<(Operation, Depth)>, bool),
        trace: Option<u32>,
    ) -> u32 {
        self.begin_waiting();
        let mut calls = self.calls.borrow_mut();
        // `maxPending` keeps a store far below 2³² calls.
        let (database, begun, bytes) = (store.database(), self.turn.begin_call(execution), call.size());
        calls.insert(PendingPromise { deferred, store, database, begun, bytes, behind, is_beside, trace }) as u32
    }

    /// Notes a question of a console, and keeps the process alive for it. Returns its token.
    pub fn begin_question(&self, deferred: Deferred, store: Rc<NativeStore>) -> u32 {
        self.begin_waiting();
        self.questions.borrow_mut().insert((deferred, store)) as u32
    }

    /// Takes a question of a console.
    pub fn end_question(&self, token: u32) -> Option<(Deferred, Rc<NativeStore>)> {
        let question = self.questions.borrow_mut().try_remove(token as usize);
        self.end_waiting();
        question
    }

    /// The store of a pending call.
    pub fn store_of(&self, token: u32) -> Option<Rc<NativeStore>> {
        self.calls.borrow().get(token as usize).map(|pending| pending.store.clone())
    }

    /// Takes a pending call, and lets the process end if it was the last.
    pub fn end_call(&self, token: u32) -> Option<PendingPromise> {
        let call = self.calls.borrow_mut().try_remove(token as usize);
        self.end_waiting();
        call
    }

    /// The last call of a store that was closed is over: lets go of its connection, and keeps the process alive until that has
    /// ended.
    pub fn begin_closing(&self, store: Rc<NativeStore>, connection: Arc<SharedConnection>, quiet: bool) {
        self.begin_waiting();
        let token = self.closing.borrow_mut().insert(store) as u32;
        connection.close(Closer::new(self.completions.clone(), token, quiet));
    }

    /// The connection of a store that was closed has ended.
    pub fn end_closing(&self, token: u32) {
        let store = self.closing.borrow_mut().try_remove(token as usize);
        self.end_waiting();
        if let Some(store) = store {
            store.closed();
        }
    }

    /// Notes a ping, and keeps the process alive for it. Returns its token.
    pub fn begin_ping(&self, deferred: Deferred, store: Rc<NativeStore>) -> u32 {
        self.begin_waiting();
        self.pings.borrow_mut().insert((deferred, store)) as u32
    }

    /// Takes a ping that is over.
    pub fn end_ping(&self, token: u32) -> Option<(Deferred, Rc<NativeStore>)> {
        let ping = self.pings.borrow_mut().try_remove(token as usize);
        self.end_waiting();
        ping
    }

    fn is_waiting(&self) -> bool {
        !self.questions.borrow().is_empty()
            || !self.calls.borrow().is_empty()
            || !self.closing.borrow().is_empty()
            || !self.pings.borrow().is_empty()
    }

    /// To be called before there is something to wait for.
    fn begin_waiting(&self) {
        if !self.is_waiting() {
            self.completions.keep_alive(self.engine(), true);
        }
    }

    /// To be called when something is over that was waited for.
    fn end_waiting(&self) {
        if !self.is_waiting() {
            self.completions.keep_alive(self.engine(), false);
        }
    }
}

/// `forget(executionId)`, made with a share of nothing, for stores over a client's own methods: called when they begin a write
/// and when they settle a call. Read-ahead of this environment's other stores must not answer with something older. Where there
/// are none, nothing is set up for it.
///
/// # Safety
/// Called by N-API as a function made with a share of `()`.
pub unsafe extern "C" fn forget(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, _: &Rc<()>, [id, ..]| {
            if let Some(environment) = Environment::existing(engine) {
                let mut text = environment.scratch.take();
                text.clear();
                if engine.append_text(id, &mut text) {
                    environment.turn.forget(ExecutionHash::of(&text));
                }
                environment.scratch.replace(text);
            }
            Ok(engine.undefined())
        })
    }
}

/// The environment ends: nothing may reach it any more.
///
/// # Safety
/// Called by N-API, once, with the `Rc` that `set_up` left.
unsafe extern "C" fn end(data: *mut c_void) {
    // SAFETY: see above.
    let environment = unsafe { Rc::from_raw(data.cast::<Environment>()) };
    environment.handle.end();
    environment.completions.close();
    // The promises can no longer be settled. Dropping their stores closes connections that nothing else uses.
    environment.turn.end();
    environment.outbox.clear();
    drop(environment.questions.take());
    let (calls, closing, pings) = (environment.calls.take(), environment.closing.take(), environment.pings.take());
    drop((calls, closing, pings));
}

/// # Safety
/// Called by N-API, once, with the `Rc` that `set_up` left.
unsafe extern "C" fn finalise(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: see above.
    drop(unsafe { Rc::from_raw(data.cast::<Environment>()) });
}
