//! What replies mean, read off their trees the plain way: what the store's reader is compared with.

use std::collections::HashSet;

use idioteque_redis_core::store::answer::{Entry, Results, SplicedResults};
use idioteque_redis_core::store::keys::Role;
use idioteque_redis_core::store::server_features::ServerFeatures;
use idioteque_redis_core::store::{Answer, Call, ErrorReply, Operation, Prefetch, Snapshot};
use redis::Value;
use serde::de::IgnoredAny;

/// Results, and bytes of them, that are kept for later questions.
const KEPT: (usize, usize) = (256, 64 * 1024);

/// What a call is answered with, and what else is known then.
pub struct Reply {
    pub answer: Answer,
    pub known: Option<Known>,
}

/// What a snapshot has to know.
#[derive(Default)]
pub struct Known {
    execution: Option<bool>,
    all_marks: Option<HashSet<Vec<u8>>>,
    own_mark: Option<bool>,
    results: Option<Vec<Entry>>,
    /// Which tasks have a result, where the results are not known.
    result_names: Option<HashSet<Vec<u8>>>,
}

/// Reads the replies to one call that was made for a server with these features, as trees. Fails with the code and the words of the
/// refusal.
pub fn read(call: &Call, features: ServerFeatures, replies: &[Value]) -> Result<Reply, ErrorReply> {
    if !call.is_isolated(features) {
        return read_answers(call, features, replies, Vec::new());
    }
    let commands = call.append(features, &mut redis::Pipeline::new()) - 2;
    let (before, behind) = call.carried_replies(features);
    let (exec, queued) = replies.split_last().unwrap_or((&Value::Nil, &[]));
    let mut errors = Vec::new();
    // The first is the reply to MULTI.
    let own = queued.iter().skip(1 + before).take(commands - before - behind);
    own.for_each(|reply| find_errors(reply, &mut errors));
    match exec {
        Value::Array(answers) if answers.len() == commands => read_answers(call, features, answers, errors),
        other => {
            find_errors(other, &mut errors);
            Err(cause(&errors).unwrap_or_else(|| unexpected(other)))
        }
    }
}

/// The error that explains the others.
fn cause(errors: &[ErrorReply]) -> Option<ErrorReply> {
    errors.iter().find(|error| error.code != "EXECABORT").or(errors.last()).cloned()
}

/// Reads the answers to a call's commands. There may have been errors before.
fn read_answers(
    call: &Call,
    features: ServerFeatures,
    replies: &[Value],
    mut errors: Vec<ErrorReply>,
) -> Result<Reply, ErrorReply> {
    let (before, behind) = call.carried_replies(features);
    let (carried_before, rest) = replies.split_at(before.min(replies.len()));
    let (own, carried_behind) = rest.split_at(rest.len().saturating_sub(behind));
    own.iter().for_each(|reply| find_errors(reply, &mut errors));
    if let Some(error) = cause(&errors) {
        return Err(error);
    }
    let isolated = call.is_isolated(features);
    let last = own.last().unwrap_or(&Value::Nil);
    let mut own_results = None;
    let answer = match call.operation {
        Operation::BeginExecution if call.only.is_none_or(|role| role == Role::Execution) => {
            text(last).map(|_| Answer::Nothing)?
        }
        Operation::BeginExecution | Operation::BeginTask | Operation::CommitResult | Operation::Dispose => match last {
            _ if isolated => match own.iter().find(|answer| !matches!(answer, Value::Int(_))) {
                Some(other) => return Err(unexpected(other)),
                None => Answer::Nothing,
            },
            Value::Int(_) if own.len() == 1 => Answer::Nothing,
            Value::Array(items) if call.is_transaction(features) && acknowledges(items, own.len()) => Answer::Nothing,
            other => return Err(unexpected(other)),
        },
        Operation::IsExecutionInProgress | Operation::IsTaskInProgress => Answer::Flag(text(last)?.is_some()),
        Operation::Touch => unreachable!("of the calls of a worker it is none"),
        Operation::GetResult => Answer::Value(text(last)?),
        Operation::GetResults => {
            let entries = entries(last)?;
            own_results = Some(entries.clone());
            Answer::Results(splice(entries))
        }
    };
    let mut carried = carried_before.iter().chain(carried_behind);
    let mut next = || carried.next().filter(|reply| !matches!(reply, Value::ServerError(_)));
    let present = |reply: &Value| !matches!(reply, Value::Nil);
    let names = |reply| list(reply).ok();
    let marks = |reply| Some(entries(reply).ok()?.into_iter().map(|(task, _)| task).collect());
    let own_execution = match (&answer, call.operation) {
        (Answer::Flag(flag), Operation::IsExecutionInProgress) => Some(*flag),
        _ => None,
    };
    let known = match call.carried(features) {
        // What it would have carried, had the server taken that.
        Prefetch::Nothing => {
            (call.prefetch != Prefetch::Nothing).then(|| Known { execution: own_execution, ..Known::default() })
        }
        Prefetch::Execution => Some(Known {
            execution: next().map(present),
            results: own_results.filter(|_| call.prefetch == Prefetch::Execution),
            ..Known::default()
        }),
        Prefetch::OwnMark => Some(Known { own_mark: next().map(present), ..Known::default() }),
        Prefetch::Marks => Some(Known {
            all_marks: next().and_then(marks),
            results: own_results,
            execution: own_execution,
            ..Known::default()
        }),
        Prefetch::ExecutionAndMarks => Some(Known {
            all_marks: next().and_then(marks),
            results: own_results,
            execution: next().map(present),
            ..Known::default()
        }),
        Prefetch::MarksAndResults => Some(Known {
            execution: Some(true),
            all_marks: next().and_then(marks),
            results: next().and_then(|reply| entries(reply).ok()),
            ..Known::default()
        }),
        Prefetch::Tasks => Some(Known {
            all_marks: next().and_then(names),
            result_names: next().and_then(names),
            execution: own_execution.or_else(|| next().map(present)),
            ..Known::default()
        }),
    };
    Ok(Reply { answer, known })
}

impl Known {
    /// Compares a snapshot with what has to be known, by its answers.
    pub fn check(&self, snapshot: &Snapshot, own_task: &[u8]) {
        let none = Vec::new();
        let results = self.results.as_ref();
        let fields = results.unwrap_or(&none).iter().map(|(task, _)| task.clone());
        let marked = self.all_marks.iter().flatten().cloned();
        let done = self.result_names.iter().flatten().cloned();
        for task in fields.chain(marked).chain(done).chain([own_task.to_vec(), b"another".to_vec()]) {
            let mark = match (&self.all_marks, self.own_mark) {
                (Some(marks), _) => Some(marks.contains(&task)),
                (None, mark) => mark.filter(|_| task == own_task),
            };
            let result = results.and_then(|results| {
                let found = results.iter().find(|(own, _)| *own == task).map(|(_, json)| json.clone());
                (Self::are_kept(results) || found.is_none()).then_some(Answer::Value(found))
            });
            let named = self.result_names.as_ref().map(|names| names.contains(&task));
            let result = result.or(named.filter(|named| !named).map(|_| Answer::Value(None)));
            assert_eq!(snapshot.answer(Operation::IsTaskInProgress, &task), mark.map(Answer::Flag), "{task:?}");
            assert_eq!(snapshot.answer(Operation::GetResult, &task), result, "{task:?}");
        }
        let execution = self.execution.map(Answer::Flag);
        assert_eq!(snapshot.answer(Operation::IsExecutionInProgress, own_task), execution);
        let all = results.filter(|results| Self::are_kept(results)).map(|results| splice(results.clone()));
        assert_eq!(snapshot.answer(Operation::GetResults, own_task).map(checked), all.map(Answer::Results));
        for operation in Operation::ALL.into_iter().filter(|operation| operation.writes()) {
            assert_eq!(snapshot.answer(operation, own_task), None);
        }
    }

    fn are_kept(results: &[Entry]) -> bool {
        let bytes: usize = results.iter().map(|(task, json)| task.len() + json.len()).sum();
        results.len() <= KEPT.0 && bytes <= KEPT.1
    }
}

/// An answer with every value of it checked.
pub fn checked(mut answer: Answer) -> Answer {
    if let Answer::Results(results) = &mut answer {
        results.check();
    }
    answer
}

/// Bytes with which the first text of results is full, and each further one.
pub const FULL: (usize, usize) = (4 * 1024 * 1024, 64 * 1024);

/// Makes a JSON object of the entries, and arrays once that is full, if each value by itself is JSON.
pub fn splice(entries: Vec<Entry>) -> Results {
    if !entries.iter().all(|(_, value)| serde_json::from_slice::<IgnoredAny>(value).is_ok()) {
        // Names are given to JavaScript as text.
        let as_text = |field: Vec<u8>| String::from_utf8_lossy(&field).into_owned().into_bytes();
        return Results::Entries(entries.into_iter().map(|(field, value)| (as_text(field), value)).collect());
    }
    let mut texts = vec![b"{".to_vec()];
    for (field, value) in entries {
        let full = if texts.len() == 1 { FULL.0 } else { FULL.1 };
        if texts.last().is_some_and(|text| text.len() >= full) {
            texts.push(b"[".to_vec());
        }
        let is_first = texts.len() == 1;
        let text = texts.last_mut().expect("there is always one");
        if text.len() > 1 {
            text.push(b',');
        }
        let name = serde_json::to_vec(&String::from_utf8_lossy(&field)).expect("a string always has a JSON form");
        text.extend([name.as_slice(), if is_first { b":" } else { b"," }, &value].concat());
    }
    for (index, text) in texts.iter_mut().enumerate() {
        text.push(if index == 0 { b'}' } else { b']' });
    }
    let mut texts = texts.into_iter();
    Results::Spliced(SplicedResults { object: texts.next().unwrap_or_default(), arrays: texts.collect() })
}

fn find_errors(reply: &Value, errors: &mut Vec<ErrorReply>) {
    match reply {
        Value::ServerError(error) => errors.push(ErrorReply::new(error)),
        Value::Array(items) => items.iter().for_each(|item| find_errors(item, errors)),
        _ => {}
    }
}

fn acknowledges(items: &[Value], replies: usize) -> bool {
    let complete = if replies == 1 { !items.is_empty() } else { items.len() + 2 == replies };
    complete && items.iter().all(|item| matches!(item, Value::Int(_)))
}

fn text(reply: &Value) -> Result<Option<Vec<u8>>, ErrorReply> {
    match reply {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.clone())),
        Value::SimpleString(text) => Ok(Some(text.clone().into_bytes())),
        Value::Okay => Ok(Some(b"OK".to_vec())),
        other => Err(unexpected(other)),
    }
}

fn entries(reply: &Value) -> Result<Vec<Entry>, ErrorReply> {
    match reply {
        Value::Nil => Ok(Vec::new()),
        Value::Array(items) => items
            .chunks_exact(2)
            .map(|pair| Ok((text(&pair[0])?.unwrap_or_default(), text(&pair[1])?.unwrap_or_default())))
            .collect(),
        other => Err(unexpected(other)),
    }
}

fn list(reply: &Value) -> Result<HashSet<Vec<u8>>, ErrorReply> {
    match reply {
        Value::Nil => Ok(HashSet::new()),
        Value::Array(items) => items.iter().map(|item| Ok(text(item)?.unwrap_or_default())).collect(),
        other => Err(unexpected(other)),
    }
}

fn unexpected(reply: &Value) -> ErrorReply {
    let kind = match reply {
        Value::Nil => "nothing",
        Value::Int(_) => "an integer",
        Value::Array(_) => "an array",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        _ => "a reply of another kind",
    };
    ErrorReply { code: "UNEXPECTED".into(), detail: format!("the server answered with {kind}: is it a Redis server?") }
}
