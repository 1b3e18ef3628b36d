//! Whether a store's calls should carry reads: decided by the calls that its caller makes, so that no caller pays for reads
//! that it does not use.

use super::operation::Operation;
use super::prefetch::Prefetch;

/// How many snapshots in a row may go unused before a call stops carrying. One, where what is carried answers one question
/// only: the caller asks it in the turn after the call, or not at all.
fn max_unused(operation: Operation) -> u8 {
    match operation {
        Operation::BeginTask | Operation::CommitResult | Operation::GetResult => 1,
        _ => 16,
    }
}

/// Snapshots in a row that have to be used before earlier unused snapshots no longer count.
const USED_TO_TRUST: u8 = 16;
/// The most questions that it takes to carry again.
const MAX_RESERVE: u8 = 64;

/// What one store's calls carry.
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
        let policy = |operation| PrefetchPolicy {
            prefetches: !is_afterthought(operation),
            used: 0,
            unused: 0,
            missed: 0,
            reserve: 1,
        };
        Self(Operation::ALL.map(policy))
    }
}

impl PrefetchPolicies {
    /// What a call should carry.
    pub fn prefetch(&self, operation: Operation) -> Prefetch {
        if self.0[operation as usize].prefetches { Prefetch::of(operation) } else { Prefetch::Nothing }
    }

    /// What a call carried was asked.
    pub fn used(&mut self, operation: Operation) {
        let policy = &mut self.0[operation as usize];
        (policy.used, policy.unused) = (policy.used.saturating_add(1), 0);
        if policy.used >= USED_TO_TRUST {
            policy.reserve = 1;
        }
    }

    /// What a call carried was not asked in its turn.
    pub fn unused(&mut self, operation: Operation) {
        let policy = &mut self.0[operation as usize];
        (policy.used, policy.unused) = (0, policy.unused.saturating_add(1));
        if policy.prefetches && policy.unused >= max_unused(operation) {
            (policy.prefetches, policy.missed) = (false, 0);
        }
    }

    /// A question was asked that the call before it, in the same turn, could have carried.
    pub fn missed(&mut self, operation: Operation) {
        let policy = &mut self.0[operation as usize];
        policy.missed = policy.missed.saturating_add(1);
        if !policy.prefetches && policy.missed >= policy.reserve {
            (policy.prefetches, policy.unused) = (true, 0);
            policy.reserve = policy.reserve.saturating_mul(4).min(MAX_RESERVE);
        }
    }
}

fn is_afterthought(operation: Operation) -> bool {
    matches!(operation, Operation::BeginTask | Operation::CommitResult)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_carries_only_while_the_question_after_it_is_asked() {
        let mut policies = PrefetchPolicies::default();
        assert_eq!(policies.prefetch(Operation::CommitResult), Prefetch::Nothing);
        policies.missed(Operation::CommitResult);
        assert_eq!(policies.prefetch(Operation::CommitResult), Prefetch::Execution);
        policies.used(Operation::CommitResult);
        assert_eq!(policies.prefetch(Operation::CommitResult), Prefetch::Execution);
        policies.unused(Operation::CommitResult);
        assert_eq!(policies.prefetch(Operation::CommitResult), Prefetch::Nothing);
    }

    #[test]
    fn reads_stop_carrying_for_a_caller_that_never_asks() {
        let mut policies = PrefetchPolicies::default();
        for _ in 1..max_unused(Operation::GetResults) {
            policies.unused(Operation::GetResults);
        }
        assert_eq!(policies.prefetch(Operation::GetResults), Prefetch::ExecutionAndMarks);
        policies.unused(Operation::GetResults);
        assert_eq!(policies.prefetch(Operation::GetResults), Prefetch::Nothing);
        policies.missed(Operation::GetResults);
        assert_eq!(policies.prefetch(Operation::GetResults), Prefetch::ExecutionAndMarks);
    }

    #[test]
    fn a_caller_who_asks_now_and_then_is_guessed_at_less_and_less() {
        let mut policies = PrefetchPolicies::default();
        let mut wasted = 0;
        for _ in 0..1000 {
            if policies.prefetch(Operation::BeginTask) == Prefetch::Nothing {
                policies.missed(Operation::BeginTask);
            } else {
                wasted += 1;
                policies.unused(Operation::BeginTask);
            }
        }
        assert!(wasted < 20, "{wasted}");
        for _ in 0..MAX_RESERVE {
            policies.missed(Operation::BeginTask);
        }
        for _ in 0..USED_TO_TRUST {
            policies.used(Operation::BeginTask);
        }
        policies.unused(Operation::BeginTask);
        policies.missed(Operation::BeginTask);
        assert_eq!(policies.prefetch(Operation::BeginTask), Prefetch::Execution);
    }
}
