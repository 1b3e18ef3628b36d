//! Attempts to connect, which overlap: one whose packets were lost waits ever longer before it repeats them, and must not
//! keep a network that works again waiting.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::connect::Connected;
use crate::transport::error::ConnectError;
use crate::transport::timer::Timer;

/// An attempt that has taken this long is joined by another one. Each ends by itself at its own time limit.
pub const OVERLAP: Duration = Duration::from_millis(1500);
/// Attempts at a time, and a connection in use counts as one: with a long time limit, a server that takes connections and does
/// not answer must not collect them.
const MAX_CONNECTIONS: usize = 3;

/// Whether an attempt has come as far as the server's taking the connection.
#[derive(Clone, Default)]
pub struct Reached(Arc<AtomicBool>);

impl Reached {
    /// It has.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

type Outcome = Result<Connected, ConnectError>;

/// The attempts that are under way.
pub struct Attempts {
    open: Vec<Attempt>,
    latest_at: Instant,
    alarm: Timer,
}

struct Attempt {
    outcome: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    reached: Reached,
}

impl Attempts {
    /// None yet.
    pub fn new() -> Self {
        Self { open: Vec::new(), latest_at: Instant::now(), alarm: Timer::new() }
    }

    /// What the next one to end comes to. Makes new ones as they are due. With `patience`, there is a connection in use, and that
    /// is how long one waits for a server that took the connection.
    pub fn poll<A>(
        &mut self,
        cx: &mut Context<'_>,
        mut now: Instant,
        patience: Option<Duration>,
        make: impl Fn(Reached) -> A,
    ) -> Poll<Outcome>
    where
        A: Future<Output = Outcome> + Send + 'static,
    {
        loop {
            if self.next_at(patience).is_some_and(|at| at <= now) {
                let reached = Reached::default();
                self.open.push(Attempt { outcome: Box::pin(make(reached.clone())), reached });
                self.latest_at = now;
            }
            for index in 0..self.open.len() {
                if let Poll::Ready(outcome) = self.open[index].outcome.as_mut().poll(cx) {
                    drop(self.open.remove(index));
                    return Poll::Ready(outcome);
                }
            }
            if self.alarm.sleep_until(cx, self.next_at(patience)) {
                return Poll::Pending;
            }
            now = Instant::now();
        }
    }

    /// When another one is due.
    fn next_at(&self, patience: Option<Duration>) -> Option<Instant> {
        let Some(latest) = self.open.last() else { return Some(self.latest_at) };
        let most = MAX_CONNECTIONS - usize::from(patience.is_some());
        let overlap = patience.filter(|_| latest.reached.is_so()).map_or(OVERLAP, |patience| patience.max(OVERLAP));
        (self.open.len() < most).then_some(self.latest_at + overlap)
    }

    /// Whether any is under way.
    pub fn any(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether a server has taken a connection and not answered.
    pub fn any_reached(&self) -> bool {
        self.open.iter().any(|attempt| attempt.reached.is_so())
    }

    /// Drops all of them: there is a connection, or the server refused us for good.
    pub fn end(&mut self) {
        self.open.clear();
    }
}
