//! Tests of what replies mean while they come.

use std::sync::Arc;

use super::*;
use crate::store::KeyOptions;
use crate::store::answer::{Results, SplicedResults};
use crate::store::keys::Role;
use crate::store::operation::Operation;
use crate::store::splice::MAX_CHECKED;
use crate::transport::protocol::decode::Decoder;

fn call(operation: Operation, ttl: Option<u64>) -> Call {
    let text: &[u8] = if operation.has_task() { b"runstep" } else { b"run" };
    Call::new(operation, Arc::new(KeyOptions { ttl, ..KeyOptions::default() }), text.to_vec(), 3, text.len())
}

/// What a call's replies say, in pieces of a size.
fn read(reader: &mut ReplyReader, call: &Call, bytes: &[u8], size: usize) -> Result<Reply, ErrorReply> {
    read_as(reader, call, ServerFeatures::default(), bytes, size)
}

/// What a call's replies say on a server with features, in pieces of a size.
fn read_as(
    reader: &mut ReplyReader,
    call: &Call,
    features: ServerFeatures,
    bytes: &[u8],
    size: usize,
) -> Result<Reply, ErrorReply> {
    let mut decoder = Decoder::new();
    reader.begin(call, features);
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            let progress = decoder.read(piece, reader).unwrap();
            if progress.complete {
                reader.end_of_reply();
            }
            piece = &piece[progress.used..];
        }
    }
    assert!(decoder.between());
    reader.finish(call)
}

fn answer(call: &Call, text: &str) -> Result<Answer, ErrorReply> {
    let mut reader = ReplyReader::default();
    let whole = read(&mut reader, call, text.as_bytes(), usize::MAX);
    for size in 1..text.len() {
        assert_eq!(read(&mut reader, call, text.as_bytes(), size), whole, "{text:?} in pieces of {size}");
    }
    whole.map(|reply| reply.answer)
}

fn refusal(call: &Call, text: &str) -> String {
    answer(call, text).unwrap_err().code
}

#[test]
fn each_call_reads_its_own_replies() {
    let plain = |operation, text: &str| answer(&call(operation, None), text);
    assert_eq!(plain(Operation::BeginExecution, "$-1\r\n"), Ok(Answer::Nothing));
    assert_eq!(plain(Operation::BeginExecution, "$4\r\ntrue\r\n"), Ok(Answer::Nothing));
    assert_eq!(plain(Operation::BeginExecution, "+OK\r\n"), Ok(Answer::Nothing));
    assert_eq!(plain(Operation::IsExecutionInProgress, "$4\r\ntrue\r\n"), Ok(Answer::Flag(true)));
    assert_eq!(plain(Operation::IsTaskInProgress, "$-1\r\n"), Ok(Answer::Flag(false)));
    assert_eq!(plain(Operation::BeginTask, ":0\r\n"), Ok(Answer::Nothing));
    assert_eq!(plain(Operation::Dispose, ":3\r\n"), Ok(Answer::Nothing));
    assert_eq!(plain(Operation::GetResult, "$2\r\n42\r\n"), Ok(Answer::Value(Some(b"42".to_vec()))));
    assert_eq!(plain(Operation::GetResult, "$0\r\n\r\n"), Ok(Answer::Value(Some(Vec::new()))));
    assert_eq!(plain(Operation::GetResult, "*-1\r\n"), Ok(Answer::Value(None)));
    let commit = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:0\r\n";
    assert_eq!(plain(Operation::CommitResult, commit), Ok(Answer::Nothing));
    let expiring = call(Operation::CommitResult, Some(9));
    assert_eq!(refusal(&expiring, "+OK\r\n+Q\r\n+Q\r\n+Q\r\n*2\r\n:1\r\n:0\r\n"), "UNEXPECTED");
    assert_eq!(answer(&expiring, "+OK\r\n+Q\r\n+Q\r\n+Q\r\n*3\r\n:1\r\n:0\r\n:1\r\n"), Ok(Answer::Nothing));
    assert_eq!(answer(&expiring.part(Role::Execution), ":1\r\n"), Ok(Answer::Nothing));
    let part = expiring.part(Role::Results);
    assert_eq!(answer(&part, "+OK\r\n+Q\r\n+Q\r\n*2\r\n:1\r\n:1\r\n"), Ok(Answer::Nothing));
}

#[test]
fn a_lease_is_acknowledged_with_a_list_and_touch_by_its_last_answer() {
    let key_options = KeyOptions { ttl: Some(9), in_progress_ttl: Some(9), ..KeyOptions::default() };
    let leased = |operation| Call::new(operation, Arc::new(key_options.clone()), b"runstep".to_vec(), 3, 7);
    let queued = |commands: usize| format!("+OK\r\n{}", "+Q\r\n".repeat(commands));
    let begin = leased(Operation::BeginTask);
    let answers = |call: &Call, commands, text: &str| answer(call, &format!("{}{text}", queued(commands)));
    assert_eq!(answers(&begin, 3, "*3\r\n:1\r\n*1\r\n:1\r\n:1\r\n"), Ok(Answer::Nothing));
    assert!(answers(&begin, 3, "*2\r\n:1\r\n*1\r\n:1\r\n").is_err());
    assert!(answers(&begin, 3, "*3\r\n:1\r\n-ERR no\r\n:1\r\n").is_err());
    let part = begin.part(Role::Transactions);
    assert_eq!(answers(&part, 3, "*3\r\n:1\r\n*1\r\n:1\r\n:1\r\n"), Ok(Answer::Nothing));
    let touch = leased(Operation::Touch);
    for (last, there) in [(":1", true), (":0", false)] {
        let text = format!("*4\r\n*1\r\n:-2\r\n:1\r\n:0\r\n{last}\r\n");
        assert_eq!(answers(&touch, 4, &text), Ok(Answer::Flag(there)));
        assert_eq!(answer(&touch.part(Role::Execution), &format!("{last}\r\n")), Ok(Answer::Flag(there)));
    }
    assert_eq!(answers(&touch.part(Role::Transactions), 2, "*2\r\n*1\r\n:1\r\n:1\r\n"), Ok(Answer::Nothing));
}

#[test]
fn what_is_no_answer_is_refused() {
    for operation in Operation::ALL {
        let call = call(operation, None);
        let refused: &[&str] = match operation {
            Operation::BeginExecution | Operation::IsExecutionInProgress | Operation::IsTaskInProgress => {
                &[":1\r\n", "*0\r\n", "*2\r\n+a\r\n+b\r\n"]
            }
            Operation::GetResult => &[":1\r\n", "*1\r\n$1\r\n1\r\n"],
            Operation::GetResults => &[
                ":1\r\n",
                "+OK\r\n",
                "*2\r\n:1\r\n+1\r\n",
                "*2\r\n+a\r\n*0\r\n",
                "*4\r\n*2\r\n+a\r\n+1\r\n+b\r\n+2\r\n+c\r\n",
            ],
            Operation::BeginTask | Operation::Dispose => &["$-1\r\n", "+OK\r\n", "*1\r\n:1\r\n", "$1\r\n1\r\n"],
            Operation::Touch => &["*1\r\n:1\r\n", "*0\r\n"],
            Operation::CommitResult => &[
                "+OK\r\n+Q\r\n+Q\r\n$-1\r\n",
                "+OK\r\n+Q\r\n+Q\r\n:1\r\n",
                "+OK\r\n+Q\r\n+Q\r\n+OK\r\n",
                "+OK\r\n+Q\r\n+Q\r\n*0\r\n",
                "+OK\r\n+Q\r\n+Q\r\n*1\r\n:1\r\n",
                "+OK\r\n+Q\r\n+Q\r\n*2\r\n:1\r\n$-1\r\n",
                "+OK\r\n+Q\r\n+Q\r\n*2\r\n:1\r\n+1\r\n",
                "+OK\r\n+Q\r\n+Q\r\n*2\r\n*0\r\n:1\r\n",
                "+OK\r\n+Q\r\n+Q\r\n*2\r\n*1\r\n:1\r\n:1\r\n",
            ],
        };
        refused.iter().for_each(|text| assert_eq!(refusal(&call, text), "UNEXPECTED", "{operation:?} {text:?}"));
    }
    let detail = |text| answer(&call(Operation::GetResults, None), text).unwrap_err().detail;
    assert_eq!(detail("*4\r\n+a\r\n+1\r\n:2\r\n*0\r\n"), "the server answered with an integer: is it a Redis server?");
}

#[test]
fn refusals_name_their_cause() {
    let commit = call(Operation::CommitResult, None);
    let abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    assert_eq!(refusal(&commit, &format!("+OK\r\n-OOM no\r\n+QUEUED\r\n{abort}")), "OOM");
    assert_eq!(refusal(&commit, &format!("+OK\r\n-MOVED 1 a:1\r\n-OOM no\r\n{abort}")), "MOVED");
    assert_eq!(refusal(&commit, &format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n{abort}")), "EXECABORT");
    let named = "-EXECABORT Transaction discarded because of: READONLY no writes\r\n";
    assert_eq!(refusal(&commit, &format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n{named}")), "READONLY");
    assert_eq!(refusal(&commit, "+OK\r\n+Q\r\n+Q\r\n*2\r\n-WRONGTYPE no\r\n:1\r\n"), "WRONGTYPE");
    assert_eq!(refusal(&commit, "-ERR unknown command 'MULTI'\r\n:1\r\n:1\r\n-ERR EXEC without MULTI\r\n"), "ERR");
    assert_eq!(refusal(&call(Operation::GetResults, None), "*3\r\n+a\r\n*1\r\n-ERR deep\r\n+b\r\n"), "ERR");
}

#[test]
fn what_is_carried_does_not_fail_the_call() {
    use Operation::{BeginExecution, BeginTask, GetResult, GetResults, IsExecutionInProgress, IsTaskInProgress};
    let mut reader = ReplyReader::default();
    let mut asked = |operation, text: &str, question| {
        let carried = if operation == BeginTask { Prefetch::Execution } else { Prefetch::of(operation) };
        let call = call(operation, None).prefetching(carried);
        let apart = ServerFeatures { isolates: false, ..ServerFeatures::default() };
        let snapshot = read_as(&mut reader, &call, apart, text.as_bytes(), 3).unwrap().snapshot.unwrap();
        // The same answers as one transaction.
        if carried.is_several(operation) {
            let count = call.append(ServerFeatures::default(), &mut Counter) - 2;
            let whole = format!("+OK\r\n{}*{count}\r\n{text}", "+QUEUED\r\n".repeat(count));
            let isolated = read(&mut reader, &call, whole.as_bytes(), 3).unwrap().snapshot;
            assert_eq!(isolated.as_ref(), Some(&snapshot), "{text}");
        }
        snapshot.answer(question, b"step")
    };
    let flag = |flag| Some(Answer::Flag(flag));
    let marks = "*2\r\n$4\r\nstep\r\n$4\r\ntrue\r\n";
    let all = |marks: &str, results: &str, execution: &str| format!("{marks}{results}{execution}");
    let results = "*2\r\n$4\r\nstep\r\n$1\r\n7\r\n";
    assert_eq!(asked(GetResults, &all(marks, results, "$4\r\ntrue\r\n"), IsTaskInProgress), flag(true));
    assert_eq!(asked(GetResults, &all("*0\r\n", results, "$-1\r\n"), IsExecutionInProgress), flag(false));
    assert_eq!(asked(GetResults, &all("-NOPERM\r\n", results, "+x\r\n"), IsTaskInProgress), None);
    assert_eq!(asked(GetResults, &all("*2\r\n+a\r\n:1\r\n", results, "+x\r\n"), IsTaskInProgress), None);
    assert_eq!(asked(GetResults, &all("*2\r\n+a\r\n-E\r\n", results, "+x\r\n"), IsTaskInProgress), None);
    assert_eq!(asked(GetResults, &all("*1\r\n-E\r\n", results, "+x\r\n"), IsTaskInProgress), flag(false));
    assert_eq!(asked(GetResults, &all(":1\r\n", results, "-NOPERM\r\n"), IsExecutionInProgress), None);
    let seven = Some(Answer::Value(Some(b"7".to_vec())));
    assert_eq!(asked(GetResults, &all(marks, results, "$4\r\ntrue\r\n"), GetResult), seven);
    assert_eq!(asked(BeginExecution, &all("$-1\r\n", marks, results), GetResult), seven);
    assert_eq!(asked(BeginExecution, &all("$-1\r\n", marks, "-NOPERM\r\n"), GetResult), None);
    assert_eq!(asked(BeginExecution, &all("$-1\r\n", "-NOPERM\r\n", results), GetResult), seven);
    assert_eq!(asked(BeginTask, ":1\r\n:1\r\n", IsExecutionInProgress), flag(true));
    assert_eq!(asked(GetResult, "+true\r\n$-1\r\n", IsTaskInProgress), flag(true));
    assert_eq!(asked(GetResult, "-NOPERM\r\n$-1\r\n", IsTaskInProgress), None);
}

#[test]
fn results_are_spliced_while_they_come() {
    let results = call(Operation::GetResults, None);
    let spliced = |text| match answer(&results, text) {
        Ok(Answer::Results(results)) => results,
        other => panic!("{other:?}"),
    };
    assert_eq!(spliced("*0\r\n"), Results::Spliced(SplicedResults::whole(b"{}".to_vec())));
    assert_eq!(spliced("*-1\r\n"), Results::Spliced(SplicedResults::whole(b"{}".to_vec())));
    assert_eq!(
        spliced("*5\r\n$3\r\na\"b\r\n$1\r\n1\r\n$-1\r\n$7\r\n{\"x\":0}\r\n:1\r\n"),
        Results::Spliced(SplicedResults::whole(br#"{"a\"b":1,"":{"x":0}}"#.to_vec()))
    );
    let entries = |pairs: &[(&str, &str)]| {
        let entry = |&(field, value): &(&str, &str)| (field.as_bytes().to_vec(), value.as_bytes().to_vec());
        Results::Entries(pairs.iter().map(entry).collect())
    };
    assert_eq!(
        spliced("*6\r\n$1\r\na\r\n$2\r\n\"\"\r\n$1\r\nb\r\n$7\r\n1,\"x\":2\r\n$1\r\nc\r\n$-1\r\n"),
        entries(&[("a", "\"\""), ("b", "1,\"x\":2"), ("c", "")])
    );
}

#[test]
fn large_values_are_left_unchecked_and_keep_no_room() {
    let call = call(Operation::GetResults, None);
    let mut reader = ReplyReader::default();
    let value = "1".repeat(MAX_CHECKED + 1);
    let text = format!("*4\r\n+a\r\n+2\r\n+b\r\n${}\r\n{value}\r\n", value.len());
    match read(&mut reader, &call, text.as_bytes(), 1 << 16).unwrap().answer {
        Answer::Results(mut results @ Results::Unchecked(_)) => {
            results.check();
            assert_eq!(
                results,
                Results::Spliced(SplicedResults::whole(format!("{{\"a\":2,\"b\":{value}}}").into_bytes()))
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(reader.bytes() >= value.len());
    // Given up in the middle.
    let mut decoder = Decoder::new();
    reader.begin(&call, ServerFeatures::default());
    decoder.read(&text.as_bytes()[..1 << 20], &mut reader).unwrap();
    reader.begin(&call, ServerFeatures::default());
    assert!(reader.bytes() == 0 && reader.splicer.capacity() <= 2 * MAX_KEPT);
}

#[test]
fn a_call_says_nothing_about_the_next() {
    let mut reader = ReplyReader::default();
    let results = call(Operation::GetResults, None).prefetching(Prefetch::ExecutionAndMarks);
    let mut decoder = Decoder::new();
    for cut in ["-ERR x\r\n", "*2\r\n+a\r\n+true\r\n", "*2\r\n$4\r\nstep", "*4\r\n+a\r\n+1\r\n*1\r\n-ERR x\r\n"] {
        reader.begin(&results, ServerFeatures::default());
        let progress = decoder.read(cut.as_bytes(), &mut reader).unwrap();
        if progress.complete {
            reader.end_of_reply();
        }
        decoder = Decoder::new();
        let text = b"+OK\r\n+Q\r\n+Q\r\n+Q\r\n*3\r\n*0\r\n*0\r\n$-1\r\n";
        let fresh = read(&mut ReplyReader::default(), &results, text, 100);
        assert_eq!(read(&mut reader, &results, text, 100), fresh, "after {cut:?}");
        assert_eq!(read(&mut reader, &call(Operation::GetResult, None), b"$-1\r\n", 9).unwrap().snapshot, None);
    }
}
