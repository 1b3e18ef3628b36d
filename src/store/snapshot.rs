//! Read-ahead: what one round trip taught us beyond its own answer.
//!
//! A worker awaits one call after another, and most calls are questions about the same execution, asked within one turn of
//! the event loop. So a call may carry the small reads that are about to be asked ([`Ahead`]), and what comes back
//! ([`Snapshot`]) answers those questions in the same turn, in which nothing else can have been heard from Redis: a caller
//! cannot tell it from a server that answered at that instant. When a snapshot begins and ends is decided by the
//! JavaScript side; what may be concluded from it is decided here.
//!
//! Two rules keep it honest. It must never cost more commands than it saves, so each call carries just what the worker asks
//! next. And what is carried is read **before** the call's own answer, marks before results: when another worker commits
//! in between, the snapshot shows the task as marked, or both marked and done, but never as neither.

use redis::{Pipeline, Value};

use super::call::{Call, Kind};
use super::keys::Role;
use super::reply::{Answer, Entry, entries, splice};

/// Results beyond these are not kept for later questions: looking one up must stay cheaper than asking Redis.
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
            Ahead::ExecutionAndMarks => {
                call.push(pipeline, "GET", Role::Execution, &[]);
                call.push(pipeline, "HGETALL", Role::Transactions, &[]);
            }
        }
    }

    /// Adds the reads that go behind a write, which must see it.
    pub fn append_behind(self, call: &Call, pipeline: &mut Pipeline) {
        match self {
            Ahead::Nothing | Ahead::OwnMark | Ahead::ExecutionAndMarks => {}
            Ahead::Execution => call.push(pipeline, "GET", Role::Execution, &[]),
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
            Ahead::ExecutionAndMarks => (2, 0),
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
    results: Option<Vec<Entry>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Marks {
    All(Vec<Vec<u8>>),
    One(Vec<u8>, bool),
}

impl Snapshot {
    /// What a successful call and the reads it carried tell.
    pub fn new(call: &Call, carried: &mut [Value], own: Option<Vec<Entry>>) -> Option<Snapshot> {
        let mut carried = carried.iter_mut().map(std::mem::take);
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
                Snapshot { execution: next().map(present), marks: next().and_then(marks), results: own }
            }
            Ahead::MarksAndResults => Snapshot {
                // The call has just written it.
                execution: Some(true),
                marks: next().and_then(marks),
                results: next().and_then(|reply| entries(reply).ok()).filter(|entries| is_small(entries)),
            },
        };
        Some(snapshot)
    }

    /// The answer to a question, if the snapshot has it.
    pub fn answer(&self, kind: Kind, task: &[u8]) -> Option<Answer> {
        match kind {
            Kind::IsExecutionInProgress => self.execution.map(Answer::Flag),
            Kind::IsTaskInProgress => match self.marks.as_ref()? {
                Marks::All(marks) => Some(Answer::Flag(marks.iter().any(|mark| mark == task))),
                Marks::One(own, marked) if own == task => Some(Answer::Flag(*marked)),
                Marks::One(..) => None,
            },
            Kind::GetResult => {
                let found = self.results.as_ref()?.iter().find(|(own, _)| own == task);
                Some(Answer::Value(found.map(|(_, json)| json.clone())))
            }
            Kind::GetResults => self.results.as_ref().map(|results| Answer::Results(splice(results.clone()))),
            Kind::BeginExecution | Kind::BeginTask | Kind::CommitResult | Kind::Dispose => None,
        }
    }
}

/// Whether results are few enough to be kept for later questions.
pub fn is_small(entries: &[Entry]) -> bool {
    let bytes = || entries.iter().map(|(task, json)| task.len() + json.len()).sum::<usize>();
    entries.len() <= MOST_RESULTS && bytes() <= MOST_RESULT_BYTES
}
