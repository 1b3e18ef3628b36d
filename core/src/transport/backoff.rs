//! Pauses that double with each failed attempt, up to a limit and with jitter.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The pause before the next attempt: doubles from 50 ms to less than 2 s, so that calls go on within two seconds of the
/// server's return, with jitter so that a fleet does not return in step.
#[derive(Debug)]
pub struct Backoff {
    pub(super) attempts: u32,
    pub(super) longest: Duration,
    random: Random,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 0, longest: Self::LONGEST, random: Random::new() }
    }
}

impl Backoff {
    pub(super) const FIRST: Duration = Duration::from_millis(50);
    pub(super) const LONGEST: Duration = Duration::from_millis(1800);

    /// Where another server may take over at any moment, and sentinels or the cluster name it: calls go on soon after it has.
    pub fn impatient() -> Self {
        Self { longest: Duration::from_millis(400), ..Self::default() }
    }

    /// The same, with random numbers that follow from a seed.
    #[cfg(test)]
    pub fn seeded(self, seed: u64) -> Self {
        Self { random: Random(seed), ..self }
    }

    /// The next pause: between half and all of the current step.
    pub fn next(&mut self) -> Duration {
        let step = Self::FIRST.saturating_mul(1 << self.attempts.min(10)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        step / 2 + self.jitter(step / 2)
    }

    /// A random part of a time.
    pub fn jitter(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.random.fraction())
    }

    /// To be called when an attempt succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Random numbers for pauses, which need no better ones (SplitMix64): <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// A new hasher state is the standard library's source of random bits.
    fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    /// Between 0 and 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from((bits ^ (bits >> 31)) as u32) / f64::from(u32::MAX)
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

    #[test]
    fn the_pauses_follow_from_the_seed() {
        let pauses = |seed| {
            let mut backoff = Backoff::default().seeded(seed);
            (0..8).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
    }
}
