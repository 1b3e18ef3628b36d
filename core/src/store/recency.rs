//! Which of two answers about an execution is the newer one, and whether a call was overtaken by a newer answer while it was
//! in flight. A caller may have acted on that answer, so what the call brought besides its own must not be used any more.

use std::num::NonZeroU64;

use rustc_hash::FxHashMap;

use super::execution_hash::ExecutionHash;
use crate::moment::Moment;

/// Which connection brought an answer, and its number there. A server carries out the commands of one connection in their
/// order, so of two answers of a connection the one with the higher number is the newer one. Nothing is known of two answers
/// of different connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// No other connection in this process has it, closed ones included.
    pub connection: NonZeroU64,
    /// Of the answer's first reply.
    pub number: u64,
    /// When the call was given to the socket, or a little before.
    pub written_at: Moment,
}

/// Whether an answer is certainly older than another one. `None` is the position of an answer that was put together from
/// several connections' replies: it is neither older nor newer than any other.
pub fn is_older(answer: Option<Position>, other: Option<Position>) -> bool {
    answer
        .zip(other)
        .is_some_and(|(answer, other)| answer.connection == other.connection && answer.number < other.number)
}

/// What has happened to each execution that has calls in flight, since the first of them began. Executions are known by a
/// hash of their id: when two share one, answers count as overtaken that are not.
#[derive(Default)]
pub struct InFlight {
    executions: FxHashMap<ExecutionHash, Execution>,
    /// How many calls have been settled, of all executions: the time, as far as it matters here.
    settled: u64,
}

struct Execution {
    calls: u32,
    /// How often something made every snapshot invalid: a write that began or ended, a failure, an answer of a store that is
    /// not on a native connection.
    changes: u32,
    /// The highest position of the answers since `others_settled`.
    latest: Option<Position>,
    /// When the last answer was settled.
    last_settled: u64,
    /// When the last answer was settled that came over another connection than `latest`.
    others_settled: u64,
}

/// A call in flight: what had happened when it began.
#[derive(Debug)]
pub struct Begun {
    /// The hash of its execution's id.
    pub execution: ExecutionHash,
    changes: u32,
    settled: u64,
}

impl InFlight {
    /// A call begins.
    pub fn begin(&mut self, execution: ExecutionHash) -> Begun {
        let settled = self.settled;
        let entry = self.executions.entry(execution).or_insert(Execution {
            calls: 0,
            changes: 0,
            latest: None,
            last_settled: settled,
            others_settled: settled,
        });
        entry.calls += 1;
        Begun { execution, changes: entry.changes, settled }
    }

    /// What calls in flight bring besides their own answers is not to be used: it may be older than what is known now.
    pub fn invalidate(&mut self, execution: ExecutionHash) {
        if let Some(entry) = self.executions.get_mut(&execution) {
            entry.changes = entry.changes.wrapping_add(1);
        }
    }

    /// A call is settled. Returns whether its answer is newer than every other one that was settled since it began, and nothing
    /// has made it invalid.
    pub fn end(&mut self, begun: &Begun, position: Option<Position>) -> bool {
        self.settled += 1;
        let Some(entry) = self.executions.get_mut(&begun.execution) else { return false };
        let valid = entry.changes == begun.changes && entry.is_newest(begun, position);
        entry.calls -= 1;
        if entry.calls == 0 {
            self.executions.remove(&begun.execution);
        } else {
            entry.note(position, self.settled);
        }
        valid
    }
}

impl Execution {
    fn is_newest(&self, begun: &Begun, position: Option<Position>) -> bool {
        self.last_settled <= begun.settled || self.others_settled <= begun.settled && is_older(self.latest, position)
    }

    fn note(&mut self, position: Option<Position>, now: u64) {
        let connection = |position: Option<Position>| position.map(|position| position.connection);
        if position.is_none() || connection(position) != connection(self.latest) {
            self.others_settled = if position.is_none() { now } else { self.last_settled };
            self.latest = position;
        } else if is_older(self.latest, position) {
            self.latest = position;
        }
        self.last_settled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(connection: u64, number: u64) -> Option<Position> {
        Some(Position { connection: NonZeroU64::new(connection).unwrap(), number, written_at: Moment::default() })
    }

    #[test]
    fn answers_of_one_connection_are_ordered_by_their_numbers() {
        assert!(is_older(at(1, 4), at(1, 5)));
        for (answer, other) in [(at(1, 5), at(1, 5)), (at(1, 5), at(1, 4)), (at(1, 4), at(2, 5)), (None, at(1, 5))] {
            assert!(!is_older(answer, other), "{answer:?} {other:?}");
        }
        assert!(!is_older(at(1, 4), None) && !is_older(None, None));
    }

    #[test]
    fn a_newer_or_unordered_answer_that_was_settled_meanwhile_overtakes_a_call() {
        for (other, own, valid) in [
            (at(1, 4), at(1, 5), true),
            (at(1, 6), at(1, 5), false),
            (at(2, 4), at(1, 5), false),
            (None, at(1, 5), false),
            (at(1, 4), None, false),
        ] {
            let mut calls = InFlight::default();
            let (call, meanwhile) = (calls.begin(ExecutionHash(7)), calls.begin(ExecutionHash(7)));
            calls.end(&meanwhile, other);
            assert_eq!(calls.end(&call, own), valid, "{other:?} {own:?}");
            assert!(calls.executions.is_empty());
        }
    }

    #[test]
    fn a_call_is_newer_than_what_was_settled_before_it_began() {
        let mut calls = InFlight::default();
        let (earlier, long) = (calls.begin(ExecutionHash(7)), calls.begin(ExecutionHash(7)));
        calls.end(&earlier, at(2, 9));
        let call = calls.begin(ExecutionHash(7));
        assert!(calls.end(&call, at(1, 1)));
        let call = calls.begin(ExecutionHash(7));
        assert!(calls.end(&call, None));
        assert!(!calls.end(&long, at(1, 5)));
    }

    #[test]
    fn a_change_invalidates_the_calls_in_flight_of_its_execution() {
        let mut calls = InFlight::default();
        let (call, other) = (calls.begin(ExecutionHash(7)), calls.begin(ExecutionHash(8)));
        calls.invalidate(ExecutionHash(7));
        let later = calls.begin(ExecutionHash(7));
        assert!(!calls.end(&call, at(1, 1)));
        assert!(calls.end(&later, at(1, 2)));
        assert!(calls.end(&other, at(1, 3)));
    }

    /// Random histories, in which each connection's answers are settled in their order, against a list of all that happened.
    #[test]
    fn no_call_counts_as_newest_that_is_not() {
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut newest = 0;
        for _ in 0..2_000 {
            let mut calls = InFlight::default();
            let mut numbers = [0; 4];
            let mut in_flight: Vec<(Begun, usize)> = Vec::new();
            let mut settled: Vec<Option<Position>> = Vec::new();
            for _ in 0..40 {
                if in_flight.is_empty() || random(2) == 0 {
                    in_flight.push((calls.begin(ExecutionHash(7)), settled.len()));
                    continue;
                }
                let (call, since) = in_flight.swap_remove(random(in_flight.len() as u64) as usize);
                let connection = if random(3) == 0 { random(4) } else { 1 };
                numbers[connection as usize] += 1;
                let position = at(connection.max(1), numbers[connection as usize]).filter(|_| connection > 0);
                let is_newest = settled[since..].iter().all(|other| is_older(*other, position));
                // With each connection's answers in their order, what is remembered of them is enough.
                assert_eq!(calls.end(&call, position), is_newest);
                newest += usize::from(is_newest && since < settled.len());
                settled.push(position);
            }
        }
        assert!(newest > 1_000, "{newest}");
    }
}
