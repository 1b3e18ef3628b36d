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
    /// Which tasks are in progress, which have a result, and whether the execution is in progress.
    Tasks,
}

impl Prefetch {
    /// All there are.
    pub const ALL: [Prefetch; 6] = [
        Prefetch::Nothing,
        Prefetch::Execution,
        Prefetch::OwnMark,
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

    /// Whether these are several reads, that of the call itself included. They are answered as of one moment, where the server
    /// allows it.
    pub fn is_several(self, operation: Operation) -> bool {
        match self {
            Prefetch::Nothing => false,
            Prefetch::Execution => !operation.writes(),
            Prefetch::OwnMark | Prefetch::ExecutionAndMarks | Prefetch::MarksAndResults | Prefetch::Tasks => true,
        }
    }

    /// How many replies the reads that a call carries bring before and behind those of the call itself.
    pub fn replies(self, operation: Operation) -> (usize, usize) {
        match (self, operation) {
            (Prefetch::Nothing, _) => (0, 0),
            (Prefetch::OwnMark, _) => (1, 0),
            (Prefetch::ExecutionAndMarks, _) => (1, 1),
            (Prefetch::Execution, _) => (0, 1),
            (Prefetch::MarksAndResults, _) => (0, 2),
            // The call asks itself whether the execution is in progress.
            (Prefetch::Tasks, Operation::IsExecutionInProgress) => (2, 0),
            (Prefetch::Tasks, _) => (0, 3),
        }
    }
}
