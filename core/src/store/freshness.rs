//! How old what was read ahead may become before it is asked for again.
//!
//! An answer to a question that is asked now would be as old as a round trip takes by the time it is there. What was read ahead may
//! be that old, and little more: otherwise the caller's own work in between would make its decisions rest on older answers than
//! without read-ahead, and of two processes with the same message both would hand out the same task.

use std::time::Duration;

use crate::moment::Moment;

/// The least and the most that what was read ahead may be older than an answer to a question would be.
const BOUNDS: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(1));
/// The least that a task's mark may be older that came with the question for the task's result.
const LEAST_OF_MARK: Duration = Duration::from_micros(100);
/// What a call may take longer than twice as long as usual, as a busy machine makes it. If it takes longer than that, the process may
/// have been stopped.
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
                let time = time.min(smoothed * 2);
                (smoothed * 7 + time) / 8
            }
        });
    }

    /// Until when what a call brought that was written at a moment, and that took so long, may answer questions: for half as long
    /// as calls take, which is at least 0.5 ms and at most 1 ms, after the call's own time. Nothing that a call brought that was
    /// held up.
    pub fn fresh_until(&self, written_at: Moment, time: Duration) -> Moment {
        let usual = self.0.unwrap_or(time);
        written_at.after(time.min(usual * 2 + HELD_UP) + (usual / 2).clamp(BOUNDS.0, BOUNDS.1))
    }

    /// The same for a task's mark that came with the question for the task's result. Whether the task is handed out is decided next,
    /// so a call that took longer than usual does not count as it is: it is quicker to ask.
    pub fn mark_fresh_until(&self, written_at: Moment, time: Duration) -> Moment {
        let usual = self.0.unwrap_or(time);
        written_at.after(usual + (usual / 2).clamp(LEAST_OF_MARK, BOUNDS.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    fn limits(trip: &RoundTrip, time: Duration) -> (Duration, Duration) {
        let start = Moment::now();
        (trip.fresh_until(start, time).since(start), trip.mark_fresh_until(start, time).since(start))
    }

    #[test]
    fn what_was_read_ahead_may_be_little_older_than_an_answer() {
        assert_eq!(limits(&RoundTrip::default(), micros(40)), (micros(540), micros(140)));
        for (trip, most, of_mark) in
            [(80, 580, 180), (1_200, 1_800, 1_800), (2_000, 3_000, 3_000), (50_000, 51_000, 51_000)]
        {
            let mut smoothed = RoundTrip::default();
            smoothed.note(micros(trip));
            assert_eq!(limits(&smoothed, micros(trip)), (micros(most), micros(of_mark)));
        }
    }

    #[test]
    fn what_took_longer_than_usual_may_be_used_unless_it_was_held_up() {
        let mut smoothed = RoundTrip::default();
        smoothed.note(micros(200));
        assert_eq!(limits(&smoothed, micros(1_000)), (micros(1_500), micros(300)));
        assert_eq!(limits(&smoothed, micros(5_400)), (micros(5_900), micros(300)));
        let (most, _) = limits(&smoothed, Duration::from_secs(3));
        assert_eq!(most, micros(5_900));
    }

    #[test]
    fn one_call_that_was_held_up_changes_little_and_many_change_all() {
        let of_mark = |trip: &RoundTrip| limits(trip, micros(80)).1;
        let mut smoothed = RoundTrip::default();
        smoothed.note(micros(80));
        smoothed.note(Duration::from_secs(3));
        assert_eq!(of_mark(&smoothed), micros(190), "{smoothed:?}");
        (0..100).for_each(|_| smoothed.note(micros(10_000)));
        assert!(of_mark(&smoothed) > micros(10_900), "{smoothed:?}");
        (0..100).for_each(|_| smoothed.note(micros(80)));
        assert!(of_mark(&smoothed) < micros(200), "{smoothed:?}");
    }
}
