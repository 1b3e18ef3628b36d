//! When a connection is made anew: at once after one that had answered calls, else after the pauses of [`Backoff`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::transport::backoff::Backoff;

/// When to connect again. After a connection that answered calls at once: the server was there a moment ago, and a proxy or a
/// restarted server is there again. After so many of those in a while, not sooner than some time after that connection was
/// made. After one that answered none, and after attempts that failed, pauses grow.
#[derive(Debug)]
pub struct Reconnect {
    backoff: Backoff,
    /// When attempts were made at once.
    immediate: VecDeque<Instant>,
}

impl Reconnect {
    /// Attempts at once within a while.
    const MAX_IMMEDIATE: usize = 10;
    const WHILE: Duration = Duration::from_secs(10);
    /// Attempts at once are made within this time, so that a fleet does not connect in step.
    const JITTER: Duration = Duration::from_millis(50);

    /// Beyond those, from one connection being made to the next attempt: five a second. A server that answers and hangs up gets
    /// no more, and one that does so now and then is not kept waiting.
    const MIN_INTERVAL: Duration = Duration::from_millis(200);

    /// The longest pause after a refused login.
    const LONGEST_REFUSED: Duration = Duration::from_millis(500);

    /// With these pauses between attempts that fail.
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, immediate: VecDeque::new() }
    }

    /// The pause after a connection that was made at some time. `answered` is whether a call was answered over it.
    pub fn after_connection(&mut self, answered: bool, made_at: Instant, now: Instant) -> Duration {
        if !answered {
            return self.backoff.next();
        }
        self.backoff.reset();
        let jitter = self.backoff.jitter(Self::JITTER);
        self.immediate.retain(|at| now.saturating_duration_since(*at) < Self::WHILE);
        if self.immediate.len() < Self::MAX_IMMEDIATE {
            self.immediate.push_back(now);
            return jitter;
        }
        jitter.max(Self::MIN_INTERVAL.saturating_sub(now.saturating_duration_since(made_at)))
    }

    /// The pause after an attempt that failed.
    pub fn after_failure(&mut self) -> Duration {
        self.backoff.next()
    }

    /// The pause after the server refused the login, while calls come. Calls that come during it wait for the
    /// next attempt, so it grows less far: the login may be accepted again at any moment.
    pub fn after_refusal(&mut self) -> Duration {
        self.backoff.next().min(Self::LONGEST_REFUSED)
    }
}
