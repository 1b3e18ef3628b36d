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
    /// Whether the execution is in progress, and all tasks in progress.
    ExecutionAndMarks,
    /// All tasks in progress and all results.
    MarksAndResults,
}

impl Prefetch {
    /// What is worth carrying with a call, if anything: what the worker asks next.
    pub fn of(operation: Operation) -> Prefetch {
        match operation {
            // A new execution: its message goes on to ask for the results, and for each step.
            Operation::BeginExecution => Prefetch::MarksAndResults,
            // The first question of each message.
            Operation::GetResults => Prefetch::ExecutionAndMarks,
            // No result: is the step on its way already?
            Operation::GetResult => Prefetch::OwnMark,
            // In a loop within one process, the next turn of the loop begins with this question.
            Operation::BeginTask | Operation::CommitResult => Prefetch::Execution,
            Operation::IsExecutionInProgress | Operation::IsTaskInProgress | Operation::Dispose => Prefetch::Nothing,
        }
    }

    /// Whether what is carried would have answered a question.
    pub fn covers(self, asked: Operation) -> bool {
        match self {
            Prefetch::Nothing => false,
            Prefetch::Execution => asked == Operation::IsExecutionInProgress,
            Prefetch::OwnMark => asked == Operation::IsTaskInProgress,
            Prefetch::ExecutionAndMarks => {
                matches!(asked, Operation::IsExecutionInProgress | Operation::IsTaskInProgress)
            }
            Prefetch::MarksAndResults => !asked.writes(),
        }
    }

    /// How many replies the carried reads bring before and behind those of the call itself.
    pub fn replies(self) -> (usize, usize) {
        match self {
            Prefetch::Nothing => (0, 0),
            Prefetch::OwnMark => (1, 0),
            Prefetch::ExecutionAndMarks => (1, 1),
            Prefetch::Execution => (0, 1),
            Prefetch::MarksAndResults => (0, 2),
        }
    }
}
