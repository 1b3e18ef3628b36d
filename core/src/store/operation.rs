//! The store operations: the eight of the worker's interface, and `touch`.

use super::keys::Role;

/// The store calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `beginExecution(executionId)`
    BeginExecution,
    /// `isExecutionInProgress(executionId)`
    IsExecutionInProgress,
    /// `beginExecutionTask(executionId, taskId)`
    BeginTask,
    /// `isExecutionTaskInProgress(executionId, taskId)`
    IsTaskInProgress,
    /// `commitExecutionTaskResult(executionId, taskId, value)`
    CommitResult,
    /// `getExecutionTaskResult(executionId, taskId)`
    GetResult,
    /// `getExecutionTaskResults(executionId)`
    GetResults,
    /// `disposeExecution(executionId)`
    Dispose,
    /// `touch(executionId, taskId?)`
    Touch,
}

impl Operation {
    /// Every call, in the order of the worker's interface, then those of the store's own.
    pub const ALL: [Operation; 9] = [
        Operation::BeginExecution,
        Operation::IsExecutionInProgress,
        Operation::BeginTask,
        Operation::IsTaskInProgress,
        Operation::CommitResult,
        Operation::GetResult,
        Operation::GetResults,
        Operation::Dispose,
        Operation::Touch,
    ];

    /// The method's name in JavaScript.
    pub fn name(self) -> &'static str {
        match self {
            Operation::BeginExecution => "beginExecution",
            Operation::IsExecutionInProgress => "isExecutionInProgress",
            Operation::BeginTask => "beginExecutionTask",
            Operation::IsTaskInProgress => "isExecutionTaskInProgress",
            Operation::CommitResult => "commitExecutionTaskResult",
            Operation::GetResult => "getExecutionTaskResult",
            Operation::GetResults => "getExecutionTaskResults",
            Operation::Dispose => "disposeExecution",
            Operation::Touch => "touch",
        }
    }

    /// Whether the call always names a task besides the execution.
    pub fn has_task(self) -> bool {
        matches!(
            self,
            Operation::BeginTask | Operation::IsTaskInProgress | Operation::CommitResult | Operation::GetResult
        )
    }

    /// Whether the call changes what Redis holds.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Operation::BeginExecution
                | Operation::BeginTask
                | Operation::CommitResult
                | Operation::Dispose
                | Operation::Touch
        )
    }

    /// Whether the call is answered with results, which may be large.
    pub fn reads_results(self) -> bool {
        matches!(self, Operation::GetResult | Operation::GetResults)
    }

    /// The key the call is about, for error messages.
    pub fn role(self) -> Role {
        match self {
            Operation::BeginExecution | Operation::IsExecutionInProgress | Operation::Dispose | Operation::Touch => {
                Role::Execution
            }
            Operation::BeginTask | Operation::IsTaskInProgress => Role::Transactions,
            Operation::CommitResult | Operation::GetResult | Operation::GetResults => Role::Results,
        }
    }
}
