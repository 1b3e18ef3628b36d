//! Attempts to connect, which overlap: one whose packets were lost waits ever longer before it repeats them, and must not
//! keep a network that works again waiting.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::connect::ReadyConnection;
use crate::config::Settings;
use crate::transport::error::ConnectError;
use crate::transport::probe::{Open, next};

/// An attempt that has taken this long is joined by another one. Each ends by itself at its own time limit.
const OVERLAP: Duration = Duration::from_millis(1500);

type Outcome = Result<(ReadyConnection, Settings), ConnectError>;

/// The attempts that are under way.
#[derive(Default)]
pub struct Attempts {
    open: Open<'static, Outcome>,
    next_at: Option<Instant>,
}

impl Attempts {
    /// What the next one to end comes to. Makes new ones as they are due.
    pub async fn outcome<A>(&mut self, make: impl Fn() -> A) -> Outcome
    where
        A: Future<Output = Outcome> + Send + 'static,
    {
        loop {
            let now = Instant::now();
            if self.open.is_empty() || self.next_at.is_none_or(|at| at <= now) {
                self.open.push(Box::pin(make()));
                self.next_at = Some(now + OVERLAP);
            }
            if let Ok(outcome) = timeout_at(self.next_at.unwrap_or(now), next(&mut self.open)).await {
                return outcome;
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
