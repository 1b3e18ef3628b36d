//! Tests of what is read ahead, and of what may be concluded from it.

use redis::{Pipeline, Value};

use super::*;
use crate::store::known::MAX_RESULT_BYTES;
use crate::store::{Call, reply};

fn prefetching(operation: Operation) -> Call {
    Call::new(operation, Default::default(), b"runstep".to_vec(), 3, if operation.has_task() { 7 } else { 3 })
        .prefetching(Prefetch::of(operation))
}

fn commands(operation: Operation) -> Vec<String> {
    let mut pipeline = Pipeline::new();
    prefetching(operation).append(Default::default(), &mut pipeline);
    let words = |command: &redis::Cmd| {
        let words = command.args_iter().map(|argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::from("?"),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    pipeline.cmd_iter().map(words).collect()
}

fn snapshot(operation: Operation, replies: Vec<Value>) -> Snapshot {
    *reply::read(&prefetching(operation), &replies).unwrap().snapshot.unwrap()
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
    assert_eq!(commands(Operation::GetResults), whole);
    assert_eq!(commands(Operation::GetResult), ["HGET run-transactions step", "HGET run-results step"]);
    assert_eq!(commands(Operation::BeginExecution)[1..], whole[..2]);
}

#[test]
fn what_a_write_carries_is_read_behind_it() {
    assert_eq!(commands(Operation::BeginTask), ["HSET run-transactions step true", "GET run"]);
    assert_eq!(commands(Operation::CommitResult)[3..], ["EXEC", "GET run"]);
}

#[test]
fn each_reply_answers_the_question_it_was_asked_for() {
    let known = snapshot(Operation::GetResults, vec![hash_of(&[("m", "true")]), hash_of(&[("r", "7")]), bulk("true")]);
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"m"), Some(Answer::Flag(true)));
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"r"), Some(Answer::Flag(false)));
    assert_eq!(known.answer(Operation::GetResult, b"r"), Some(Answer::Value(Some(b"7".to_vec()))));
    assert_eq!(known.answer(Operation::GetResult, b"m"), Some(Answer::Value(None)));

    let known = snapshot(Operation::GetResult, vec![bulk("true"), Value::Nil]);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"step"), Some(Answer::Flag(true)));
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"other"), None);
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), None);
}

#[test]
fn what_was_refused_is_not_known_and_the_rest_is() {
    let known = snapshot(Operation::GetResults, vec![refused(), hash_of(&[("r", "7")]), bulk("true")]);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"m"), None);
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
    let known = snapshot(Operation::GetResults, vec![hash_of(&[]), hash_of(&[("r", "7")]), refused()]);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"m"), Some(Answer::Flag(false)));
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), None);
    let known = snapshot(Operation::BeginExecution, vec![Value::Nil, refused(), refused()]);
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
    assert_eq!(known.answer(Operation::GetResults, b""), None);
}

#[test]
fn of_results_too_large_to_keep_it_is_known_which_tasks_have_none() {
    let large = "1".repeat(MAX_RESULT_BYTES);
    let known = snapshot(Operation::GetResults, vec![hash_of(&[]), hash_of(&[("large", &large)]), bulk("true")]);
    assert_eq!(known.answer(Operation::GetResult, b"other"), Some(Answer::Value(None)));
    assert_eq!(known.answer(Operation::GetResult, b"large"), None);
    assert_eq!(known.answer(Operation::GetResults, b""), None);
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
}
