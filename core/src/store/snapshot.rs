//! Read-ahead: what one round trip taught us beyond its own answer.
//!
//! A worker awaits one call after another, and most calls are questions about the same execution, asked within one turn of
//! the event loop. So a call may carry the small reads that are about to be asked ([`Ahead`]), and what comes back
//! ([`Snapshot`]) answers those questions in the same turn, in which nothing else can have been heard from Redis: a caller
//! cannot tell it from a server that answered at that instant. When a snapshot begins and ends is decided by the
//! JavaScript side; what may be concluded from it is decided here.
//!
//! Two rules keep it honest. It must never cost more commands than it saves, so each call carries just what the worker asks
//! next. And what is carried is read in the one order that is safe when another worker's command comes in between: marks
//! before results, so that a task being committed is seen as marked, or as both marked and done, but never as neither; and
//! whether the execution is in progress after its results, as the worker asks it, so that an execution being disposed of
//! is never seen as in progress without them.
//!
//! The commands of one pipeline are no transaction: the server may serve another client between any two of them, so the parts of
//! one snapshot, and the answer of the call that carried it, can be a command's time apart. For [`super::recency`], which orders
//! whole calls, they count as one.

use std::hash::Hasher;

use redis::{Pipeline, Value};
use rustc_hash::{FxHashSet, FxHasher};

use super::call::{Call, Kind};
use super::keys::Role;
use super::reply::{Answer, Entry, entries, splice};

/// Results beyond these are not kept for later questions, only which tasks have one: looking one up must stay cheaper than
/// asking Redis.
const MOST_RESULTS: usize = 256;
/// Bytes of results beyond which they are not kept.
const MOST_RESULT_BYTES: usize = 64 * 1024;

/// The reads that a call carries along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ahead {
    /// None.
    #[default]
    Nothing,
    /// Whether the execution is in progress.
    Execution,
    /// Whether the call's own task is marked.
    OwnMark,
    /// Whether the execution is in progress, and all marks.
    ExecutionAndMarks,
    /// All marks and all results.
    MarksAndResults,
}

impl Ahead {
    /// What is worth carrying with a call, if anything: what the worker asks next.
    pub fn of(kind: Kind) -> Ahead {
        match kind {
            // A new execution: its message goes on to ask for the results, and for each step.
            Kind::BeginExecution => Ahead::MarksAndResults,
            // The first question of each message.
            Kind::GetResults => Ahead::ExecutionAndMarks,
            // No result: is the step on its way already?
            Kind::GetResult => Ahead::OwnMark,
            // In a loop within one process, the next turn of the loop begins with this question.
            Kind::BeginTask | Kind::CommitResult => Ahead::Execution,
            Kind::IsExecutionInProgress | Kind::IsTaskInProgress | Kind::Dispose => Ahead::Nothing,
        }
    }

    /// Adds the reads that go before the call's own commands.
    pub fn append_before(self, call: &Call, pipeline: &mut Pipeline) {
        match self {
            Ahead::Nothing | Ahead::Execution | Ahead::MarksAndResults => {}
            Ahead::OwnMark => call.push(pipeline, "HGET", Role::Transactions, &[call.task()]),
            Ahead::ExecutionAndMarks => call.push(pipeline, "HGETALL", Role::Transactions, &[]),
        }
    }

    /// Adds the reads that go behind the call's own commands.
    pub fn append_behind(self, call: &Call, pipeline: &mut Pipeline) {
        match self {
            Ahead::Nothing | Ahead::OwnMark => {}
            Ahead::Execution | Ahead::ExecutionAndMarks => call.push(pipeline, "GET", Role::Execution, &[]),
            Ahead::MarksAndResults => {
                call.push(pipeline, "HGETALL", Role::Transactions, &[]);
                call.push(pipeline, "HGETALL", Role::Results, &[]);
            }
        }
    }

    /// Whether what is carried would have answered a question.
    pub fn covers(self, asked: Kind) -> bool {
        match self {
            Ahead::Nothing => false,
            Ahead::Execution => asked == Kind::IsExecutionInProgress,
            Ahead::OwnMark => asked == Kind::IsTaskInProgress,
            Ahead::ExecutionAndMarks => matches!(asked, Kind::IsExecutionInProgress | Kind::IsTaskInProgress),
            Ahead::MarksAndResults => !asked.writes(),
        }
    }

    /// How many replies the carried reads bring before and behind those of the call itself.
    pub fn replies(self) -> (usize, usize) {
        match self {
            Ahead::Nothing => (0, 0),
            Ahead::OwnMark => (1, 0),
            Ahead::ExecutionAndMarks => (1, 1),
            Ahead::Execution => (0, 1),
            Ahead::MarksAndResults => (0, 2),
        }
    }
}

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
        if entries.len() <= MOST_RESULTS && bytes() <= MOST_RESULT_BYTES {
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
    /// What a successful call and the reads it carried tell. `carried` are the replies to those, in their order.
    pub fn new(call: &Call, mut carried: impl Iterator<Item = Value>, own: Option<Known>) -> Option<Snapshot> {
        // What was refused is not known.
        let mut next = || carried.next().filter(|reply| !matches!(reply, Value::ServerError(_)));
        let present = |reply: Value| !matches!(reply, Value::Nil);
        let marks = |reply: Value| {
            let marks = entries(reply).ok()?;
            Some(Marks::All(marks.into_iter().map(|(task, _)| task).collect()))
        };
        let snapshot = match call.ahead {
            Ahead::Nothing => return None,
            Ahead::Execution => Snapshot { execution: next().map(present), ..Snapshot::default() },
            Ahead::OwnMark => Snapshot {
                marks: next().map(|reply| Marks::One(call.task().to_vec(), present(reply))),
                ..Snapshot::default()
            },
            Ahead::ExecutionAndMarks => {
                Snapshot { marks: next().and_then(marks), results: own, execution: next().map(present) }
            }
            Ahead::MarksAndResults => Snapshot {
                // The call has just written it.
                execution: Some(true),
                marks: next().and_then(marks),
                results: next().and_then(|reply| entries(reply).ok()).map(|entries| Known::of(&entries)),
            },
        };
        Some(snapshot)
    }

    /// The answer to a question, if the snapshot has it.
    pub fn answer(&self, kind: Kind, task: &[u8]) -> Option<Answer> {
        match kind {
            Kind::IsExecutionInProgress => self.execution.map(Answer::Flag),
            Kind::IsTaskInProgress => match self.marks.as_ref()? {
                Marks::All(marks) => Some(Answer::Flag(marks.contains(task))),
                Marks::One(own, marked) => (own == task).then_some(Answer::Flag(*marked)),
            },
            Kind::GetResult => match self.results.as_ref()? {
                Known::All(results) => {
                    let found = results.iter().find(|(own, _)| own == task);
                    Some(Answer::Value(found.map(|(_, json)| json.clone())))
                }
                Known::Tasks(tasks) => (!tasks.contains(&hash(task))).then_some(Answer::Value(None)),
            },
            Kind::GetResults => match self.results.as_ref()? {
                Known::All(results) => Some(Answer::Results(splice(results.clone()))),
                Known::Tasks(_) => None,
            },
            Kind::BeginExecution | Kind::BeginTask | Kind::CommitResult | Kind::Dispose => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::reply;

    fn carrying(kind: Kind) -> Call {
        Call::new(kind, Default::default(), b"runstep".to_vec(), 3, if kind.has_task() { 7 } else { 3 })
            .carrying(Ahead::of(kind))
    }

    fn commands(kind: Kind) -> Vec<String> {
        let mut pipeline = Pipeline::new();
        carrying(kind).append(Default::default(), &mut pipeline);
        let words = |command: &redis::Cmd| {
            let words = command.args_iter().map(|argument| match argument {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::from("?"),
            });
            words.collect::<Vec<_>>().join(" ")
        };
        pipeline.cmd_iter().map(words).collect()
    }

    fn snapshot(kind: Kind, mut replies: Vec<Value>) -> Snapshot {
        *reply::read(&carrying(kind), &mut replies).unwrap().snapshot.unwrap()
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn hash_of(pairs: &[(&str, &str)]) -> Value {
        Value::Array(pairs.iter().flat_map(|(field, value)| [bulk(field), bulk(value)]).collect())
    }

    fn refused() -> Value {
        redis::parse_redis_value(b"-NOPERM this user has no permissions\r\n").unwrap()
    }

    #[test]
    fn marks_are_read_before_results_and_the_execution_after_them() {
        let whole = ["HGETALL run-transactions", "HGETALL run-results", "GET run"];
        assert_eq!(commands(Kind::GetResults), whole);
        assert_eq!(commands(Kind::GetResult), ["HGET run-transactions step", "HGET run-results step"]);
        assert_eq!(commands(Kind::BeginExecution)[1..], whole[..2]);
    }

    #[test]
    fn what_a_write_carries_is_read_behind_it() {
        assert_eq!(commands(Kind::BeginTask), ["HSET run-transactions step true", "GET run"]);
        assert_eq!(commands(Kind::CommitResult)[3..], ["EXEC", "GET run"]);
    }

    #[test]
    fn each_reply_answers_the_question_it_was_asked_for() {
        let known = snapshot(Kind::GetResults, vec![hash_of(&[("m", "true")]), hash_of(&[("r", "7")]), bulk("true")]);
        assert_eq!(known.answer(Kind::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
        assert_eq!(known.answer(Kind::IsTaskInProgress, b"m"), Some(Answer::Flag(true)));
        assert_eq!(known.answer(Kind::IsTaskInProgress, b"r"), Some(Answer::Flag(false)));
        assert_eq!(known.answer(Kind::GetResult, b"r"), Some(Answer::Value(Some(b"7".to_vec()))));
        assert_eq!(known.answer(Kind::GetResult, b"m"), Some(Answer::Value(None)));

        let known = snapshot(Kind::GetResult, vec![bulk("true"), Value::Nil]);
        assert_eq!(known.answer(Kind::IsTaskInProgress, b"step"), Some(Answer::Flag(true)));
        assert_eq!(known.answer(Kind::IsTaskInProgress, b"other"), None);
        assert_eq!(known.answer(Kind::IsExecutionInProgress, b""), None);
    }

    #[test]
    fn what_was_refused_is_not_known_and_the_rest_is() {
        let known = snapshot(Kind::GetResults, vec![refused(), hash_of(&[("r", "7")]), bulk("true")]);
        assert_eq!(known.answer(Kind::IsTaskInProgress, b"m"), None);
        assert_eq!(known.answer(Kind::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
        let known = snapshot(Kind::GetResults, vec![hash_of(&[]), hash_of(&[("r", "7")]), refused()]);
        assert_eq!(known.answer(Kind::IsTaskInProgress, b"m"), Some(Answer::Flag(false)));
        assert_eq!(known.answer(Kind::IsExecutionInProgress, b""), None);
        let known = snapshot(Kind::BeginExecution, vec![Value::Nil, refused(), refused()]);
        assert_eq!(known.answer(Kind::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
        assert_eq!(known.answer(Kind::GetResults, b""), None);
    }

    #[test]
    fn of_results_too_large_to_keep_it_is_known_which_tasks_have_none() {
        let large = "1".repeat(MOST_RESULT_BYTES);
        let known = snapshot(Kind::GetResults, vec![hash_of(&[]), hash_of(&[("large", &large)]), bulk("true")]);
        assert_eq!(known.answer(Kind::GetResult, b"other"), Some(Answer::Value(None)));
        assert_eq!(known.answer(Kind::GetResult, b"large"), None);
        assert_eq!(known.answer(Kind::GetResults, b""), None);
        assert_eq!(known.answer(Kind::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
    }
}
