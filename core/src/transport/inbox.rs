//! The queue between the JavaScript threads and the I/O thread.

use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::answer_watch::AnswerWatch;
use super::closer::Closer;
use super::observed::Observed;
use super::ping::Ping;
use super::request::Request;
use super::runtime;
use super::runtime::TaskHandle;

/// The most bytes of arguments that a thread sends by itself. More would take its time instead of the I/O thread's.
const MAX_VISIT_BYTES: usize = 4 * 1024;

/// The queue between the JavaScript threads and the I/O thread.
pub(super) struct Inbox {
    pub(super) state: Mutex<InboxState>,
    /// What can be seen of the connection.
    pub(super) observed: Arc<Observed>,
}

#[derive(Default)]
pub(super) struct InboxState {
    pub(super) requests: Vec<Request>,
    pub(super) pings: Vec<Ping>,
    /// Slots of a cluster whose calls a router wants back.
    pub(super) recalled: Vec<u16>,
    pub(super) closed: bool,
    /// Who waits for the connection to have ended. Told when the last handle of this inbox is dropped.
    pub(super) closer: Option<Arc<Closer>>,
    /// Its driver has ended with the I/O thread: nothing takes what is in it.
    pub(super) abandoned: bool,
    /// Present while the driver sleeps: the sender that takes it wakes the driver, so that a busy driver costs no system call.
    pub(super) sleeper: Option<Sleeper>,
    /// The driver's task, if it may be visited.
    pub(super) task: Option<TaskHandle>,
}

/// A driver that sleeps.
pub(super) struct Sleeper {
    waker: Waker,
    pub(super) idle: Idle,
}

/// Whether a driver could send a call at once, with nothing else to be done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// Its connection is in use, and nothing is under way on it.
    Yes,
    /// Something is under way, or it has no connection.
    No,
}

impl InboxState {
    fn is_one_small_call(&self) -> bool {
        matches!(&self.requests[..], [request] if request.call.size() <= MAX_VISIT_BYTES)
    }
}

impl Inbox {
    /// An empty one.
    pub(super) fn new(observed: Arc<Observed>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), observed })
    }

    /// The state is a plain queue, valid at every step, so a panic elsewhere does not spoil it.
    pub(super) fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what has arrived, and notes whether the last handle has been dropped. The driver is awake then: until it leaves word
    /// again, it has to look once more by itself.
    pub(super) fn take(&self, closed: &mut bool) -> Vec<Request> {
        let mut state = self.lock();
        *closed = state.closed;
        state.sleeper = None;
        mem::take(&mut state.requests)
    }

    /// Takes out the pings that have arrived.
    pub(super) fn take_pings(&self) -> Vec<Ping> {
        mem::take(&mut self.lock().pings)
    }

    /// Takes out the slots whose calls are wanted back.
    pub(super) fn take_recalled(&self) -> Vec<u16> {
        mem::take(&mut self.lock().recalled)
    }

    /// Who waits for the connection to have ended, if anybody does.
    pub(super) fn closer(&self) -> Option<Arc<Closer>> {
        self.lock().closer.clone()
    }

    /// Leaves word to be woken when something arrives; false when something has, which must be taken in first. `closed` is
    /// what was noted last.
    pub(super) fn register_waker(&self, closed: bool, idle: Idle, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        let is_empty = state.requests.is_empty() && state.pings.is_empty() && state.recalled.is_empty();
        if !is_empty || state.closed != closed {
            return false;
        }
        state.sleeper = Some(Sleeper { waker: cx.waker().clone(), idle });
        true
    }

    /// Changes what is in it, and wakes the driver if it sleeps.
    pub(super) fn change(&self, change: impl FnOnce(&mut InboxState)) {
        self.change_watching(None, change);
    }

    /// Changes what is in it, and wakes the driver if it sleeps. A small call by itself, for a connection that is idle, is sent by the
    /// thread that makes it, and its answer read by that with `watch`: the I/O thread may take longer to wake up than the server to
    /// answer.
    pub(super) fn change_watching(&self, watch: Option<&Rc<AnswerWatch>>, change: impl FnOnce(&mut InboxState)) {
        let mut state = self.lock();
        change(&mut state);
        let Some(Sleeper { waker, idle }) = state.sleeper.take() else { return };
        let visited = if idle == Idle::Yes && state.is_one_small_call() { state.task.clone() } else { None };
        drop(state);
        match visited {
            Some(task) => task.visit(waker, watch.cloned()),
            None => runtime::wake(waker),
        }
    }

    /// Something has come that a thread watches for: has it read by the driver, unless that is awake and reads it anyway.
    #[cfg(target_os = "linux")]
    pub(super) fn visit(&self, watch: &Rc<AnswerWatch>) {
        let mut state = self.lock();
        let Some(task) = state.task.clone() else { return };
        let Some(Sleeper { waker, .. }) = state.sleeper.take() else { return };
        drop(state);
        task.visit(waker, Some(watch.clone()));
    }

    /// The driver has ended with the I/O thread: what it has not taken is answered with an error.
    pub(super) fn abandon(&self) {
        drop(self.give_up());
    }

    /// There is no driver: takes out what it would have taken.
    pub(super) fn give_up(&self) -> Vec<Request> {
        let mut state = self.lock();
        (state.abandoned, state.sleeper) = (true, None);
        let (requests, pings) = (mem::take(&mut state.requests), mem::take(&mut state.pings));
        drop(state);
        drop(pings);
        requests
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::transport::target::test_target;

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn only_a_driver_that_sleeps_is_woken() {
        let inbox = Inbox::new(Arc::new(Observed::new(&test_target().settings)));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let sleeps = || inbox.register_waker(false, Idle::No, &Context::from_waker(&waker));
        let wakes_it = || {
            let before = wakes.0.load(Ordering::SeqCst);
            inbox.change(|state| state.recalled.push(1));
            wakes.0.load(Ordering::SeqCst) > before
        };
        assert!(sleeps());
        assert!(wakes_it() && !wakes_it());
        // It has not taken what came.
        assert!(!sleeps());
        inbox.take_recalled();
        assert!(sleeps());
        inbox.take(&mut false);
        assert!(!wakes_it(), "something else has woken it");
    }
}
