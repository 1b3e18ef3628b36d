//! How time passes in a simulated world.

use std::time::{Duration, Instant};

/// Rounds of what happens at one moment, after which it is taken to have no end.
const MAX_ROUNDS: usize = 500;

/// A world in which things happen at moments of its own.
pub trait Timed {
    /// Moments after which a history is taken to have no end.
    const MAX_MOMENTS: usize;

    /// What time it is.
    fn now(&mut self) -> &mut Instant;

    /// One round of what happens at this moment. Whether anything did.
    fn round(&mut self) -> bool;

    /// Checks what has to hold at every moment.
    fn check_moment(&mut self);

    /// When something happens next.
    fn next_moment(&mut self) -> Option<Instant>;

    /// Lets time pass until `done`, or this moment.
    fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) {
        for _ in 0..Self::MAX_MOMENTS {
            let ends = (0..MAX_ROUNDS).any(|_| !self.round());
            assert!(ends, "there is no end to what happens at one moment");
            self.check_moment();
            if done(self) || *self.now() >= end {
                return;
            }
            *self.now() = self.next_moment().map_or(end, |next| next.min(end));
        }
        panic!("the history has no end");
    }
}

/// How many of these moments, which are in their order, are within one such span at most.
pub fn most_within(moments: &[Instant], span: Duration) -> usize {
    let within = |(index, at): (usize, &Instant)| moments[index..].partition_point(|later| *later < *at + span);
    moments.iter().enumerate().map(within).max().unwrap_or(0)
}
