//! A timer for a task that waits for many things at once and sets the nearest deadline anew at every poll.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// The timer. It may be early, never late: it is only moved forward, because the nearest moment changes all the time.
pub struct Timer(Pin<Box<Sleep>>);

impl Timer {
    /// A timer that is not set.
    pub fn new() -> Self {
        Self(Box::pin(sleep_until(Instant::now().into())))
    }

    /// Sets the timer; false when the moment has already come.
    pub fn sleep_until(&mut self, cx: &mut Context<'_>, moment: Option<Instant>) -> bool {
        let Some(moment) = moment else { return true };
        if self.0.is_elapsed() || self.0.deadline().into_std() > moment {
            self.0.as_mut().reset(moment.into());
        }
        if self.0.as_mut().poll(cx).is_pending() {
            return true;
        }
        self.0.as_mut().reset(moment.into());
        self.0.as_mut().poll(cx).is_pending()
    }
}
