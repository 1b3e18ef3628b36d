//! The reads that a call carries along.

use super::operation::Operation;

/// The reads that a call carries along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefetch {
    /// None.
    #[default]
    Nothing,
    /// Whether the execution is in progress.
    Execution,
    /// Whether the call's own task is in progress.
    OwnMark,
    /// All tasks in progress, among them those whose results were asked for beside the call.
    Marks,
    /// Whether the execution is in progress, and all tasks in progress.
    ExecutionAndMarks,
    /// All tasks in progress and all results.
    MarksAndResults,
    /// Which tasks are in progress, which have a result, and whether the execution is in progress.
    Tasks,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Whether the call's own task is in progress.
    Mark,
    /// All tasks in progress.
    Marks,
    /// All results.
    Results,
    /// The names of all tasks in progress.
    MarkNames,
    /// The names of all tasks that have a result.
    ResultNames,
    /// Whether the execution is in progress.
    Execution,
}

impl Prefetch {
    /// All there are.
    pub const ALL: [Prefetch; 7] = [
        Prefetch::Nothing,
        Prefetch::Execution,
        Prefetch::OwnMark,
        Prefetch::Marks,
        Prefetch::ExecutionAndMarks,
        Prefetch::MarksAndResults,
        Prefetch::Tasks,
    ];

    /// The most that is worth carrying with a call: what the worker asks next.
    pub fn of(operation: Operation) -> Prefetch {
        match operation {
            // A new execution: its message goes on to ask for the results, and for each step.
            Operation::BeginExecution => Prefetch::MarksAndResults,
            // The first question of each message.
            Operation::GetResults => Prefetch::ExecutionAndMarks,
            // No result: is the step on its way already?
            Operation::GetResult => Prefetch::OwnMark,
            // In a loop within one process, the next turn of the loop begins with whether the execution is in progress, and goes
            // on with the next step.
            Operation::BeginTask | Operation::CommitResult | Operation::IsExecutionInProgress => Prefetch::Tasks,
            // The loop may have more to do, and asks whether it should.
            Operation::Dispose => Prefetch::Execution,
            Operation::IsTaskInProgress | Operation::Touch => Prefetch::Nothing,
        }
    }

    /// These reads, and those of the marks that the questions for results beside a call of this kind would have carried, each its own.
    pub fn with_marks(self, operation: Operation) -> Prefetch {
        match (self, operation) {
            // Nothing is left, or nothing is asked about tasks.
            (_, Operation::Dispose | Operation::Touch) => self,
            (Prefetch::Nothing | Prefetch::OwnMark, _) => Prefetch::Marks,
            (Prefetch::Execution, _) => Prefetch::ExecutionAndMarks,
            (Prefetch::Marks | Prefetch::ExecutionAndMarks | Prefetch::MarksAndResults | Prefetch::Tasks, _) => self,
        }
    }

    /// Whether these are marks that a question for a result asked for, of its own task or of those of the questions beside it.
    pub fn is_for_results(self, operation: Operation) -> bool {
        match self {
            Prefetch::OwnMark | Prefetch::Marks => true,
            Prefetch::ExecutionAndMarks => Prefetch::of(operation) != Prefetch::ExecutionAndMarks,
            Prefetch::Nothing | Prefetch::Execution | Prefetch::MarksAndResults | Prefetch::Tasks => false,
        }
    }

    /// Whether these are several reads, that of the call itself included. They are answered as of one moment, where the server
    /// allows it.
    pub fn is_several(self, operation: Operation) -> bool {
        match self {
            Prefetch::Nothing => false,
            Prefetch::Execution | Prefetch::Marks => !operation.writes(),
            Prefetch::OwnMark | Prefetch::ExecutionAndMarks | Prefetch::MarksAndResults | Prefetch::Tasks => true,
        }
    }

    /// The reads that a call carries, in their order: tasks in progress before results, the execution last.
    pub fn reads(self, operation: Operation) -> &'static [Read] {
        match (self, operation) {
            (Prefetch::Nothing, _) => &[],
            (Prefetch::OwnMark, _) => &[Read::Mark],
            (Prefetch::Marks, _) => &[Read::Marks],
            (Prefetch::ExecutionAndMarks, _) => &[Read::Marks, Read::Execution],
            (Prefetch::Execution, _) => &[Read::Execution],
            (Prefetch::MarksAndResults, _) => &[Read::Marks, Read::Results],
            // The call asks itself whether the execution is in progress.
            (Prefetch::Tasks, Operation::IsExecutionInProgress) => &[Read::MarkNames, Read::ResultNames],
            (Prefetch::Tasks, _) => &[Read::MarkNames, Read::ResultNames, Read::Execution],
        }
    }

    /// How many of them go before the call itself, and how many behind it: behind a write, all; and else what is about results or the
    /// execution, unless that is what the call asks.
    pub fn replies(self, operation: Operation) -> (usize, usize) {
        let reads = self.reads(operation).len();
        let before = match (self, operation) {
            _ if operation.writes() => 0,
            (Prefetch::Tasks, Operation::IsExecutionInProgress) => reads,
            (Prefetch::OwnMark | Prefetch::Marks | Prefetch::ExecutionAndMarks, _) => 1,
            _ => 0,
        };
        (before, reads - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_before_what_a_question_asks_and_behind_what_is_written() {
        for operation in Operation::ALL {
            for prefetch in Prefetch::ALL {
                let (reads, (before, behind)) = (prefetch.reads(operation), prefetch.replies(operation));
                assert_eq!(before + behind, reads.len());
                assert!(!operation.writes() || before == 0, "{operation:?} {prefetch:?}");
                // Where a question could be answered as if its mark had been removed before its result was there.
                let is_early = |read: &Read| matches!(read, Read::Mark | Read::Marks);
                if operation == Operation::GetResult && prefetch.is_for_results(operation) {
                    assert!(reads[..before].iter().any(is_early), "{prefetch:?}");
                }
            }
        }
    }

    #[test]
    fn what_stands_beside_questions_for_results_carries_their_marks_and_its_own_reads() {
        for operation in Operation::ALL {
            for prefetch in Prefetch::ALL {
                let joined = prefetch.with_marks(operation);
                let all = joined.reads(operation);
                let tells = all.iter().any(|read| matches!(read, Read::Marks | Read::MarkNames));
                let is_over = matches!(operation, Operation::Dispose | Operation::Touch);
                assert!(tells || is_over && joined == prefetch, "{operation:?} {prefetch:?}");
                let mut own = prefetch.reads(operation).iter();
                assert!(own.all(|read| *read == Read::Mark || all.contains(read)), "{operation:?} {prefetch:?}");
            }
        }
    }
}
