//! How long to wait between two attempts to connect.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The pause before the next attempt: doubles from 50 ms to less than 2 s, so that calls go on within two seconds of the
/// server's return, with jitter so that a fleet does not return in step.
#[derive(Debug)]
pub struct Backoff {
    pub(super) attempts: u32,
    pub(super) longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 0, longest: Self::LONGEST }
    }
}

impl Backoff {
    pub(super) const FIRST: Duration = Duration::from_millis(50);
    pub(super) const LONGEST: Duration = Duration::from_millis(1800);

    /// Where another server may take over at any moment, and sentinels or the cluster name it: calls go on soon after it has.
    pub fn impatient() -> Self {
        Self { longest: Duration::from_millis(400), ..Self::default() }
    }

    /// The next pause: between half and all of the current step.
    pub fn next(&mut self) -> Duration {
        let step = Self::FIRST.saturating_mul(1 << self.attempts.min(10)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        // A new hasher state is the standard library's source of random bits; a pause needs no better one.
        let random = RandomState::new().build_hasher().finish() as u32;
        step / 2 + (step / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// To be called when an attempt succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_less_than_two_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= Backoff::FIRST / 2 && pauses[0] <= Backoff::FIRST);
        assert!(pauses[10..].iter().all(|pause| *pause >= Backoff::LONGEST / 2 && *pause <= Backoff::LONGEST));
        backoff.reset();
        assert!(backoff.next() <= Backoff::FIRST);
    }
}
