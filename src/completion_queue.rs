//! What the I/O thread has for the JavaScript thread of one environment: finished calls, questions and warnings, and the
//! thread-safe function that calls that thread for all that has come since it was called last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{mem, ptr, vec};

use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::transport::{Answer, CompletionSink, Event, Finished, Pong, ResultBudget, Warning};
use napi::sys;

use crate::node_api::Engine;

/// Events that are kept for a thread that has no time for them; then the oldest are dropped.
const MAX_EVENTS: usize = 256;

/// The queue of one environment. `Q` is a question of the I/O thread to the JavaScript thread.
pub struct CompletionQueue<Q> {
    state: Mutex<QueueState<Q>>,
    /// What finished calls may bring before they are settled.
    results: Arc<ResultBudget>,
}

struct QueueState<Q> {
    /// What became of the questions of consoles.
    answers: Vec<ConsoleAnswer>,
    finished: Vec<Delivery>,
    questions: Vec<Q>,
    warnings: Vec<Warning>,
    events: VecDeque<NamedEvent>,
    pongs: Vec<(u32, Pong)>,
    /// The tokens of connections that have ended.
    closed: Vec<u32>,
    /// `None` before the environment is set up and after it has ended.
    function: Option<Function>,
    /// The JavaScript thread has been called and has not come yet.
    called: bool,
}

/// What became of a question of a console: its token, and the answer.
pub type ConsoleAnswer = (u32, Result<Answer, StoreError>);

/// What has come since it was taken last.
pub struct Arrived<Q> {
    /// What became of the questions of consoles.
    pub answers: Vec<ConsoleAnswer>,
    /// Calls that are over.
    pub finished: Vec<Delivery>,
    /// What the I/O thread wants to know.
    pub questions: Vec<Q>,
    /// What works and is likely wrong.
    pub warnings: Vec<Warning>,
    /// What happened to connections.
    pub events: VecDeque<NamedEvent>,
    /// What became of pings, by their tokens.
    pub pongs: Vec<(u32, Pong)>,
    /// The tokens of connections that have ended.
    pub closed: Vec<u32>,
}

/// What happened to a connection: the name of the event, and its fields as JSON.
pub struct NamedEvent(pub &'static str, pub String);

/// Calls that finished together. They stay together until they are settled: there may be a hundred thousand of them, which
/// would take the event loop's time to move.
pub struct Delivery {
    /// The calls that are left of it.
    pub calls: vec::IntoIter<Finished>,
    /// Whether any of them brought a snapshot.
    pub has_snapshot: bool,
}

#[derive(Clone, Copy)]
struct Function(sys::napi_threadsafe_function);

// SAFETY: N-API allows a thread-safe function to be called from any thread. It is used under the completion queue's lock only, and
// taken out of it before it is released.
unsafe impl Send for Function {}

impl<Q> Default for CompletionQueue<Q> {
    fn default() -> Self {
        let state = QueueState {
            answers: Vec::new(),
            finished: Vec::new(),
            questions: Vec::new(),
            warnings: Vec::new(),
            events: VecDeque::new(),
            pongs: Vec::new(),
            closed: Vec::new(),
            function: None,
            called: false,
        };
        Self { state: Mutex::new(state), results: Arc::default() }
    }
}

#[cfg(target_os = "linux")]
impl<Q> QueueState<Q> {
    fn has_any(&self) -> bool {
        !self.finished.is_empty()
            || !self.answers.is_empty()
            || !self.questions.is_empty()
            || !self.warnings.is_empty()
            || !self.events.is_empty()
            || !self.pongs.is_empty()
            || !self.closed.is_empty()
    }
}

impl<Q> CompletionQueue<Q> {
    /// A plain queue is valid at every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, QueueState<Q>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, something is delivered: by calling this function.
    ///
    /// # Safety
    /// The function exists until [`CompletionQueue::close`] releases it, and nothing else releases it.
    pub unsafe fn open(&self, function: sys::napi_threadsafe_function) {
        self.lock().function = Some(Function(function));
    }

    /// Calls the JavaScript thread, unless it is on its way already. The lock is held across the call, so that the
    /// environment cannot end in the middle of it.
    fn call(state: &mut QueueState<Q>) {
        if let Some(function) = state.function
            && !state.called
        {
            state.called = true;
            // SAFETY: the function has not been released, see `close`; non-blocking on an unbounded queue.
            unsafe {
                let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
                sys::napi_call_threadsafe_function(function.0, ptr::null_mut(), mode)
            };
        }
    }

    /// The JavaScript thread is here: it sees to what comes now by itself. False when it has been called already.
    #[cfg(target_os = "linux")]
    pub fn attend(&self) -> bool {
        !mem::replace(&mut self.lock().called, true)
    }

    /// Ends that. Whether something has come, for which the thread has not been called.
    #[cfg(target_os = "linux")]
    pub fn end_attending(&self) -> bool {
        let mut state = self.lock();
        state.called = state.has_any();
        state.called
    }

    /// The JavaScript thread could not see to what has come: calls it.
    #[cfg(target_os = "linux")]
    pub fn call_after_all(&self) {
        let mut state = self.lock();
        state.called = false;
        Self::call(&mut state);
    }

    /// Calls the JavaScript thread once more, for what it has not finished.
    pub fn call_again(&self) {
        Self::call(&mut self.lock());
    }

    /// The JavaScript thread has come: takes what there is.
    pub fn take(&self) -> Arrived<Q> {
        let mut state = self.lock();
        state.called = false;
        Arrived {
            answers: mem::take(&mut state.answers),
            finished: mem::take(&mut state.finished),
            questions: mem::take(&mut state.questions),
            warnings: mem::take(&mut state.warnings),
            events: mem::take(&mut state.events),
            pongs: mem::take(&mut state.pongs),
            closed: mem::take(&mut state.closed),
        }
    }

    /// Whether the environment has to wait for us before it may end.
    pub fn keep_alive(&self, engine: Engine, alive: bool) {
        let function = self.lock().function;
        if let Some(function) = function {
            // SAFETY: on the environment's own thread, with a function that only this thread releases.
            unsafe {
                if alive {
                    sys::napi_ref_threadsafe_function(engine.raw(), function.0)
                } else {
                    sys::napi_unref_threadsafe_function(engine.raw(), function.0)
                }
            };
        }
    }

    /// Hands over what became of a question of a console. When the environment has ended, it is dropped.
    pub fn answer(&self, answer: ConsoleAnswer) {
        let mut state = self.lock();
        if state.function.is_some() {
            state.answers.push(answer);
            Self::call(&mut state);
        }
    }

    /// Lets go of the JavaScript side: what is delivered from now on is dropped.
    pub fn close(&self) {
        let mut state = self.lock();
        if let Some(function) = state.function.take() {
            // SAFETY: under the lock that every caller holds, and taken out, so it is not called after this.
            unsafe {
                let mode = sys::ThreadsafeFunctionReleaseMode::abort;
                sys::napi_release_threadsafe_function(function.0, mode)
            };
        }
        state.answers.clear();
        state.finished.clear();
        state.questions.clear();
        state.warnings.clear();
        state.events.clear();
        state.pongs.clear();
        state.closed.clear();
    }

    /// A ping is over. When its environment has ended, nobody is told.
    pub fn ponged(&self, token: u32, pong: Pong) {
        let mut state = self.lock();
        if state.function.is_some() {
            state.pongs.push((token, pong));
            Self::call(&mut state);
        }
    }

    /// Asks something of the JavaScript thread. When its environment has ended, the question is dropped.
    pub fn ask(&self, question: Q) {
        let mut state = self.lock();
        if state.function.is_some() {
            state.questions.push(question);
            Self::call(&mut state);
        }
    }
}

impl<Q: Send> CompletionSink for CompletionQueue<Q> {
    fn deliver(&self, batch: Vec<Finished>) {
        let has_snapshot = batch.iter().any(Finished::has_snapshot);
        let delivery = Delivery { calls: batch.into_iter(), has_snapshot };
        let mut state = self.lock();
        if state.function.is_some() {
            state.finished.push(delivery);
            Self::call(&mut state);
        }
    }

    fn warn(&self, warning: Warning) {
        let mut state = self.lock();
        if state.function.is_some() {
            state.warnings.push(warning);
            Self::call(&mut state);
        }
    }

    fn event(&self, event: &Event) {
        let mut state = self.lock();
        if state.function.is_some() {
            if state.events.len() >= MAX_EVENTS {
                state.events.pop_front();
            }
            state.events.push_back(NamedEvent(event.name(), event.to_json()));
            Self::call(&mut state);
        }
    }

    fn closed(&self, token: u32) {
        let mut state = self.lock();
        if state.function.is_some() {
            state.closed.push(token);
            Self::call(&mut state);
        }
    }

    fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
        Some(&self.results)
    }
}
