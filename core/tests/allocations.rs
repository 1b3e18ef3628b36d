//! How often writing calls and reading their replies asks for memory: never, but for what is handed over. And what a process asks for
//! before it knows anything.

use std::hint::black_box;
use std::sync::Arc;

use allocation_counter::measure;
use idioteque_redis_core::store::answer::Results;
use idioteque_redis_core::store::habits::Executions;
use idioteque_redis_core::store::server_features::ServerFeatures;
use idioteque_redis_core::store::{Answer, Call, ErrorReply, ExecutionHash, KeyOptions, Operation, ReplyReader};
use idioteque_redis_core::transport::protocol::decode::Decoder;
use idioteque_redis_core::transport::protocol::encode::Encoder;

/// How often this thread asks for memory meanwhile.
fn asked(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

fn call(operation: Operation, ttl: Option<u64>, sliding_ttl: bool) -> Call {
    let text = if operation.has_task() { "run-1234task42" } else { "run-1234" };
    let key_options =
        KeyOptions { key_prefix: "app:".into(), hash_tags: true, ttl, sliding_ttl, ..KeyOptions::default() };
    Call::new(operation, Arc::new(key_options), text.into(), 8, text.len().min(12))
}

/// How often one call asks for memory while its replies are read in pieces of a size, once the reader is warm.
fn allocations(call: &Call, replies: &str, size: usize) -> u64 {
    let (mut decoder, mut reader) = (Decoder::new(), ReplyReader::default());
    let mut read = || {
        reader.begin(call, ServerFeatures::default());
        for mut piece in replies.as_bytes().chunks(size) {
            while !piece.is_empty() {
                let progress = decoder.read(piece, &mut reader).unwrap();
                if progress.complete {
                    reader.end_of_reply();
                }
                piece = &piece[progress.used..];
            }
        }
        black_box(reader.finish(call)).unwrap()
    };
    read();
    asked(|| drop(read()))
}

#[test]
fn the_counter_counts() {
    assert_eq!(asked(|| drop(black_box(vec![0; black_box(1000)]))), 1);
}

#[test]
fn a_question_about_an_execution_of_which_nothing_is_known_remembers_nothing() {
    let hash = ExecutionHash::of(b"run-1234");
    let allocations = asked(|| {
        let mut executions = black_box(Executions::default());
        executions.asks(hash, Operation::IsExecutionInProgress, 1, false);
        executions.settled(hash, Operation::IsExecutionInProgress, 2);
        assert!(!executions.has_few_tasks(hash));
    });
    assert_eq!(allocations, 0);
}

#[test]
fn calls_are_written_into_the_buffer_alone() {
    let mut encoder = Encoder { bytes: Vec::with_capacity(4096) };
    for operation in Operation::ALL {
        for (ttl, sliding) in [(None, false), (Some(86_400_000), false), (Some(86_400_000), true)] {
            let call = call(operation, ttl, sliding);
            encoder.bytes.clear();
            let allocations = asked(|| {
                black_box(call.append(Default::default(), &mut encoder));
            });
            assert_eq!(allocations, 0, "{operation:?}");
            assert!(!encoder.bytes.is_empty());
        }
    }
}

#[test]
fn replies_to_the_usual_calls_take_no_memory() {
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n";
    let expiring = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n:1\r\n";
    for (operation, ttl, replies) in [
        (Operation::BeginExecution, None, "$-1\r\n"),
        (Operation::BeginExecution, None, "$4\r\ntrue\r\n"),
        (Operation::BeginExecution, None, "+OK\r\n"),
        (Operation::IsExecutionInProgress, None, "$4\r\ntrue\r\n"),
        (Operation::IsTaskInProgress, None, "$-1\r\n"),
        (Operation::BeginTask, None, ":1\r\n"),
        (Operation::BeginTask, Some(9), queued),
        (Operation::CommitResult, None, queued),
        (Operation::CommitResult, Some(9), expiring),
        (Operation::GetResult, None, "$-1\r\n"),
        (Operation::Dispose, None, ":3\r\n"),
    ] {
        // Lines that are cut are kept in room that the decoder has from the first of them on.
        for size in [usize::MAX, 1, 3] {
            assert_eq!(allocations(&call(operation, ttl, false), replies, size), 0, "{operation:?} {replies:?} {size}");
        }
    }
}

#[test]
fn a_result_takes_the_memory_that_it_is_in() {
    let value = "1".repeat(200_000);
    for value in ["", "1", &value[..1000], &value] {
        let replies = format!("${}\r\n{value}\r\n", value.len());
        let call = call(Operation::GetResult, None, false);
        for size in [usize::MAX, 1 << 14, 1000] {
            assert!(allocations(&call, &replies, size) <= 1, "{} in pieces of {size}", value.len());
        }
    }
}

#[test]
fn results_take_the_memory_of_their_text() {
    let call = call(Operation::GetResults, None, false);
    for count in [0, 1, 3, 500] {
        let entry = |number| format!("$8\r\ntask{number:04}\r\n$9\r\n{{\"a\":[1]}}\r\n");
        let replies = format!("*{}\r\n{}", 2 * count, (0..count).map(entry).collect::<String>());
        for size in [usize::MAX, 1000, 1] {
            assert!(allocations(&call, &replies, size) <= 1, "{count} in pieces of {size}");
        }
        let (mut decoder, mut reader) = (Decoder::new(), ReplyReader::default());
        reader.begin(&call, ServerFeatures::default());
        assert!(decoder.read(replies.as_bytes(), &mut reader).unwrap().complete);
        reader.end_of_reply();
        match reader.finish(&call).unwrap().answer {
            Answer::Results(Results::Spliced(all)) => assert_eq!(all.object.capacity(), all.object.len()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn room_for_a_result_is_made_as_its_bytes_come() {
    let call = call(Operation::GetResult, None, false);
    let (mut decoder, mut reader) = (Decoder::new(), ReplyReader::default());
    let length = 40 << 20;
    reader.begin(&call, ServerFeatures::default());
    decoder.read(format!("${length}\r\n").as_bytes(), &mut reader).unwrap();
    let piece = vec![b'1'; 1 << 16];
    let grown = asked(|| {
        for _ in 0..length / piece.len() {
            decoder.read(&piece, &mut reader).unwrap();
        }
    });
    assert!(grown <= 6, "{grown}");
    assert!(decoder.read(b"\r\n", &mut reader).unwrap().complete);
    reader.end_of_reply();
    let answer: Result<Answer, ErrorReply> = reader.finish(&call).map(|reply| reply.answer);
    match answer {
        Ok(Answer::Value(Some(value))) => assert_eq!((value.len(), value.capacity()), (length, length)),
        other => panic!("{:?}", other.is_ok()),
    }
}
