//! Has the event loop say when an answer has come that its thread reads, with libuv's functions: N-API has none that wait for a
//! descriptor.

use std::rc::Rc;

use crate::environment::Environment;

/// Reads the answers to the lone calls of an environment on its own thread, where the system and the runtime allow that. `settle`
/// settles what has come, in a callback scope.
#[cfg(target_os = "linux")]
pub fn start(environment: &Rc<Environment>, settle: impl Fn() + 'static) {
    if let Some(watch) = linux::start(environment, Box::new(settle)) {
        environment.outbox.read_answers_by(watch);
    }
}

/// The I/O thread reads all answers.
#[cfg(not(target_os = "linux"))]
pub fn start(_: &Rc<Environment>, _: impl Fn() + 'static) {}

#[cfg(target_os = "linux")]
mod linux;
