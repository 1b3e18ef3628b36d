//! The one I/O thread of the process, shared by all stores of all JavaScript threads.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::error::StoreError;
use crate::error_texts::calls as texts;

/// So that a task that panics at once does not do so in a tight loop.
const PAUSE_AFTER_PANIC: Duration = Duration::from_millis(100);

/// Present once the thread runs. It runs until the process ends: a runtime that sleeps costs nothing, and a static
/// survives the end of the worker thread that happened to start it.
static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);

/// Runs tasks on the I/O thread, which is started when it is not yet there. Should a task panic, another one of the same
/// making takes its place.
///
/// A current-thread runtime: with a multi-threaded one, even of one worker, every command becomes a system call of its own.
pub fn spawn<T>(make: impl Fn() -> T + Send + 'static) -> Result<(), StoreError>
where
    T: Future<Output = ()> + Send + 'static,
{
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let handle = match &*runtime {
        Some(handle) => handle.clone(),
        None => runtime.insert(start().map_err(cannot_start)?).clone(),
    };
    handle.clone().spawn(async move {
        while handle.spawn(make()).await.is_err_and(|error| error.is_panic()) {
            tokio::time::sleep(PAUSE_AFTER_PANIC).await;
        }
    });
    Ok(())
}

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("idioteque-redis".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

fn cannot_start(error: std::io::Error) -> StoreError {
    texts::no_thread().caused_by(error.to_string())
}
