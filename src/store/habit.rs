//! Whether a store's calls should carry reads: learnt from what its caller asks, so that no caller pays for questions that
//! it does not ask.

use super::call::Kind;
use super::snapshot::Ahead;

/// How many snapshots in a row may go unused before a call stops carrying. Only a worker that loops within one process
/// asks in the turn after a write, so one is enough there; where a single result is asked, all that is carried is one read.
fn patience(kind: Kind) -> u8 {
    match kind {
        Kind::BeginTask | Kind::CommitResult => 1,
        Kind::GetResult => 2,
        _ => 16,
    }
}

/// One store's habits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habits([Habit; Kind::ALL.len()]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Habit {
    carries: bool,
    unused: u8,
}

impl Default for Habits {
    /// Reads carry until shown otherwise. Writes do not: only a worker that loops within one process asks in the turn
    /// after a write, and the first such question shows it.
    fn default() -> Self {
        Self(Kind::ALL.map(|kind| Habit { carries: !is_afterthought(kind), unused: 0 }))
    }
}

impl Habits {
    /// What a call should carry.
    pub fn ahead(&self, kind: Kind) -> Ahead {
        if self.0[kind as usize].carries { Ahead::of(kind) } else { Ahead::Nothing }
    }

    /// What a call carried was asked.
    pub fn used(&mut self, kind: Kind) {
        self.0[kind as usize].unused = 0;
    }

    /// What a call carried was not asked in its turn.
    pub fn unused(&mut self, kind: Kind) {
        let habit = &mut self.0[kind as usize];
        habit.unused = habit.unused.saturating_add(1);
        if habit.unused >= patience(kind) {
            habit.carries = false;
        }
    }

    /// A question was asked that the call before it, in the same turn, could have carried.
    pub fn missed(&mut self, kind: Kind) {
        self.0[kind as usize] = Habit { carries: true, unused: 0 };
    }
}

fn is_afterthought(kind: Kind) -> bool {
    matches!(kind, Kind::BeginTask | Kind::CommitResult)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_carries_only_while_the_question_after_it_is_asked() {
        let mut habits = Habits::default();
        assert_eq!(habits.ahead(Kind::CommitResult), Ahead::Nothing);
        habits.missed(Kind::CommitResult);
        assert_eq!(habits.ahead(Kind::CommitResult), Ahead::Execution);
        habits.used(Kind::CommitResult);
        assert_eq!(habits.ahead(Kind::CommitResult), Ahead::Execution);
        habits.unused(Kind::CommitResult);
        assert_eq!(habits.ahead(Kind::CommitResult), Ahead::Nothing);
    }

    #[test]
    fn reads_stop_carrying_for_a_caller_that_never_asks() {
        let mut habits = Habits::default();
        for _ in 1..patience(Kind::GetResults) {
            habits.unused(Kind::GetResults);
        }
        assert_eq!(habits.ahead(Kind::GetResults), Ahead::ExecutionAndMarks);
        habits.unused(Kind::GetResults);
        assert_eq!(habits.ahead(Kind::GetResults), Ahead::Nothing);
        habits.missed(Kind::GetResults);
        assert_eq!(habits.ahead(Kind::GetResults), Ahead::ExecutionAndMarks);
    }
}
