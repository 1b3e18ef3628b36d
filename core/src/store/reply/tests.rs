//! Tests of what replies mean.

use super::*;
use crate::store::Operation;
use crate::store::answer::SplicedResults;

fn read(operation: Operation, replies: Vec<Value>) -> Result<Answer, ErrorReply> {
    let call = Call::new(operation, Default::default(), b"run".to_vec(), 3, 3);
    super::read(&call, ServerFeatures::default(), &replies).map(|reply| reply.answer)
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn server_error(line: &str) -> Value {
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
}

fn spliced(pairs: &[(&str, &str)]) -> Results {
    let flat = pairs.iter().flat_map(|(field, value)| [bulk(field), bulk(value)]).collect();
    match read(Operation::GetResults, vec![Value::Array(flat)]) {
        Ok(Answer::Results(results)) => results,
        other => panic!("{other:?}"),
    }
}

#[test]
fn results_become_one_json_text() {
    assert_eq!(spliced(&[]), Results::Spliced(SplicedResults::whole(b"{}".to_vec())));
    assert_eq!(
        spliced(&[("a\"b", "1"), ("__proto__", "{\"x\":[]}"), ("", "null")]),
        Results::Spliced(SplicedResults::whole(br#"{"a\"b":1,"__proto__":{"x":[]},"":null}"#.to_vec()))
    );
}

#[test]
fn a_hostile_value_is_not_spliced() {
    for hostile in ["1,\"x\":2", "", "}", "1}", "{\"a\":1}}", "undefined", "1 2", "\"a\",\"b\":\"c\"", "\"\u{0}\""] {
        assert!(matches!(spliced(&[("ok", "1"), ("bad", hostile)]), Results::Entries(_)), "{hostile}");
    }
}

#[test]
fn the_cause_of_an_aborted_transaction_is_reported() {
    let queued = || Value::SimpleString("QUEUED".into());
    let abort = server_error("EXECABORT Transaction discarded because of previous errors.");
    let oom = server_error("OOM command not allowed when used memory > 'maxmemory'.");
    let error_reply = read(Operation::CommitResult, vec![Value::Okay, oom, queued(), abort.clone()]).unwrap_err();
    assert_eq!(error_reply.code, "OOM");
    let error_reply = read(Operation::CommitResult, vec![Value::Okay, queued(), abort]).unwrap_err();
    assert_eq!(error_reply.code, "EXECABORT");
    let named = server_error("EXECABORT Transaction discarded because of: READONLY You can't write against a replica.");
    let error_reply = read(Operation::CommitResult, vec![Value::Okay, queued(), named]).unwrap_err();
    assert_eq!(error_reply.code, "READONLY");
    let inside = Value::Array(vec![server_error("WRONGTYPE Operation against a key"), Value::Int(1)]);
    let error_reply = read(Operation::CommitResult, vec![Value::Okay, queued(), queued(), inside]).unwrap_err();
    assert_eq!(error_reply.code, "WRONGTYPE");
}

#[test]
fn absence_differs_from_presence() {
    assert_eq!(read(Operation::IsTaskInProgress, vec![Value::Nil]), Ok(Answer::Flag(false)));
    assert_eq!(read(Operation::IsExecutionInProgress, vec![bulk("true")]), Ok(Answer::Flag(true)));
    assert_eq!(read(Operation::GetResult, vec![Value::Nil]), Ok(Answer::Value(None)));
    assert_eq!(read(Operation::GetResult, vec![bulk("")]), Ok(Answer::Value(Some(Vec::new()))));
    assert!(read(Operation::GetResult, vec![Value::Int(1)]).is_err());
    assert!(read(Operation::IsTaskInProgress, vec![Value::Int(1)]).is_err());
    assert!(read(Operation::IsExecutionInProgress, vec![Value::Array(vec![])]).is_err());
}

#[test]
fn a_write_is_acknowledged_by_nothing_but_its_own_kind_of_reply() {
    let list = || Value::Array(vec![Value::Int(1), Value::Int(1)]);
    let short = Value::Array(vec![Value::Int(1)]);
    let nested = Value::Array(vec![Value::Array(vec![]), Value::Int(1)]);
    let queued = |last| vec![Value::Okay, Value::Okay, Value::Okay, last];
    assert_eq!(read(Operation::BeginExecution, vec![Value::Okay]), Ok(Answer::Nothing));
    assert_eq!(read(Operation::BeginExecution, vec![bulk("true")]), Ok(Answer::Nothing));
    assert!(read(Operation::BeginExecution, vec![Value::Int(1)]).is_err());
    for operation in [Operation::BeginTask, Operation::Dispose] {
        assert_eq!(read(operation, vec![Value::Int(1)]), Ok(Answer::Nothing));
        assert!([Value::Nil, Value::Okay, list()].into_iter().all(|wrong| read(operation, vec![wrong]).is_err()));
    }
    assert_eq!(read(Operation::CommitResult, queued(list())), Ok(Answer::Nothing));
    assert_eq!(read(Operation::CommitResult, vec![list()]), Ok(Answer::Nothing));
    assert!(
        [Value::Nil, Value::Okay, Value::Int(1), short, nested].into_iter().all(|wrong| read(
            Operation::CommitResult,
            queued(wrong)
        )
        .is_err())
    );
}

#[test]
fn what_was_carried_out_beside_a_refusal_is_noticed() {
    let wrong_type = || server_error("WRONGTYPE Operation against a key holding the wrong kind of value");
    let unknown = || server_error("ERR unknown command 'MULTI'");
    let queued = || Value::SimpleString("QUEUED".into());
    for (operation, replies, is_partly_done) in [
        (Operation::CommitResult, vec![Value::Array(vec![Value::Int(1), wrong_type()])], true),
        (
            Operation::CommitResult,
            vec![Value::Okay, queued(), queued(), Value::Array(vec![wrong_type(), Value::Int(0)])],
            true,
        ),
        (Operation::CommitResult, vec![unknown(), Value::Int(1), Value::Int(1), unknown()], true),
        (Operation::CommitResult, vec![Value::Okay, wrong_type(), queued(), server_error("EXECABORT x")], false),
        (Operation::BeginTask, vec![wrong_type()], false),
        (Operation::GetResult, vec![Value::Int(1), wrong_type()], false),
    ] {
        let call = Call::new(operation, Default::default(), b"run".to_vec(), 3, 3);
        assert_eq!(super::is_partly_done(&call, ServerFeatures::default(), &replies), is_partly_done, "{replies:?}");
    }
}
