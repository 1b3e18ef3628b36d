//! What a reply means: the answer to a call, or the server's refusal; and results spliced into one JSON text.

use redis::{ServerError, Value};
use serde::de::IgnoredAny;

use super::call::Call;
use super::operation::Operation;
use super::prefetch::Prefetch;
use super::snapshot::{Known, Snapshot};

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `undefined`
    Nothing,
    /// A boolean.
    Flag(bool),
    /// A stored result as JSON text, or `undefined` when there is none.
    Value(Option<Vec<u8>>),
    /// All results.
    Results(Results),
}

/// All results of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    /// One JSON object that one `JSON.parse` turns into the table. Every value in it was checked by itself.
    Spliced(Vec<u8>),
    /// One by one, because one of them is not JSON and has to be named.
    Entries(Vec<Entry>),
}

/// Task id and stored text.
pub type Entry = (Vec<u8>, Vec<u8>);

/// What the server said instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// The server's own code, such as `WRONGTYPE`.
    pub code: String,
    /// The rest of what it said.
    pub detail: String,
}

impl ErrorReply {
    /// What the server said. An aborted transaction is reported as what aborted it, where the server says so.
    pub fn new(error: &ServerError) -> Self {
        let (code, detail) = (error.code(), error.details().unwrap_or_default());
        let cause = detail.strip_prefix("Transaction discarded because of: ").and_then(|cause| cause.split_once(' '));
        match cause {
            Some((cause, detail)) if code == "EXECABORT" => Self::without_arguments(cause, detail),
            _ => Self::without_arguments(code, detail),
        }
    }

    /// Servers quote the arguments of a command that they do not know: results and passwords among them.
    fn without_arguments(code: &str, detail: &str) -> Self {
        let detail = detail.split_once(", with args beginning with").map_or(detail, |(words, _)| words);
        Self { code: code.into(), detail: detail.into() }
    }

    /// A server's words as code and detail. Without a code in front, they are a general error's.
    pub fn of(words: &str) -> Self {
        let (code, detail) = words.split_once(' ').unwrap_or((words, ""));
        let is_code = code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let (code, detail) = if is_code { (code, detail) } else { ("ERR", words) };
        Self::without_arguments(code, detail)
    }
}

/// What a call brought: its answer, and what the reads it carried tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// What else is now known of the execution.
    pub snapshot: Option<Box<Snapshot>>,
}

/// Reads the replies to one call's commands, as many as [`Call::append`] announced. Takes them out of the slice.
pub fn read(call: &Call, replies: &mut [Value]) -> Result<Reply, ErrorReply> {
    let (before, behind) = call.prefetch.replies();
    let (carried_before, rest) = replies.split_at_mut(before.min(replies.len()));
    let (own, carried_behind) = rest.split_at_mut(rest.len().saturating_sub(behind));
    // A refusal of what is only carried must not fail the call.
    if let Some(error_reply) = find_error_reply(own) {
        return Err(error_reply);
    }
    let last = own.last_mut().map(std::mem::take).unwrap_or_default();
    let mut kept = None;
    let answer = match call.operation {
        // What was there before, or that nothing was.
        Operation::BeginExecution if call.only.is_none() => text(last).map(|_| Answer::Nothing)?,
        // How many fields or keys it was; in a transaction, what each of its commands was answered.
        Operation::BeginExecution | Operation::BeginTask | Operation::CommitResult | Operation::Dispose => match last {
            Value::Int(_) if own.len() == 1 => Answer::Nothing,
            Value::Array(items) if call.is_transaction() && acknowledges(&items, own.len()) => Answer::Nothing,
            other => return Err(unexpected(&other)),
        },
        Operation::IsExecutionInProgress | Operation::IsTaskInProgress => Answer::Flag(text(last)?.is_some()),
        Operation::GetResult => Answer::Value(text(last)?),
        Operation::GetResults => {
            let entries = entries(last)?;
            kept = (call.prefetch != Prefetch::Nothing).then(|| Known::of(&entries));
            Answer::Results(splice(entries))
        }
    };
    let carried = carried_before.iter_mut().chain(carried_behind).map(std::mem::take);
    Ok(Reply { answer, snapshot: Snapshot::new(call, carried, kept).map(Box::new) })
}

/// Whether the answer to EXEC, the last of so many replies, has an integer for each command in between. Over HTTP, it is the
/// only reply.
fn acknowledges(items: &[Value], replies: usize) -> bool {
    let complete = if replies == 1 { !items.is_empty() } else { items.len() + 2 == replies };
    complete && items.iter().all(|item| matches!(item, Value::Int(_)))
}

/// The error that explains the others: in an aborted transaction the command's own, not `EXECABORT`.
fn find_error_reply(replies: &[Value]) -> Option<ErrorReply> {
    let mut aborted = None;
    for reply in replies {
        let error = match reply {
            Value::ServerError(error) => error,
            Value::Array(items) => match find_error_reply(items) {
                Some(error_reply) => return Some(error_reply),
                None => continue,
            },
            _ => continue,
        };
        let error_reply = ErrorReply::new(error);
        if error_reply.code != "EXECABORT" {
            return Some(error_reply);
        }
        aborted = Some(error_reply);
    }
    aborted
}

fn unexpected(reply: &Value) -> ErrorReply {
    let kind = match reply {
        Value::Nil => "nothing",
        Value::Int(_) => "an integer",
        Value::Array(_) => "an array",
        Value::Map(_) => "a map",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        _ => "a reply of another kind",
    };
    ErrorReply { code: "UNEXPECTED".into(), detail: format!("the server answered with {kind}: is it a Redis server?") }
}

fn text(reply: Value) -> Result<Option<Vec<u8>>, ErrorReply> {
    match reply {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::Okay => Ok(Some(b"OK".to_vec())),
        other => Err(unexpected(&other)),
    }
}

/// The fields and values of a hash.
pub fn entries(reply: Value) -> Result<Vec<Entry>, ErrorReply> {
    let pair = |field: Value, value: Value| -> Result<Entry, ErrorReply> {
        Ok((text(field)?.unwrap_or_default(), text(value)?.unwrap_or_default()))
    };
    match reply {
        Value::Nil => Ok(Vec::new()),
        Value::Map(items) => items.into_iter().map(|(field, value)| pair(field, value)).collect(),
        Value::Array(items) => {
            let mut result = Vec::with_capacity(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(field), Some(value)) = (items.next(), items.next()) {
                result.push(pair(field, value)?);
            }
            Ok(result)
        }
        other => Err(unexpected(&other)),
    }
}

/// Makes one JSON object of the entries, if each value by itself is JSON; a value such as `1,"x":2` must not add a field.
pub fn splice(entries: Vec<Entry>) -> Results {
    if !entries.iter().all(|(_, value)| is_json(value)) {
        return Results::Entries(entries);
    }
    let size = entries.iter().map(|(field, value)| field.len() + value.len() + 4).sum::<usize>() + 2;
    let mut json = Vec::with_capacity(size);
    json.push(b'{');
    for (index, (field, value)) in entries.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        serde_json::to_writer(&mut json, &String::from_utf8_lossy(field)).expect("a string always has a JSON form");
        json.push(b':');
        json.extend_from_slice(value);
    }
    json.push(b'}');
    Results::Spliced(json)
}

/// Whether the bytes are exactly one JSON value. Builds nothing and does not recurse, however deep it is nested.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_a_server_quotes_are_left_out() {
        let words = "ERR unknown command 'HSET', with args beginning with: 'run-results' 'step' '{\"card\":4111}' ";
        assert_eq!(ErrorReply::of(words).detail, "unknown command 'HSET'");
        let Value::ServerError(error) = server_error(words) else { panic!() };
        assert_eq!(ErrorReply::new(&error).detail, "unknown command 'HSET'");
    }

    #[test]
    fn words_are_told_from_codes() {
        for (words, code, detail) in
            [("ERR max size", "ERR", "max size"), ("Unauthorized", "ERR", "Unauthorized"), ("A b", "ERR", "A b")]
        {
            assert_eq!(ErrorReply::of(words), ErrorReply { code: code.into(), detail: detail.into() });
        }
    }

    fn read(kind: Operation, mut replies: Vec<Value>) -> Result<Answer, ErrorReply> {
        let call = Call::new(kind, Default::default(), b"run".to_vec(), 3, 3);
        super::read(&call, &mut replies).map(|reply| reply.answer)
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
        assert_eq!(spliced(&[]), Results::Spliced(b"{}".to_vec()));
        assert_eq!(
            spliced(&[("a\"b", "1"), ("__proto__", "{\"x\":[]}"), ("", "null")]),
            Results::Spliced(br#"{"a\"b":1,"__proto__":{"x":[]},"":null}"#.to_vec())
        );
    }

    #[test]
    fn a_hostile_value_is_not_spliced() {
        for hostile in ["1,\"x\":2", "", "}", "1}", "{\"a\":1}}", "undefined", "1 2", "\"a\",\"b\":\"c\"", "\"\u{0}\""]
        {
            assert!(matches!(spliced(&[("ok", "1"), ("bad", hostile)]), Results::Entries(_)), "{hostile}");
        }
    }

    #[test]
    fn deep_nesting_is_checked_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(is_json(deep.as_bytes()));
        assert!(!is_json(&deep.as_bytes()[1..]));
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
        let named =
            server_error("EXECABORT Transaction discarded because of: READONLY You can't write against a replica.");
        let error_reply = read(Operation::CommitResult, vec![Value::Okay, queued(), named]).unwrap_err();
        assert_eq!(error_reply.code, "READONLY");
        let inside = Value::Array(vec![server_error("WRONGTYPE Operation against a key"), Value::Int(1)]);
        let error_reply = read(Operation::CommitResult, vec![Value::Okay, queued(), queued(), inside]).unwrap_err();
        assert_eq!(error_reply.code, "WRONGTYPE");
    }

    #[test]
    fn absence_is_told_from_presence() {
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
        for kind in [Operation::BeginTask, Operation::Dispose] {
            assert_eq!(read(kind, vec![Value::Int(1)]), Ok(Answer::Nothing));
            assert!([Value::Nil, Value::Okay, list()].into_iter().all(|wrong| read(kind, vec![wrong]).is_err()));
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
}
