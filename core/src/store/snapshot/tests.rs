//! Tests of what is read ahead, and of what may be concluded from it.

use redis::{Pipeline, Value};

use super::*;
use crate::store::known::MAX_RESULT_BYTES;
use crate::store::server_features::ServerFeatures;
use crate::store::{Call, KeyOptions, ReplyReader, reply};

fn prefetching(operation: Operation) -> Call {
    Call::new(operation, Default::default(), b"runstep".to_vec(), 3, if operation.has_task() { 7 } else { 3 })
        .prefetching(Prefetch::of(operation))
}

fn apart() -> ServerFeatures {
    ServerFeatures { isolates: false, ..ServerFeatures::default() }
}

fn commands(operation: Operation) -> Vec<String> {
    commands_of(&prefetching(operation), apart())
}

fn commands_of(call: &Call, features: ServerFeatures) -> Vec<String> {
    let mut pipeline = Pipeline::new();
    assert_eq!(call.append(features, &mut pipeline), pipeline.len());
    let words = |command: &redis::Cmd| {
        let words = command.args_iter().map(|argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::from("?"),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    pipeline.cmd_iter().map(words).collect()
}

/// What is known from replies, whether they came one by one or as one transaction's, or over HTTP.
fn snapshot(operation: Operation, replies: Vec<Value>) -> Snapshot {
    snapshot_of(prefetching(operation), replies)
}

fn snapshot_of(call: Call, replies: Vec<Value>) -> Snapshot {
    let operation = call.operation;
    let own = *reply::read(&call, apart(), &replies).unwrap().snapshot.unwrap();
    let mut queued = vec![Value::SimpleString("QUEUED".into()); replies.len()];
    // A commit's own transaction is no part of another one.
    let answers = match operation {
        Operation::CommitResult => [vec![Value::Int(1), Value::Int(1)], replies[4..].to_vec()].concat(),
        _ => replies,
    };
    queued.resize(answers.len(), Value::SimpleString("QUEUED".into()));
    let exec = Value::Array(answers);
    let whole = [vec![Value::Okay], queued, vec![exec.clone()]].concat();
    for replies in [whole, vec![exec]] {
        let isolated = reply::read(&call, ServerFeatures::default(), &replies).unwrap();
        assert_eq!(isolated.snapshot.as_deref(), Some(&own));
    }
    own
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
    let names = ["HKEYS run-transactions", "HKEYS run-results", "GET run"];
    assert_eq!(commands(Operation::BeginTask), [&["HSET run-transactions step true"][..], &names].concat());
    assert_eq!(commands(Operation::CommitResult)[3..], [&["EXEC"][..], &names].concat());
    assert_eq!(commands(Operation::IsExecutionInProgress), names);
    assert_eq!(commands(Operation::Dispose), ["UNLINK run run-transactions run-results", "GET run"]);
}

#[test]
fn marks_for_the_questions_beside_it_are_all_read_before_a_question_and_behind_a_write() {
    let carrying =
        |operation, prefetch| commands_of(&prefetching(operation).prefetching(prefetch), ServerFeatures::default());
    let marks = "HGETALL run-transactions";
    let asked = [
        (Operation::GetResult, "HGET run-results step"),
        (Operation::GetResults, "HGETALL run-results"),
        (Operation::IsTaskInProgress, "HGET run-transactions step"),
        (Operation::IsExecutionInProgress, "GET run"),
    ];
    for (operation, own) in asked {
        assert_eq!(carrying(operation, Prefetch::Marks), ["MULTI", marks, own, "EXEC"]);
    }
    let (set, begun) = ("HSET run-transactions step true", Operation::BeginTask);
    assert_eq!(carrying(begun, Prefetch::Marks), [set, marks]);
    assert_eq!(carrying(begun, Prefetch::ExecutionAndMarks), ["MULTI", set, marks, "GET run", "EXEC"]);
    assert_eq!(carrying(Operation::CommitResult, Prefetch::Marks)[3..], ["EXEC", marks]);
}

#[test]
fn several_reads_and_the_call_that_carries_them_are_one_transaction() {
    let isolated = |operation| commands_of(&prefetching(operation), ServerFeatures::default());
    for operation in Operation::ALL.into_iter().filter(|&operation| Prefetch::of(operation).is_several(operation)) {
        let plain: Vec<_> =
            commands(operation).into_iter().filter(|command| command != "MULTI" && command != "EXEC").collect();
        let expected = [vec!["MULTI".to_owned()], plain, vec!["EXEC".to_owned()]].concat();
        assert_eq!(isolated(operation), expected);
    }
    // One read is of one moment by itself.
    let commit = prefetching(Operation::CommitResult).prefetching(Prefetch::Execution);
    assert_eq!(commands_of(&commit, ServerFeatures::default())[3..], ["EXEC", "GET run"]);
    let results = prefetching(Operation::GetResults).prefetching(Prefetch::Execution);
    assert_eq!(commands_of(&results, ServerFeatures::default()), ["MULTI", "HGETALL run-results", "GET run", "EXEC"]);
    let expiring = KeyOptions { ttl: Some(9), ..KeyOptions::default() };
    let mark = Call::new(Operation::BeginTask, expiring.into(), b"runstep".to_vec(), 3, 7).prefetching(Prefetch::Tasks);
    let words = commands_of(&mark, ServerFeatures::default());
    assert_eq!([words[0].as_str(), &words[2], &words[6]], ["MULTI", "PEXPIRE run-transactions 9", "EXEC"]);
}

#[test]
fn of_a_transaction_that_is_not_carried_out_it_is_known_whether_the_reads_are_to_blame() {
    let call = prefetching(Operation::CommitResult);
    let queued = || Value::SimpleString("QUEUED".into());
    let oom = || redis::parse_redis_value(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n").unwrap();
    let abort =
        || redis::parse_redis_value(b"-EXECABORT Transaction discarded because of previous errors.\r\n").unwrap();
    for (own, carried, code, is_to_blame) in
        [(queued(), refused(), "EXECABORT", true), (oom(), queued(), "OOM", false), (oom(), refused(), "OOM", false)]
    {
        let replies = [Value::Okay, own, queued(), carried, queued(), queued(), abort()];
        let mut reader = ReplyReader::default();
        let refusal = reply::read_with(&mut reader, &call, ServerFeatures::default(), &replies).unwrap_err();
        assert_eq!((refusal.code.as_str(), reader.has_refused_isolation()), (code, is_to_blame));
    }
    // A proxy without transactions has carried out each command by itself.
    let unknown = || redis::parse_redis_value(b"-ERR unknown command 'MULTI'\r\n").unwrap();
    let call = prefetching(Operation::GetResults);
    let replies = [unknown(), hash_of(&[]), hash_of(&[]), bulk("true"), unknown()];
    let mut reader = ReplyReader::default();
    reply::read_with(&mut reader, &call, ServerFeatures::default(), &replies).unwrap_err();
    assert!(reader.has_refused_isolation());
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
fn marks_for_the_questions_beside_it_answer_for_all_of_them() {
    let known = |operation, prefetch, replies| snapshot_of(prefetching(operation).prefetching(prefetch), replies);
    let marks = || hash_of(&[("m", "true")]);
    for (operation, prefetch, replies, execution) in [
        (Operation::GetResult, Prefetch::Marks, vec![marks(), Value::Nil], None),
        (Operation::IsExecutionInProgress, Prefetch::Marks, vec![marks(), bulk("true")], Some(Answer::Flag(true))),
        (
            Operation::BeginTask,
            Prefetch::ExecutionAndMarks,
            vec![Value::Int(1), marks(), Value::Nil],
            Some(Answer::Flag(false)),
        ),
    ] {
        let known = known(operation, prefetch, replies);
        assert_eq!(known.answer(Operation::IsTaskInProgress, b"m"), Some(Answer::Flag(true)));
        assert_eq!(known.answer(Operation::IsTaskInProgress, b"step"), Some(Answer::Flag(false)));
        assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), execution);
        assert_eq!(known.answer(Operation::GetResult, b"step"), None);
    }
    let known = known(Operation::GetResult, Prefetch::Marks, vec![refused(), Value::Nil]);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"m"), None);
}

#[test]
fn names_tell_which_tasks_have_no_result_and_nothing_of_results() {
    let names = |names: &[&str]| Value::Array(names.iter().map(|name| bulk(name)).collect());
    let acknowledged = [Value::Okay, Value::Okay, Value::Okay, Value::Array(vec![Value::Int(1), Value::Int(1)])];
    let read = |carried: [Value; 3]| snapshot(Operation::CommitResult, [&acknowledged[..], &carried].concat());
    let known = read([names(&["marked"]), names(&["step", "done"]), bulk("true")]);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"marked"), Some(Answer::Flag(true)));
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"done"), Some(Answer::Flag(false)));
    assert_eq!(known.answer(Operation::GetResult, b"marked"), Some(Answer::Value(None)));
    assert_eq!(known.answer(Operation::GetResult, b"done"), None);
    assert_eq!(known.answer(Operation::GetResults, b""), None);
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
    assert_eq!(known.tasks(), Some(2));
    let known = read([refused(), names(&[]), Value::Nil]);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"marked"), None);
    assert_eq!(known.answer(Operation::GetResult, b"done"), Some(Answer::Value(None)));
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(false)));
    assert_eq!(known.tasks(), None);
    // What is not a list of names tells nothing.
    let known = read([names(&[]), Value::Array(vec![Value::Array(vec![bulk("done")])]), Value::Nil]);
    assert_eq!(known.answer(Operation::GetResult, b"other"), None);
    let known = snapshot(Operation::IsExecutionInProgress, vec![names(&[]), names(&["done"]), Value::Nil]);
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(false)));
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"done"), Some(Answer::Flag(false)));
}

#[test]
fn a_write_about_a_task_leaves_what_is_known_of_the_others() {
    let mut known =
        snapshot(Operation::GetResults, vec![hash_of(&[("m", "true")]), hash_of(&[("r", "7")]), bulk("true")]);
    known.forget_task(b"r");
    assert_eq!(known.answer(Operation::GetResult, b"r"), None);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"r"), None);
    assert_eq!(known.answer(Operation::GetResults, b""), None);
    assert_eq!(known.answer(Operation::IsTaskInProgress, b"m"), Some(Answer::Flag(true)));
    assert_eq!(known.answer(Operation::IsExecutionInProgress, b""), Some(Answer::Flag(true)));
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
