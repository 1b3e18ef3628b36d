//! Read-ahead: what one round trip taught us beyond its own answer.
//!
//! A worker awaits one call after another, and most calls are questions about the same execution, asked within one turn of
//! the event loop. So a call may carry the small reads that are about to be asked ([`Prefetch`]), and what comes back
//! ([`Snapshot`]) answers those questions in the same turn, in which nothing else can have come from Redis: a caller
//! cannot tell it from a server that answered at that instant. When a snapshot begins and ends is decided by the
//! JavaScript side; what may be concluded from it is decided here.
//!
//! Two rules hold. It must never cost more commands than it saves, so each call carries just what the worker asks
//! next. And what is carried is read in the one order that is safe when another worker's command comes in between: tasks in
//! progress before results, so that a task being committed is seen as in progress, or as both in progress and done, but
//! never as neither; and whether the execution is in progress after its results, as the worker asks it, so that an
//! execution being disposed of is never seen as in progress without them.
//!
//! The commands of one pipeline are no transaction: the server may serve another client between any two of them, so the parts of
//! one snapshot, and the answer of the call that carried it, can be a command's time apart. For [`super::recency`], which orders
//! whole calls, they count as one.

use rustc_hash::FxHashSet;

use super::answer::Answer;
pub use super::known::{Known, hash};
use super::operation::Operation;
use super::prefetch::Prefetch;

/// What is known of one execution. A part is `None` when it was not asked or was refused: then Redis is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    execution: Option<bool>,
    marks: Option<Marks>,
    results: Option<Known>,
    /// Hashes of tasks of which nothing is known any more.
    forgotten: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Marks {
    /// All tasks that are in progress.
    All(FxHashSet<Vec<u8>>),
    /// One task, and whether it is in progress.
    One(Vec<u8>, bool),
}

/// What replies told, each part when it was asked and not refused.
#[derive(Debug, Default)]
pub struct Learnt {
    /// Whether the execution is in progress.
    pub execution: Option<bool>,
    /// Whether the call's own task is in progress.
    pub mark: Option<bool>,
    /// All tasks that are in progress.
    pub marks: Option<FxHashSet<Vec<u8>>>,
    /// The results that the call carried.
    pub results: Option<Known>,
    /// The results that the call asked for.
    pub own_results: Option<Known>,
}

impl Snapshot {
    /// The snapshot from a successful call about a task and the reads it carried.
    pub fn new(prefetch: Prefetch, task: &[u8], learnt: Learnt) -> Option<Snapshot> {
        let Learnt { execution, mark, marks, results, own_results } = learnt;
        let marks = marks.map(Marks::All);
        let snapshot = match prefetch {
            Prefetch::Nothing => return None,
            Prefetch::Execution => Snapshot { execution, results: own_results, ..Snapshot::default() },
            Prefetch::OwnMark => {
                Snapshot { marks: mark.map(|marked| Marks::One(task.to_vec(), marked)), ..Snapshot::default() }
            }
            Prefetch::Marks | Prefetch::ExecutionAndMarks => {
                Snapshot { execution, marks, results: own_results, ..Snapshot::default() }
            }
            // The call has just written it.
            Prefetch::MarksAndResults => Snapshot { execution: Some(true), marks, results, ..Snapshot::default() },
            Prefetch::Tasks => Snapshot { execution, marks, results, ..Snapshot::default() },
        };
        Some(snapshot)
    }

    /// How many tasks are known to be in progress or to have a result, whichever are more; `None` when either is not known.
    pub fn tasks(&self) -> Option<usize> {
        match (self.marks.as_ref()?, self.results.as_ref()?) {
            (Marks::All(marks), results) => Some(marks.len().max(results.len())),
            (Marks::One(..), _) => None,
        }
    }

    /// A write about a task begins: nothing is known any more of that task, nor of all of them together. What is known of
    /// the others and of the execution is not changed by it.
    pub fn forget_task(&mut self, task: &[u8]) {
        self.forgotten.push(hash(task));
    }

    /// The answer to a question, if the snapshot has it.
    pub fn answer(&self, operation: Operation, task: &[u8]) -> Option<Answer> {
        let is_forgotten = match operation {
            Operation::GetResult | Operation::IsTaskInProgress => self.forgotten.contains(&hash(task)),
            Operation::GetResults => !self.forgotten.is_empty(),
            _ => false,
        };
        if is_forgotten {
            return None;
        }
        match operation {
            Operation::IsExecutionInProgress => self.execution.map(Answer::Flag),
            Operation::IsTaskInProgress => match self.marks.as_ref()? {
                Marks::All(marks) => Some(Answer::Flag(marks.contains(task))),
                Marks::One(own, marked) => (own == task).then_some(Answer::Flag(*marked)),
            },
            Operation::GetResult => match self.results.as_ref()? {
                Known::All(results) => Some(Answer::Value(results.find(task).map(<[u8]>::to_vec))),
                Known::Tasks(tasks) => (!tasks.contains(&hash(task))).then_some(Answer::Value(None)),
            },
            Operation::GetResults => match self.results.as_ref()? {
                Known::All(results) => Some(Answer::Results(results.splice())),
                Known::Tasks(_) => None,
            },
            Operation::BeginExecution
            | Operation::BeginTask
            | Operation::CommitResult
            | Operation::Dispose
            | Operation::Touch => None,
        }
    }
}

#[cfg(test)]
mod tests;
