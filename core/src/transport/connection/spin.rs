//! Looking again for a moment before sleeping. Waking a thread takes longer than a server nearby takes to answer, so a lone
//! caller, who waits for each answer before the next call, is served much faster by a thread that is still awake. Where that
//! does not pay, because the next event takes longer or other threads need the processor, it is hardly tried.

use std::mem;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// How long to look.
const LIMIT: Duration = Duration::from_micros(40);
/// Calls in flight, since the last sleep, beyond which nobody waits alone: others need the processor, the server among them.
const MAX_IN_FLIGHT: usize = 1;
/// A try that found something adds one, and one that did not takes two.
const MAX_CREDIT: i32 = 16;
/// Without credit, one sleep in so many begins with a try.
const PROBE_INTERVAL: u32 = 128;

/// With one processor, whoever is waited for could not run.
static HAS_PROCESSORS: LazyLock<bool> = LazyLock::new(|| available_parallelism().is_ok_and(|count| count.get() > 1));

/// Whether to look again before sleeping.
#[derive(Debug)]
pub struct Spin {
    state: State,
    credit: i32,
    sleeps: u32,
    /// The most calls that were in flight since the last sleep.
    most_in_flight: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Something has happened since the last try.
    Ready,
    /// Since this moment.
    Trying(Instant),
    /// Nothing has happened since the last try.
    Spent,
}

impl Spin {
    /// It is worth a try.
    pub fn new() -> Self {
        Self { state: State::Ready, credit: 1, sleeps: 0, most_in_flight: 0 }
    }

    /// So many calls are in flight.
    pub fn note_in_flight(&mut self, calls: usize) {
        self.most_in_flight = self.most_in_flight.max(calls);
    }

    /// Something has happened.
    pub fn note_event(&mut self) {
        if let State::Trying(_) = self.state {
            self.credit = (self.credit + 1).min(MAX_CREDIT);
        }
        self.state = State::Ready;
    }

    /// Whether this thread should look for the answer to a lone call that another one sends, which would read it by itself otherwise.
    /// Where that has not paid, once in a while.
    pub fn is_worth_a_try(&mut self) -> bool {
        if self.credit == 0 {
            self.sleeps = self.sleeps.wrapping_add(1);
            self.credit = i32::from(self.sleeps.is_multiple_of(PROBE_INTERVAL));
        }
        self.credit > 0 && (self.sleeps == 0 || *HAS_PROCESSORS)
    }

    /// Whether to look again instead of sleeping.
    pub fn looks_again(&mut self, now: Instant) -> bool {
        match self.state {
            State::Spent => false,
            State::Trying(since) if now.saturating_duration_since(since) < LIMIT => true,
            State::Trying(_) => {
                self.state = State::Spent;
                self.credit = (self.credit - 2).max(0);
                false
            }
            State::Ready => {
                self.state = State::Spent;
                let most_in_flight = mem::take(&mut self.most_in_flight);
                // To find out takes longer than a try, so the first one, which the first answer may be waiting for, is made without.
                if most_in_flight > MAX_IN_FLIGHT || self.sleeps > 0 && !*HAS_PROCESSORS {
                    return false;
                }
                self.sleeps = self.sleeps.wrapping_add(1);
                if self.credit == 0 && !self.sleeps.is_multiple_of(PROBE_INTERVAL) {
                    return false;
                }
                self.state = State::Trying(now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_pay_is_hardly_tried() {
        let (mut spin, mut now, mut tries) = (Spin::new(), Instant::now(), 0);
        for _ in 0..10_000 {
            spin.note_event();
            spin.note_in_flight(1);
            while spin.looks_again(now) {
                now += LIMIT / 2;
                tries += 1;
            }
        }
        assert!(tries < 10_000 / 20 || !*HAS_PROCESSORS, "{tries}");
    }

    #[test]
    fn what_pays_is_tried_before_every_sleep() {
        let (mut spin, mut now) = (Spin::new(), Instant::now());
        for sleep in 0..100 {
            assert_eq!(spin.looks_again(now), sleep == 0 || *HAS_PROCESSORS);
            now += LIMIT / 2;
            spin.note_event();
        }
        // A caller who takes a while now and then does not change that.
        spin.looks_again(now);
        assert!(!spin.looks_again(now + LIMIT) && !spin.looks_again(now + LIMIT));
        spin.note_event();
        assert_eq!(spin.looks_again(now), *HAS_PROCESSORS);
    }

    #[test]
    fn callers_side_by_side_are_not_waited_for() {
        let (mut spin, now) = (Spin::new(), Instant::now());
        spin.note_in_flight(2);
        assert!(!spin.looks_again(now));
        // All of them are answered: those who call next are as many.
        spin.note_event();
        spin.note_in_flight(2);
        spin.note_in_flight(0);
        assert!(!spin.looks_again(now));
        // One is left.
        spin.note_event();
        spin.note_in_flight(1);
        assert!(spin.looks_again(now));
    }
}
