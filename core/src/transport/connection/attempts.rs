//! Attempts to connect, which overlap: one whose packets were lost waits ever longer before it repeats them, and must not
//! keep a network that works again waiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::connect::Connected;
use crate::transport::error::ConnectError;
use crate::transport::timer::Timer;

/// An attempt that has taken this long is joined by another one. Each ends by itself at its own time limit.
const OVERLAP: Duration = Duration::from_millis(1500);
/// Attempts at a time: with a long time limit, a server that takes connections and does not answer must not collect them.
const MAX_ATTEMPTS: usize = 3;

type Outcome = Result<Connected, ConnectError>;

/// The attempts that are under way.
pub struct Attempts {
    open: Vec<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    next_at: Instant,
    alarm: Timer,
}

impl Attempts {
    /// None yet.
    pub fn new() -> Self {
        Self { open: Vec::new(), next_at: Instant::now(), alarm: Timer::new() }
    }

    /// What the next one to end comes to. Makes new ones as they are due.
    pub fn poll<A>(&mut self, cx: &mut Context<'_>, now: Instant, make: impl Fn() -> A) -> Poll<Outcome>
    where
        A: Future<Output = Outcome> + Send + 'static,
    {
        loop {
            if self.open.is_empty() || (self.next_at <= now && self.open.len() < MAX_ATTEMPTS) {
                self.open.push(Box::pin(make()));
                self.next_at = now + OVERLAP;
            }
            for index in 0..self.open.len() {
                if let Poll::Ready(outcome) = self.open[index].as_mut().poll(cx) {
                    drop(self.open.swap_remove(index));
                    return Poll::Ready(outcome);
                }
            }
            let next_at = (self.open.len() < MAX_ATTEMPTS).then_some(self.next_at);
            if self.alarm.sleep_until(cx, next_at) {
                return Poll::Pending;
            }
        }
    }

    /// Whether any is under way.
    pub fn any(&self) -> bool {
        !self.open.is_empty()
    }

    /// Drops all of them: there is a connection, or the server refused us for good.
    pub fn end(&mut self) {
        self.open.clear();
    }
}
