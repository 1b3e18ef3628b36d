//! Whether a store's calls should carry reads: decided by the calls that its caller makes, so that no caller pays for reads
//! that it does not use.

use super::habits::{Asked, Habits, Place};
use super::operation::Operation;
use super::prefetch::Prefetch;

/// How many snapshots in a row may answer nothing before a call stops carrying. One, where what is carried answers one question
/// only: the caller asks it in the turn after the call, or not at all.
fn max_unused(operation: Operation) -> u8 {
    match operation {
        Operation::BeginExecution | Operation::GetResults => 16,
        _ => 1,
    }
}

/// The same for questions about other tasks. Two, because nothing is asked after the last step of a workflow.
fn max_unused_tasks(operation: Operation) -> u8 {
    match operation {
        Operation::BeginTask | Operation::CommitResult => 2,
        _ => 1,
    }
}

/// Snapshots in a row that may be asked too late before a call stops carrying: one may be held up by chance.
const MAX_TOO_LATE: u8 = 4;
/// Snapshots in a row that have to be used before earlier unused snapshots no longer count.
const USED_TO_TRUST: u8 = 16;
/// The most questions that it takes to carry again.
const MAX_RESERVE: u8 = 64;

/// Whose call it is: what a worker asks after the writes of a function and after those of a step differs. Task ids are names
/// joined by colons, beginning with the function's; where they are not, one kind has all calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A function's, or about no task.
    Function,
    /// That of a step in it.
    Step,
}

impl Depth {
    /// That of a call about a task.
    pub fn of(task: &[u8]) -> Self {
        if task.contains(&b':') { Depth::Step } else { Depth::Function }
    }
}

/// What a snapshot was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Whether the execution is in progress.
    pub execution: bool,
    /// Anything about tasks and results.
    pub tasks: bool,
    /// The questions that it has answered. Each would have been a command.
    pub answers: u16,
}

impl Used {
    /// Notes a question, and whether it was answered.
    pub fn note(&mut self, asked: Operation, is_answered: bool) {
        match asked {
            Operation::IsExecutionInProgress => self.execution = true,
            _ => self.tasks = true,
        }
        self.answers = self.answers.saturating_add(u16::from(is_answered));
    }
}

/// What became of what a call carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It was asked this.
    Used(Used),
    /// Nothing was asked.
    Unused,
    /// The same, but when it was too old.
    TooLate(Used),
}

/// What one store's calls carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefetchPolicies {
    policies: [Policies; Operation::ALL.len()],
    habits: Habits,
    /// How many commands fewer the store has sent than its caller's calls would be by themselves. What may turn out not to be
    /// asked is carried only while there are some.
    saved: i16,
    /// Whether it has disposed of an execution.
    has_disposed: bool,
}

/// Commands that are saved by each `disposeExecution`: the TypeScript package sends three. The first one's are spent in advance.
const SAVED_BY_DISPOSE: i16 = 2;
/// What counts at most, and at least: a caller may turn into another one.
const SAVED: std::ops::RangeInclusive<i16> = -8..=64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policies {
    /// Whether to carry what a call of this kind carries at least.
    least: PrefetchPolicy,
    /// Whether to carry more than that, which tasks are in progress and done: for functions and for steps.
    tasks: [PrefetchPolicy; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PrefetchPolicy {
    prefetches: bool,
    /// Snapshots in a row that were used, or that were not.
    used: u8,
    unused: u8,
    /// Snapshots in a row that were asked too late.
    too_late: u8,
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
        let policy = |prefetches| PrefetchPolicy { prefetches, used: 0, unused: 0, too_late: 0, missed: 0, reserve: 1 };
        let reads =
            |operation| matches!(operation, Operation::BeginExecution | Operation::GetResults | Operation::GetResult);
        let policies = |operation| Policies { least: policy(reads(operation)), tasks: [policy(false); 2] };
        let habits = Habits::default();
        Self { policies: Operation::ALL.map(policies), habits, saved: SAVED_BY_DISPOSE, has_disposed: false }
    }
}

impl PrefetchPolicies {
    /// What a call should carry. `are_few` is whether its execution is known to have few tasks, `place` the last call about it, this
    /// one included, that has one.
    pub fn prefetch(&self, operation: Operation, depth: Depth, are_few: bool, place: Place) -> Prefetch {
        let Policies { least, tasks } = &self.policies[operation as usize];
        let usual = Asked {
            execution: least.prefetches,
            result: tasks[depth as usize].prefetches,
            mark: tasks[depth as usize].prefetches || Prefetch::of(operation) == Prefetch::ExecutionAndMarks,
            ..Asked::default()
        };
        let habit = self.habits.at(place);
        let expected = habit.unwrap_or(usual);
        let least_saved = if habit.is_some() { 1 } else { 2 };
        match Prefetch::of(operation) {
            Prefetch::Tasks if are_few && (expected.result || expected.mark) && self.saved >= least_saved => {
                Prefetch::Tasks
            }
            // That is its own question.
            Prefetch::Tasks if operation == Operation::IsExecutionInProgress => Prefetch::Nothing,
            Prefetch::Tasks | Prefetch::Execution if expected.execution && (least.prefetches || self.saved >= 1) => {
                Prefetch::Execution
            }
            Prefetch::Tasks | Prefetch::Execution => Prefetch::Nothing,
            Prefetch::ExecutionAndMarks if !least.prefetches => Prefetch::Nothing,
            Prefetch::ExecutionAndMarks if expected.mark && self.saved >= 1 => Prefetch::ExecutionAndMarks,
            Prefetch::ExecutionAndMarks if expected.execution => Prefetch::Execution,
            Prefetch::ExecutionAndMarks => Prefetch::Nothing,
            other if least.prefetches => other,
            _ => Prefetch::Nothing,
        }
    }

    /// This was asked at a place.
    pub fn asked(&mut self, place: Place, asked: Asked) {
        self.habits.note(place, asked);
    }

    /// A call's turn is over, in which this became of what it carried, be it for itself or for questions beside it.
    pub fn carried(&mut self, operation: Operation, depth: Depth, prefetch: Prefetch, carried: Carried) {
        let Policies { least, tasks } = &mut self.policies[operation as usize];
        let (used, answers) = match carried {
            Carried::Used(used) => (Some(used), used.answers),
            Carried::Unused => (Some(Used::default()), 0),
            Carried::TooLate(used) => (None, used.answers),
        };
        let (before, behind) = prefetch.replies(operation);
        self.saved =
            (self.saved + answers.min(64) as i16 - (before + behind) as i16).clamp(*SAVED.start(), *SAVED.end());
        if prefetch == Prefetch::Tasks {
            tasks[depth as usize].carried(used.map(|used| used.tasks), max_unused_tasks(operation));
        }
        match (prefetch, operation) {
            (Prefetch::Nothing, _) | (Prefetch::Tasks, Operation::IsExecutionInProgress) => {}
            _ if !prefetch.is_for_results(operation) => {
                least.carried(used.map(|used| used.execution || used.tasks), max_unused(operation));
            }
            _ => {
                if prefetch == Prefetch::ExecutionAndMarks {
                    least.carried(used.map(|used| used.execution), max_unused(operation));
                }
                // Whichever call carries them, it is questions for results that they were carried for.
                let results = Operation::GetResult;
                self.policies[results as usize].least.carried(used.map(|used| used.tasks), max_unused(results));
            }
        }
    }

    /// An execution is disposed of.
    pub fn disposes(&mut self) {
        if std::mem::replace(&mut self.has_disposed, true) {
            self.saved = (self.saved + SAVED_BY_DISPOSE).min(*SAVED.end());
        }
    }

    /// A question was asked that the call before it, in the same turn, could have carried.
    pub fn missed(&mut self, operation: Operation, depth: Depth, asked: Operation) {
        let Policies { least, tasks } = &mut self.policies[operation as usize];
        let is_execution = asked == Operation::IsExecutionInProgress;
        match (Prefetch::of(operation), asked) {
            (Prefetch::Nothing, _) => {}
            (Prefetch::Tasks, _) if is_execution => least.missed(),
            (Prefetch::Tasks, Operation::GetResult | Operation::IsTaskInProgress) => tasks[depth as usize].missed(),
            (Prefetch::Execution, _) if is_execution => least.missed(),
            (Prefetch::OwnMark, Operation::IsTaskInProgress) => least.missed(),
            (Prefetch::ExecutionAndMarks, Operation::IsTaskInProgress) => least.missed(),
            (Prefetch::ExecutionAndMarks, _) if is_execution => least.missed(),
            (Prefetch::MarksAndResults, _) if !asked.writes() => least.missed(),
            _ => {}
        }
    }
}

impl PrefetchPolicy {
    /// Something was carried that was used or not, or asked too late.
    fn carried(&mut self, used: Option<bool>, max_unused: u8) {
        match used {
            Some(true) => {
                (self.used, self.unused, self.too_late) = (self.used.saturating_add(1), 0, 0);
                if self.used >= USED_TO_TRUST {
                    self.reserve = 1;
                }
                return;
            }
            Some(false) => (self.used, self.unused) = (0, self.unused.saturating_add(1)),
            None => self.too_late = self.too_late.saturating_add(1),
        }
        if self.prefetches && (self.unused >= max_unused || self.too_late >= MAX_TOO_LATE) {
            (self.prefetches, self.missed, self.used) = (false, 0, 0);
        }
    }

    fn missed(&mut self) {
        self.missed = self.missed.saturating_add(1);
        if !self.prefetches && self.missed >= self.reserve {
            (self.prefetches, self.unused, self.too_late) = (true, 0, 0);
            self.reserve = self.reserve.saturating_mul(4).min(MAX_RESERVE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::execution_hash::ExecutionHash;
    use super::super::habits::Executions;
    use super::*;

    const NONE: Carried = Carried::Unused;
    const EXECUTION: Carried = Carried::Used(Used { execution: true, tasks: false, answers: 1 });
    const BOTH: Carried = Carried::Used(Used { execution: true, tasks: true, answers: 3 });
    const TOO_LATE: Carried = Carried::TooLate(Used { execution: true, tasks: true, answers: 0 });

    /// Policies that may carry what they like.
    fn rich() -> PrefetchPolicies {
        PrefetchPolicies { saved: 64, ..PrefetchPolicies::default() }
    }

    #[test]
    fn what_may_be_for_nothing_is_carried_only_while_commands_are_saved() {
        let (results, commit) = (Operation::GetResults, Operation::CommitResult);
        let mut policies = PrefetchPolicies::default();
        assert_eq!(carries(&policies, results), Prefetch::ExecutionAndMarks);
        // The first two are spent.
        (0..2).for_each(|_| carry(&mut policies, results, EXECUTION));
        assert_eq!(carries(&policies, results), Prefetch::Execution);
        policies.missed(commit, Depth::Step, Operation::IsExecutionInProgress);
        policies.missed(commit, Depth::Step, Operation::GetResult);
        assert_eq!(carries(&policies, commit), Prefetch::Execution);
        policies.disposes();
        assert_eq!(carries(&policies, results), Prefetch::Execution);
        policies.disposes();
        assert_eq!(carries(&policies, results), Prefetch::ExecutionAndMarks);
        assert_eq!(carries(&policies, commit), Prefetch::Tasks);
        carry(&mut policies, commit, BOTH);
        assert_eq!(carries(&policies, commit), Prefetch::Tasks);
        carry(&mut policies, commit, EXECUTION);
        assert_eq!(carries(&policies, commit), Prefetch::Execution);
    }

    /// What a step's call carries while there are few tasks.
    fn carries(policies: &PrefetchPolicies, operation: Operation) -> Prefetch {
        policies.prefetch(operation, Depth::Step, true, Place::UNKNOWN)
    }

    /// A step's call carries what it does, and this becomes of it.
    fn carry(policies: &mut PrefetchPolicies, operation: Operation, carried: Carried) {
        let prefetch = carries(policies, operation);
        policies.carried(operation, Depth::Step, prefetch, carried);
    }

    #[test]
    fn what_was_asked_at_the_same_place_the_last_time_counts_more_than_what_is_usual() {
        let mut executions = Executions::default();
        executions.begin(ExecutionHash(7), Operation::CommitResult, b"f:step", 1);
        let (commit, place) = (Operation::CommitResult, executions.place(ExecutionHash(7)));
        let mut policies = rich();
        let carries = |policies: &PrefetchPolicies, operation| policies.prefetch(operation, Depth::Step, true, place);
        policies.missed(commit, Depth::Step, Operation::IsExecutionInProgress);
        policies.missed(commit, Depth::Step, Operation::GetResult);
        assert_eq!(carries(&policies, commit), Prefetch::Tasks);
        for (execution, mark, carried, with_results) in [
            (false, false, Prefetch::Nothing, Prefetch::Nothing),
            (true, false, Prefetch::Execution, Prefetch::Execution),
            (false, true, Prefetch::Tasks, Prefetch::ExecutionAndMarks),
            (true, true, Prefetch::Tasks, Prefetch::ExecutionAndMarks),
        ] {
            policies.asked(place, Asked { execution, mark, ..Asked::default() });
            assert_eq!(carries(&policies, commit), carried);
            assert_eq!(carries(&policies, Operation::GetResults), with_results);
            assert_eq!(policies.prefetch(commit, Depth::Step, true, Place::UNKNOWN), Prefetch::Tasks);
        }
        // Not with more commands than are saved.
        policies.saved = 0;
        assert_eq!(carries(&policies, commit), Prefetch::Execution);
        policies.asked(place, Asked { execution: true, ..Asked::default() });
        assert_eq!(carries(&policies, Operation::BeginTask), Prefetch::Nothing);
    }

    #[test]
    fn marks_that_another_call_carries_are_on_the_account_of_questions_for_results() {
        let (result, commit, unused) = (Operation::GetResult, Operation::CommitResult, Carried::Unused);
        let execution_only = Carried::Used(Used { execution: true, ..Used::default() });
        for (operation, prefetch, carried, of_results, of_own) in [
            (result, Prefetch::Marks, BOTH, Prefetch::OwnMark, Prefetch::OwnMark),
            (result, Prefetch::Marks, unused, Prefetch::Nothing, Prefetch::Nothing),
            (commit, Prefetch::Marks, unused, Prefetch::Nothing, Prefetch::Execution),
            (commit, Prefetch::ExecutionAndMarks, BOTH, Prefetch::OwnMark, Prefetch::Execution),
            (commit, Prefetch::ExecutionAndMarks, execution_only, Prefetch::Nothing, Prefetch::Execution),
            (commit, Prefetch::ExecutionAndMarks, unused, Prefetch::Nothing, Prefetch::Nothing),
            (commit, Prefetch::Execution, unused, Prefetch::OwnMark, Prefetch::Nothing),
        ] {
            let mut policies = rich();
            policies.missed(commit, Depth::Step, Operation::IsExecutionInProgress);
            policies.carried(operation, Depth::Step, prefetch, carried);
            assert_eq!(carries(&policies, result), of_results, "{operation:?} {prefetch:?} {carried:?}");
            assert_eq!(carries(&policies, operation), of_own, "{operation:?} {prefetch:?} {carried:?}");
        }
    }

    #[test]
    fn a_call_stops_carrying_what_is_asked_too_late_again_and_again() {
        let mut policies = rich();
        let results = Operation::GetResults;
        for _ in 0..100 {
            (1..MAX_TOO_LATE).for_each(|_| carry(&mut policies, results, TOO_LATE));
            carry(&mut policies, results, BOTH);
            policies.saved = 64;
        }
        assert_eq!(carries(&policies, results), Prefetch::ExecutionAndMarks);
        (0..MAX_TOO_LATE).for_each(|_| carry(&mut policies, results, TOO_LATE));
        assert_eq!(carries(&policies, results), Prefetch::Nothing);
        policies.missed(results, Depth::Function, Operation::IsTaskInProgress);
        assert_eq!(carries(&policies, results), Prefetch::ExecutionAndMarks);
    }

    #[test]
    fn a_write_carries_only_while_the_question_after_it_is_asked() {
        for operation in [Operation::BeginTask, Operation::CommitResult, Operation::Dispose] {
            let mut policies = rich();
            assert_eq!(carries(&policies, operation), Prefetch::Nothing);
            policies.missed(operation, Depth::Step, Operation::IsExecutionInProgress);
            assert_eq!(carries(&policies, operation), Prefetch::Execution);
            carry(&mut policies, operation, EXECUTION);
            assert_eq!(carries(&policies, operation), Prefetch::Execution);
            carry(&mut policies, operation, NONE);
            assert_eq!(carries(&policies, operation), Prefetch::Nothing);
        }
    }

    #[test]
    fn a_write_carries_which_tasks_there_are_while_they_are_few_and_the_next_one_is_asked_for() {
        let mut policies = rich();
        let commit = Operation::CommitResult;
        policies.missed(commit, Depth::Step, Operation::IsExecutionInProgress);
        policies.missed(commit, Depth::Step, Operation::GetResult);
        assert_eq!(carries(&policies, commit), Prefetch::Tasks);
        assert_eq!(policies.prefetch(commit, Depth::Step, false, Place::UNKNOWN), Prefetch::Execution);
        assert_eq!(policies.prefetch(commit, Depth::Function, true, Place::UNKNOWN), Prefetch::Execution);
        // A workflow's last step.
        carry(&mut policies, commit, EXECUTION);
        carry(&mut policies, commit, BOTH);
        carry(&mut policies, commit, EXECUTION);
        assert_eq!(carries(&policies, commit), Prefetch::Tasks);
        carry(&mut policies, commit, EXECUTION);
        assert_eq!(carries(&policies, commit), Prefetch::Execution);
        policies.missed(commit, Depth::Step, Operation::IsTaskInProgress);
        assert_eq!(carries(&policies, commit), Prefetch::Execution);
        (0..3).for_each(|_| policies.missed(commit, Depth::Step, Operation::IsTaskInProgress));
        assert_eq!(carries(&policies, commit), Prefetch::Tasks);
    }

    #[test]
    fn whether_the_execution_is_in_progress_is_asked_alone_until_tasks_are_asked_for_behind_it() {
        let mut policies = rich();
        let asked = Operation::IsExecutionInProgress;
        policies.missed(asked, Depth::Step, asked);
        assert_eq!(carries(&policies, asked), Prefetch::Nothing);
        policies.missed(asked, Depth::Step, Operation::GetResult);
        assert_eq!(carries(&policies, asked), Prefetch::Tasks);
        assert_eq!(policies.prefetch(asked, Depth::Step, false, Place::UNKNOWN), Prefetch::Nothing);
        carry(&mut policies, asked, BOTH);
        assert_eq!(carries(&policies, asked), Prefetch::Tasks);
        carry(&mut policies, asked, EXECUTION);
        assert_eq!(carries(&policies, asked), Prefetch::Nothing);
    }

    #[test]
    fn reads_stop_carrying_for_a_caller_that_never_asks() {
        let mut policies = rich();
        for _ in 1..max_unused(Operation::GetResults) {
            carry(&mut policies, Operation::GetResults, NONE);
        }
        assert_eq!(carries(&policies, Operation::GetResults), Prefetch::ExecutionAndMarks);
        carry(&mut policies, Operation::GetResults, NONE);
        assert_eq!(carries(&policies, Operation::GetResults), Prefetch::Nothing);
        policies.missed(Operation::GetResults, Depth::Function, Operation::IsTaskInProgress);
        assert_eq!(carries(&policies, Operation::GetResults), Prefetch::ExecutionAndMarks);
    }

    #[test]
    fn a_caller_who_asks_now_and_then_is_guessed_at_less_and_less() {
        let mut policies = rich();
        let (mark, asked) = (Operation::BeginTask, Operation::IsExecutionInProgress);
        let mut wasted = 0;
        for _ in 0..1000 {
            if carries(&policies, mark) == Prefetch::Nothing {
                policies.missed(mark, Depth::Step, asked);
            } else {
                wasted += 1;
                carry(&mut policies, mark, NONE);
            }
        }
        assert!(wasted < 20, "{wasted}");
        for _ in 0..MAX_RESERVE {
            policies.missed(mark, Depth::Step, asked);
        }
        for _ in 0..USED_TO_TRUST {
            carry(&mut policies, mark, EXECUTION);
        }
        carry(&mut policies, mark, NONE);
        policies.missed(mark, Depth::Step, asked);
        assert_eq!(carries(&policies, mark), Prefetch::Execution);
    }

    #[test]
    fn the_depth_of_a_task_is_whether_its_function_has_named_it() {
        assert_eq!([&b"order"[..], b"", b"order:step", b"a:b:c"].map(Depth::of), {
            use Depth::{Function, Step};
            [Function, Function, Step, Step]
        });
    }
}
