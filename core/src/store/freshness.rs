//! How old what was read ahead may become before it is asked for again.
//!
//! An answer to a question that is asked now would be as old as a round trip takes by the time it is there. What was read ahead may
//! be that old, and little more: otherwise the caller's own work in between would make its decisions rest on older answers than
//! without read-ahead, and of two processes with the same message both would hand out the same task.

use std::time::Duration;

use crate::moment::Moment;

/// The least and the most that what was read ahead may be older than an answer to a question would be.
const BOUNDS: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(1));

/// What a call may take longer than twice as long as usual, as a busy machine makes it. More than that, and what it brought is no
/// longer used: the process may have been stopped.
const HELD_UP: Duration = Duration::from_millis(5);

/// How long a store's calls take lately, from when their bytes were given to the socket to when their promises are settled: the
/// smoothed time.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTrip(Option<Duration>);

impl RoundTrip {
    /// A call has taken so long. One that was held up says little about the next, so it counts as two that were not.
    pub fn note(&mut self, time: Duration) {
        self.0 = Some(match self.0 {
            None => time,
            Some(smoothed) => {
                let time = time.min(smoothed * 2 + BOUNDS.0);
                (smoothed * 7 + time) / 8
            }
        });
    }

    /// Until when what a call brought that was written at a moment, and that took so long, may answer questions: for as long as
    /// a call takes, and half as long again, which is at least 0.5 ms and at most 1 ms. An answer to a question would now and
    /// then take longer than usual too, so this one may have: up to twice as long and 5 ms more.
    pub fn fresh_until(&self, written_at: Moment, time: Duration) -> Moment {
        let usual = self.0.unwrap_or(time);
        let trip = time.clamp(usual, usual * 2 + HELD_UP);
        written_at.after(trip + (usual / 2).clamp(BOUNDS.0, BOUNDS.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    fn limit(trip: &RoundTrip) -> Duration {
        limit_after(trip, micros(40))
    }

    fn limit_after(trip: &RoundTrip, time: Duration) -> Duration {
        let start = Moment::now();
        trip.fresh_until(start, time).since(start)
    }

    #[test]
    fn what_was_read_ahead_may_be_little_older_than_an_answer() {
        assert_eq!(limit(&RoundTrip::default()), micros(540));
        for (trip, most) in [(80, 580), (1_200, 1_800), (2_000, 3_000), (50_000, 51_000)] {
            let mut smoothed = RoundTrip::default();
            smoothed.note(micros(trip));
            assert_eq!(limit(&smoothed), micros(most));
        }
    }

    #[test]
    fn what_took_somewhat_longer_than_usual_may_be_used_and_what_was_held_up_may_not() {
        let mut smoothed = RoundTrip::default();
        smoothed.note(micros(4_000));
        assert_eq!(limit_after(&smoothed, micros(6_000)), micros(7_000));
        assert!(limit_after(&smoothed, micros(15_000)) < micros(15_000));
    }

    #[test]
    fn one_call_that_was_held_up_changes_little_and_many_change_all() {
        let mut smoothed = RoundTrip::default();
        smoothed.note(micros(80));
        smoothed.note(Duration::from_secs(3));
        assert!(limit(&smoothed) < micros(750), "{smoothed:?}");
        (0..100).for_each(|_| smoothed.note(micros(10_000)));
        assert!(limit(&smoothed) > micros(10_500), "{smoothed:?}");
        (0..100).for_each(|_| smoothed.note(micros(80)));
        assert!(limit(&smoothed) < micros(600), "{smoothed:?}");
    }
}
