//! Read-ahead: what one round trip taught us beyond its own answer.
//!
//! A worker awaits one call after another, and most calls are questions about the same execution, asked within one turn of
//! the event loop. So a call may carry the small reads that are about to be asked ([`Prefetch`]), and what comes back
//! ([`Snapshot`]) answers those questions in the same turn, in which nothing else can have come from Redis: a caller
//! cannot tell it from a server that answered at that instant. When a snapshot begins and ends is decided by the
//! JavaScript side; what may be concluded from it is decided here.
//!
//! Two rules hold. It must never cost more commands than it saves, so each call carries just what the worker asks
//! next. And what is carried is read in the one order that is safe when another worker's command comes in between: marks
//! before results, so that a task being committed is seen as marked, or as both marked and done, but never as neither; and
//! whether the execution is in progress after its results, as the worker asks it, so that an execution being disposed of
//! is never seen as in progress without them.
//!
//! The commands of one pipeline are no transaction: the server may serve another client between any two of them, so the parts of
//! one snapshot, and the answer of the call that carried it, can be a command's time apart. For [`super::recency`], which orders
//! whole calls, they count as one.

use std::hash::Hasher;

use redis::Value;
use rustc_hash::{FxHashSet, FxHasher};

use super::answer::{Answer, Entry, splice};
use super::operation::Operation;
use super::prefetch::Prefetch;
use super::reply_values::entries;

/// Results beyond these are not kept for later questions, only which tasks have one: looking one up must stay cheaper than
/// asking Redis.
const MAX_RESULTS: usize = 256;
/// Bytes of results beyond which they are not kept.
const MAX_RESULT_BYTES: usize = 64 * 1024;

/// What is known of one execution. A part is `None` when it was not asked or was refused: then Redis is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    execution: Option<bool>,
    marks: Option<Marks>,
    results: Option<Known>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Marks {
    /// All tasks that are marked.
    All(FxHashSet<Vec<u8>>),
    /// One task, and whether it is marked.
    One(Vec<u8>, bool),
}

/// What is known of the results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// All of them.
    All(Vec<Entry>),
    /// Too many or too large to be kept: hashes of the tasks that have one. The worker asks for the result of a step
    /// when it has seen none, so the answer is nearly always that there is none.
    Tasks(FxHashSet<u64>),
}

impl Known {
    /// What is kept of the results for later questions.
    pub fn of(entries: &[Entry]) -> Known {
        let bytes = || entries.iter().map(|(task, json)| task.len() + json.len()).sum::<usize>();
        if entries.len() <= MAX_RESULTS && bytes() <= MAX_RESULT_BYTES {
            Known::All(entries.to_vec())
        } else {
            Known::Tasks(entries.iter().map(|(task, _)| hash(task)).collect())
        }
    }
}

/// A task or an execution in eight bytes.
pub fn hash(id: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(id);
    hasher.finish()
}

impl Snapshot {
    /// The snapshot from a successful call about a task and the reads it carried. `carried` are the replies to those, in their order.
    pub fn new(
        prefetch: Prefetch,
        task: &[u8],
        mut carried: impl Iterator<Item = Value>,
        own: Option<Known>,
    ) -> Option<Snapshot> {
        // A read that was refused leaves its part unknown: then Redis is asked.
        let mut next = || carried.next().filter(|reply| !matches!(reply, Value::ServerError(_)));
        let present = |reply: Value| !matches!(reply, Value::Nil);
        let marks = |reply: Value| {
            let marks = entries(reply).ok()?;
            Some(Marks::All(marks.into_iter().map(|(task, _)| task).collect()))
        };
        let snapshot = match prefetch {
            Prefetch::Nothing => return None,
            Prefetch::Execution => Snapshot { execution: next().map(present), ..Snapshot::default() },
            Prefetch::OwnMark => {
                Snapshot { marks: next().map(|reply| Marks::One(task.to_vec(), present(reply))), ..Snapshot::default() }
            }
            Prefetch::ExecutionAndMarks => {
                Snapshot { marks: next().and_then(marks), results: own, execution: next().map(present) }
            }
            Prefetch::MarksAndResults => Snapshot {
                // The call has just written it.
                execution: Some(true),
                marks: next().and_then(marks),
                results: next().and_then(|reply| entries(reply).ok()).map(|entries| Known::of(&entries)),
            },
        };
        Some(snapshot)
    }

    /// The answer to a question, if the snapshot has it.
    pub fn answer(&self, operation: Operation, task: &[u8]) -> Option<Answer> {
        match operation {
            Operation::IsExecutionInProgress => self.execution.map(Answer::Flag),
            Operation::IsTaskInProgress => match self.marks.as_ref()? {
                Marks::All(marks) => Some(Answer::Flag(marks.contains(task))),
                Marks::One(own, marked) => (own == task).then_some(Answer::Flag(*marked)),
            },
            Operation::GetResult => match self.results.as_ref()? {
                Known::All(results) => {
                    let found = results.iter().find(|(own, _)| own == task);
                    Some(Answer::Value(found.map(|(_, json)| json.clone())))
                }
                Known::Tasks(tasks) => (!tasks.contains(&hash(task))).then_some(Answer::Value(None)),
            },
            Operation::GetResults => match self.results.as_ref()? {
                Known::All(results) => Some(Answer::Results(splice(results.clone()))),
                Known::Tasks(_) => None,
            },
            Operation::BeginExecution | Operation::BeginTask | Operation::CommitResult | Operation::Dispose => None,
        }
    }
}

#[cfg(test)]
mod tests;
