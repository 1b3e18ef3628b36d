//! The one I/O thread of the process, shared by all stores of all JavaScript threads. Should it end, because somebody closed
//! its descriptors, what runs on it ends with it, and the next call starts another.
//!
//! Another thread may visit a task that allows it: go on with what can be done at once, without waiting for the thread to wake up.
//! Neither thread waits for the other: the I/O thread passes over a task that is being visited, and is woken for it afterwards.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{mem, thread};

use slab::Slab;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use super::answer_watch::AnswerWatch;
use crate::error::StoreError;
use crate::error_texts::calls as texts;

/// So that a task that panics at once does not do so in a tight loop.
const PAUSE_AFTER_PANIC: Duration = Duration::from_millis(100);

thread_local! {
    /// Present while this thread visits a task.
    static VISIT: RefCell<Option<Visit>> = const { RefCell::new(None) };
}

/// Present while the thread runs, which it does until the process ends: a runtime that sleeps costs nothing, and a static
/// survives the end of the worker thread that happened to start it.
static CURRENT: Mutex<Option<Arc<IoThread>>> = Mutex::new(None);

/// What the thread begins with.
static AT_START: OnceLock<fn()> = OnceLock::new();

/// The I/O thread.
struct IoThread {
    handle: Handle,
    /// What runs on it, to be dropped when it has ended.
    tasks: Mutex<Slab<Arc<Task>>>,
    /// Ends it.
    ending: Notify,
    has_ended: AtomicBool,
}

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that runs on the thread.
struct Task {
    /// `None` when it is over.
    future: Mutex<Option<TaskFuture>>,
    /// The I/O thread has passed over it because it was being visited.
    was_passed_over: AtomicBool,
}

impl Task {
    /// The future, unless it is being polled.
    fn try_lock(&self) -> Option<MutexGuard<'_, Option<TaskFuture>>> {
        match self.future.try_lock() {
            Ok(future) => Some(future),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Has the visit that is under way wake the task when it ends, unless that has just ended. The fence is one of two: either it is
    /// seen here that the lock is free, or in [`Task::end_visit`] that somebody was here.
    fn pass_over(&self) -> Option<MutexGuard<'_, Option<TaskFuture>>> {
        self.was_passed_over.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.try_lock()
    }

    /// To be called when a visitor has unlocked the future. Whether the I/O thread has passed over it.
    fn end_visit(&self) -> bool {
        fence(Ordering::SeqCst);
        self.was_passed_over.swap(false, Ordering::SeqCst)
    }
}

/// A task is being polled by another thread than the I/O thread.
struct Visit {
    /// What the thread reads answers by.
    watch: Option<Rc<AnswerWatch>>,
    /// What the visit leaves for the I/O thread.
    left: Left,
}

/// What is left to be done when a visit is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The task has to be polled by the I/O thread.
    Poll,
    /// Nothing: the task waits for what it has left its waker with.
    Nothing,
}

/// A task, to be visited by other threads.
#[derive(Clone)]
pub struct TaskHandle {
    task: Weak<Task>,
    handle: Handle,
}

impl TaskHandle {
    /// Polls the task on this thread, unless it is being polled, and wakes it for the I/O thread if anything is left for that. `watch` is
    /// what this thread reads answers by, and `waker` the task's own.
    pub fn visit(&self, waker: Waker, watch: Option<Rc<AnswerWatch>>) {
        let left = self.task.upgrade().map_or(Left::Poll, |task| {
            let left = self.poll(&task, &waker, watch);
            if task.end_visit() { Left::Poll } else { left }
        });
        if left == Left::Poll {
            wake(waker);
        }
    }

    fn poll(&self, task: &Task, waker: &Waker, watch: Option<Rc<AnswerWatch>>) -> Left {
        let Some(mut slot) = task.try_lock() else { return Left::Poll };
        let Some(future) = &mut *slot else { return Left::Poll };
        let _context = self.handle.enter();
        let before = VISIT.replace(Some(Visit { watch, left: Left::Poll }));
        let _end = OnDrop(Some(move || drop(VISIT.replace(before))));
        if future.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
            *slot = None;
        }
        VISIT.with_borrow(|visit| visit.as_ref().map_or(Left::Poll, |visit| visit.left))
    }
}

/// Whether a task is polled by a thread that visits it. It has to do what it can at once, and leave all else to the I/O thread.
pub fn is_visited() -> bool {
    VISIT.with_borrow(Option::is_some)
}

/// What the thread that visits a task reads answers by, if it does.
pub fn visitor_watch() -> Option<Rc<AnswerWatch>> {
    VISIT.with_borrow(|visit| visit.as_ref()?.watch.clone())
}

/// To be called by a task that is visited and has left its waker with all that it waits for: the I/O thread need not be woken.
pub fn leave_nothing() {
    VISIT.with_borrow_mut(|visit| {
        if let Some(visit) = visit {
            visit.left = Left::Nothing;
        }
    });
}

/// What is not for visitors: it runs on the I/O thread alone.
pub async fn not_visited<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| if is_visited() { Poll::Pending } else { future.as_mut().poll(cx) }).await
}

/// Has every I/O thread that is started from now on begin with this; what was said first counts.
pub fn at_io_thread_start(action: fn()) {
    AT_START.get_or_init(|| action);
}

/// A task as the runtime polls it.
struct Running {
    thread: Arc<IoThread>,
    task: Arc<Task>,
    key: usize,
}

/// Every value behind these locks is valid at every step, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs tasks on the I/O thread, which is started when it is not there. Should a task panic, another one of the same making
/// takes its place. Should the thread end before the task, `abandoned` is called, after the task was dropped.
///
/// A current-thread runtime: with a multi-threaded one, even of one worker, every command becomes a system call of its own.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn<T>(
    make: impl Fn() -> T + Send + 'static,
    abandoned: impl FnOnce() + Send + 'static,
) -> Result<TaskHandle, StoreError>
where
    T: Future<Output = ()> + Send + 'static,
{
    let thread = current().map_err(cannot_start)?;
    let end = OnDrop(Some(abandoned));
    let task = thread.run(async move {
        while catch_panic(pin!(make())).await.is_err() {
            not_visited(async { tokio::time::sleep(PAUSE_AFTER_PANIC).await }).await;
        }
        end.disarm();
    });
    Ok(TaskHandle { task: Arc::downgrade(&task), handle: thread.handle.clone() })
}

/// Wakes a task from another thread. When that fails, the I/O thread can't be reached any more and is given up: by a thread that visits
/// a task when it wakes that afterwards, because it holds the task's lock until then.
pub fn wake(waker: Waker) {
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() && !is_visited() {
        let current = lock(&CURRENT).clone();
        if let Some(thread) = current {
            thread.end();
        }
    }
}

/// To be called on the I/O thread when something could not be opened: ends the thread if that is so because it has lost the
/// descriptor by which it opens anything.
pub fn check_after(error: &io::Error) {
    #[cfg(unix)]
    if is_lost_descriptor(error) && tokio::net::UnixStream::pair().is_err_and(|error| is_lost_descriptor(&error)) {
        let current = lock(&CURRENT).clone();
        if let Some(thread) = current {
            thread.ending.notify_one();
        }
    }
    #[cfg(not(unix))]
    let _ = error;
}

/// Whether an error is what a poll says whose descriptor was closed (`EBADF`), or has become something else since (`EINVAL`).
#[cfg(unix)]
fn is_lost_descriptor(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    const EINVAL: i32 = 22;
    matches!(error.raw_os_error(), Some(EBADF | EINVAL))
}

/// Runs what the HTTP client has to run besides its requests.
#[derive(Clone)]
pub struct Executor;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        // Without the thread, whatever wanted this has been dropped.
        if let Ok(thread) = current() {
            thread.run(future);
        }
    }
}

/// The thread; starts it if it is not there.
fn current() -> io::Result<Arc<IoThread>> {
    let mut current = lock(&CURRENT);
    if let Some(thread) = &*current {
        return Ok(thread.clone());
    }
    Ok(current.insert(IoThread::start()?).clone())
}

impl IoThread {
    fn start() -> io::Result<Arc<IoThread>> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let thread = Arc::new(IoThread {
            handle: runtime.handle().clone(),
            tasks: Mutex::default(),
            ending: Notify::new(),
            has_ended: AtomicBool::new(false),
        });
        let started = thread.clone();
        thread::Builder::new().name("idioteque-redis".into()).spawn(move || {
            if let Some(action) = AT_START.get() {
                action();
            }
            // Ends by a panic when the runtime can't wait for events any more.
            let _ = catch_unwind(AssertUnwindSafe(|| runtime.block_on(started.ending.notified())));
            started.end();
            // Dropping it would close its descriptors, whose numbers may be somebody else's by now.
            mem::forget(runtime);
        })?;
        Ok(thread)
    }

    fn run(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) -> Arc<Task> {
        let task =
            Arc::new(Task { future: Mutex::new(Some(Box::pin(future))), was_passed_over: AtomicBool::new(false) });
        let key = lock(&self.tasks).insert(task.clone());
        let running = Running { thread: self.clone(), task: task.clone(), key };
        let is_started = catch_unwind(AssertUnwindSafe(|| drop(self.handle.spawn(running)))).is_ok();
        if !is_started || self.has_ended.load(Ordering::SeqCst) {
            self.end();
        }
        task
    }

    /// Lets the next call start another thread, and drops what ran on this one.
    fn end(self: &Arc<Self>) {
        lock(&CURRENT).take_if(|current| Arc::ptr_eq(current, self));
        self.has_ended.store(true, Ordering::SeqCst);
        let tasks: Vec<Arc<Task>> = lock(&self.tasks).iter().map(|(_, task)| task.clone()).collect();
        for task in tasks {
            let future = lock(&task.future).take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
        }
    }
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // To wait for a visit to end would hold up all other tasks.
        let Some(mut slot) = self.task.try_lock().or_else(|| self.task.pass_over()) else { return Poll::Pending };
        let Some(future) = &mut *slot else { return Poll::Ready(()) };
        std::task::ready!(future.as_mut().poll(cx));
        let over = slot.take();
        drop(slot);
        drop(over);
        Poll::Ready(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.thread.tasks).try_remove(self.key);
    }
}

/// What is to be called when it is dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// A future that ends with the panic it ended with, if it did.
fn catch_panic<F: Future>(mut future: Pin<&mut F>) -> impl Future<Output = Result<F::Output, Box<dyn Any + Send>>> {
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
}

fn cannot_start(error: io::Error) -> StoreError {
    texts::no_thread().caused_by(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn another_task_takes_the_place_of_one_that_panicked() {
        let (done, is_done) = mpsc::channel();
        let runs = AtomicU32::new(0);
        let make = move || {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            let done = done.clone();
            async move {
                tokio::task::yield_now().await;
                assert!(run > 0, "the first run panics, as this test wants it to");
                done.send(run).unwrap();
            }
        };
        spawn(make, || unreachable!("the thread goes on")).unwrap();
        assert_eq!(is_done.recv_timeout(LONG), Ok(1));
    }

    #[test]
    fn a_visitor_goes_on_with_a_task_and_leaves_what_is_not_for_visitors() {
        let here = thread::current().id();
        let (polled, polls) = mpsc::channel();
        let (begin, begins) = mpsc::channel::<Waker>();
        let make = move || {
            let (polled, begin) = (polled.clone(), begin.clone());
            let inner = polled.clone();
            async move {
                poll_fn(|cx| {
                    polled.send(("before", thread::current().id() == here, is_visited())).unwrap();
                    if is_visited() {
                        return Poll::Ready(());
                    }
                    begin.send(cx.waker().clone()).unwrap();
                    Poll::Pending
                })
                .await;
                not_visited(async { inner.send(("behind", thread::current().id() == here, is_visited())).unwrap() })
                    .await;
            }
        };
        let task = spawn(make, || unreachable!("the thread goes on")).unwrap();
        let waker = begins.recv_timeout(LONG).unwrap();
        assert_eq!(polls.recv_timeout(LONG), Ok(("before", false, false)));
        // The I/O thread may still be in that poll, which is then not visited.
        let begin = Instant::now();
        while polls.try_recv() != Ok(("before", true, true)) {
            assert!(begin.elapsed() < LONG, "the task could never be visited");
            task.visit(waker.clone(), None);
        }
        assert!(!is_visited());
        wake(waker);
        assert_eq!(polls.recv_timeout(LONG), Ok(("behind", false, false)));
    }

    #[test]
    fn a_task_with_nothing_left_after_a_visit_is_woken_only_if_the_thread_passed_over_it() {
        /// Waits until the I/O thread has done what it was woken for before.
        fn wait_for_the_thread() {
            let (ran, has_run) = mpsc::channel();
            let make = move || {
                ran.send(()).unwrap();
                std::future::ready(())
            };
            spawn(make, || ()).unwrap();
            has_run.recv_timeout(LONG).unwrap();
        }

        let (polled, polls) = mpsc::channel::<Option<Waker>>();
        let is_passed_over = Arc::new(AtomicBool::new(false));
        let passes_over = is_passed_over.clone();
        let make = move || {
            let (polled, passes_over) = (polled.clone(), passes_over.clone());
            poll_fn(move |cx| {
                polled.send((!is_visited()).then(|| cx.waker().clone())).unwrap();
                if is_visited() {
                    leave_nothing();
                    if passes_over.load(Ordering::SeqCst) {
                        cx.waker().wake_by_ref();
                        wait_for_the_thread();
                    }
                }
                Poll::Pending
            })
        };
        let task = spawn(make, || unreachable!("the thread goes on")).unwrap();
        let waker = polls.recv_timeout(LONG).unwrap().expect("the I/O thread is first");
        wait_for_the_thread();

        task.visit(waker.clone(), None);
        wait_for_the_thread();
        assert!(polls.try_recv().unwrap().is_none());
        assert!(polls.try_recv().is_err(), "it was woken");

        is_passed_over.store(true, Ordering::SeqCst);
        task.visit(waker, None);
        assert!(polls.recv_timeout(LONG).unwrap().is_none());
        assert!(polls.recv_timeout(LONG).expect("it was passed over for good").is_some());
    }

    #[test]
    fn what_ran_on_a_thread_that_ended_is_dropped_and_nothing_is_started_on_it() {
        let thread = IoThread::start().unwrap();
        let (dropped, is_dropped) = mpsc::channel();
        let guarded = |name: &'static str| {
            let dropped = dropped.clone();
            let guard = OnDrop(Some(move || dropped.send(name).unwrap()));
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        };
        thread.run(guarded("before"));
        thread.ending.notify_one();
        assert_eq!(is_dropped.recv_timeout(LONG), Ok("before"));
        thread.run(guarded("after"));
        assert_eq!(is_dropped.recv_timeout(LONG), Ok("after"));
    }
}
