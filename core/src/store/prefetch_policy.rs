//! Whether a store's calls should carry reads: learnt from what its caller asks, so that no caller pays for questions that
//! it does not ask.

use super::operation::Operation;
use super::prefetch::Prefetch;

/// How many snapshots in a row may go unused before a call stops carrying. One, where what is carried answers one question
/// only: it is asked in the turn after the call, or this caller does not ask it.
fn patience(kind: Operation) -> u8 {
    match kind {
        Operation::BeginTask | Operation::CommitResult | Operation::GetResult => 1,
        _ => 16,
    }
}

/// Snapshots in a row that have to be used before earlier disappointments are forgotten.
const TRUST: u8 = 16;
/// The most questions that it takes to carry again.
const MAX_RESERVE: u8 = 64;

/// One store's habits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefetchPolicies([PrefetchPolicy; Operation::ALL.len()]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PrefetchPolicy {
    prefetches: bool,
    /// Snapshots in a row that were used, or that were not.
    used: u8,
    unused: u8,
    /// Questions that might have been answered since it stopped.
    missed: u8,
    /// How many of those it takes to carry again: more each time, so that a caller who asks now and then, as steps side by
    /// side do, is not guessed at for ever.
    reserve: u8,
}

impl Default for PrefetchPolicies {
    /// Reads carry until shown otherwise. Writes do not: only a worker that loops within one process asks in the turn
    /// after a write, and the first such question shows it.
    fn default() -> Self {
        let habit =
            |kind| PrefetchPolicy { prefetches: !is_afterthought(kind), used: 0, unused: 0, missed: 0, reserve: 1 };
        Self(Operation::ALL.map(habit))
    }
}

impl PrefetchPolicies {
    /// What a call should carry.
    pub fn prefetch(&self, kind: Operation) -> Prefetch {
        if self.0[kind as usize].prefetches { Prefetch::of(kind) } else { Prefetch::Nothing }
    }

    /// What a call carried was asked.
    pub fn used(&mut self, kind: Operation) {
        let habit = &mut self.0[kind as usize];
        (habit.used, habit.unused) = (habit.used.saturating_add(1), 0);
        if habit.used >= TRUST {
            habit.reserve = 1;
        }
    }

    /// What a call carried was not asked in its turn.
    pub fn unused(&mut self, kind: Operation) {
        let habit = &mut self.0[kind as usize];
        (habit.used, habit.unused) = (0, habit.unused.saturating_add(1));
        if habit.prefetches && habit.unused >= patience(kind) {
            (habit.prefetches, habit.missed) = (false, 0);
        }
    }

    /// A question was asked that the call before it, in the same turn, could have carried.
    pub fn missed(&mut self, kind: Operation) {
        let habit = &mut self.0[kind as usize];
        habit.missed = habit.missed.saturating_add(1);
        if !habit.prefetches && habit.missed >= habit.reserve {
            (habit.prefetches, habit.unused) = (true, 0);
            habit.reserve = habit.reserve.saturating_mul(4).min(MAX_RESERVE);
        }
    }
}

fn is_afterthought(kind: Operation) -> bool {
    matches!(kind, Operation::BeginTask | Operation::CommitResult)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_carries_only_while_the_question_after_it_is_asked() {
        let mut habits = PrefetchPolicies::default();
        assert_eq!(habits.prefetch(Operation::CommitResult), Prefetch::Nothing);
        habits.missed(Operation::CommitResult);
        assert_eq!(habits.prefetch(Operation::CommitResult), Prefetch::Execution);
        habits.used(Operation::CommitResult);
        assert_eq!(habits.prefetch(Operation::CommitResult), Prefetch::Execution);
        habits.unused(Operation::CommitResult);
        assert_eq!(habits.prefetch(Operation::CommitResult), Prefetch::Nothing);
    }

    #[test]
    fn reads_stop_carrying_for_a_caller_that_never_asks() {
        let mut habits = PrefetchPolicies::default();
        for _ in 1..patience(Operation::GetResults) {
            habits.unused(Operation::GetResults);
        }
        assert_eq!(habits.prefetch(Operation::GetResults), Prefetch::ExecutionAndMarks);
        habits.unused(Operation::GetResults);
        assert_eq!(habits.prefetch(Operation::GetResults), Prefetch::Nothing);
        habits.missed(Operation::GetResults);
        assert_eq!(habits.prefetch(Operation::GetResults), Prefetch::ExecutionAndMarks);
    }

    #[test]
    fn a_caller_who_asks_now_and_then_is_guessed_at_less_and_less() {
        let mut habits = PrefetchPolicies::default();
        let mut wasted = 0;
        for _ in 0..1000 {
            if habits.prefetch(Operation::BeginTask) == Prefetch::Nothing {
                habits.missed(Operation::BeginTask);
            } else {
                wasted += 1;
                habits.unused(Operation::BeginTask);
            }
        }
        assert!(wasted < 20, "{wasted}");
        for _ in 0..MAX_RESERVE {
            habits.missed(Operation::BeginTask);
        }
        for _ in 0..TRUST {
            habits.used(Operation::BeginTask);
        }
        habits.unused(Operation::BeginTask);
        habits.missed(Operation::BeginTask);
        assert_eq!(habits.prefetch(Operation::BeginTask), Prefetch::Execution);
    }
}
