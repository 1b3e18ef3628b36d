//! A timer for a task that waits for many things at once and sets the nearest deadline anew at every poll.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// The timer. It may be early, never late: it is only moved forward, because the nearest moment changes all the time.
pub struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When it wakes the task; `None` when it does not.
    wakes_at: Option<Instant>,
}

impl Timer {
    /// A timer that is not set.
    pub fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now().into())), wakes_at: None }
    }

    /// Sets the timer; false when the moment has already come.
    pub fn sleep_until(&mut self, cx: &mut Context<'_>, moment: Option<Instant>) -> bool {
        let Some(moment) = moment else {
            // It may be set to what has come to nothing.
            self.wakes_at = self.wakes_at.filter(|_| self.sleep.as_mut().poll(cx).is_pending());
            return true;
        };
        if !self.wakes_by(Some(moment)) {
            self.sleep.as_mut().reset(moment.into());
            self.wakes_at = Some(moment);
        }
        if self.sleep.as_mut().poll(cx).is_pending() {
            return true;
        }
        self.sleep.as_mut().reset(moment.into());
        self.wakes_at = Some(moment).filter(|_| self.sleep.as_mut().poll(cx).is_pending());
        self.wakes_at.is_some()
    }

    /// Whether the task is woken in time for a moment without setting it anew.
    pub fn wakes_by(&self, moment: Option<Instant>) -> bool {
        moment.is_none_or(|moment| self.wakes_at.is_some_and(|at| at <= moment))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_wakes_by_what_it_was_set_to_until_that_has_passed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut cx = Context::from_waker(Waker::noop());
            let (soon, begin) = (Duration::from_millis(20), Instant::now());
            let mut timer = Timer::new();
            assert!(timer.wakes_by(None) && !timer.wakes_by(Some(begin + soon)));
            let at = begin + 2 * soon;
            assert!(timer.sleep_until(&mut cx, Some(at)));
            assert!(timer.wakes_by(Some(at)) && timer.wakes_by(Some(at + soon)) && !timer.wakes_by(Some(at - soon)));
            // What it was set to has come to nothing, and it wakes all the same.
            assert!(timer.sleep_until(&mut cx, None) && timer.wakes_by(Some(at)));
            tokio::time::sleep(4 * soon).await;
            assert!(timer.sleep_until(&mut cx, None) && !timer.wakes_by(Some(at + soon)));
            let later = Instant::now() + 60 * soon;
            assert!(timer.sleep_until(&mut cx, Some(later)) && timer.wakes_by(Some(later)));
        });
    }
}
