//! Tests of commands as bytes: as the redis crate writes them.

use std::sync::Arc;

use redis::Pipeline;

use super::Encoder;
use crate::store::cluster_steps::steps;
use crate::store::server_features::ServerFeatures;
use crate::store::{Call, KeyOptions, Operation, Prefetch};

fn check(call: &Call, features: ServerFeatures) {
    let mut pipeline = Pipeline::new();
    let mut encoder = Encoder { bytes: b"before".to_vec() };
    assert_eq!(call.append(features, &mut pipeline), pipeline.len());
    assert_eq!(call.append(features, &mut encoder), pipeline.len());
    assert_eq!(encoder.bytes.strip_prefix(b"before"), Some(pipeline.get_packed_pipeline().as_slice()));
}

#[test]
fn calls_are_written_as_the_redis_crate_writes_them() {
    let value = format!("{{\"text\":\"{}\"}}", "é".repeat(700));
    for operation in Operation::ALL {
        for (ttl, sliding_ttl) in [(None, false), (Some(0), false), (Some(1234), true), (Some(u64::MAX), true)] {
            let key_options = Arc::new(KeyOptions {
                key_prefix: "app:".into(),
                hash_tags: sliding_ttl,
                ttl,
                sliding_ttl,
                orphan_ttl: ttl.filter(|_| !sliding_ttl),
                in_progress_ttl: ttl.filter(|_| sliding_ttl),
                claims: sliding_ttl,
                quiet: false,
            });
            let text =
                format!("run-123456{}{}", "a task", if operation == Operation::CommitResult { &value } else { "" });
            let length =
                if operation.has_task() || operation == Operation::Touch && sliding_ttl { text.len() } else { 10 };
            let task_end = if operation.has_task() || operation == Operation::Touch && sliding_ttl { 16 } else { 10 };
            let call = Call::new(operation, key_options, text.as_bytes()[..length].to_vec(), 10, task_end);
            for (set_get, isolates) in [(false, false), (false, true), (true, false), (true, true)] {
                for prefetch in Prefetch::ALL {
                    let features = ServerFeatures { set_get, isolates, ..ServerFeatures::default() };
                    check(&call.clone().prefetching(prefetch), features);
                }
            }
            let steps = steps(&call).unwrap_or_default();
            let parts = steps.iter().flat_map(|step| step.iter());
            parts.for_each(|&(act, role)| check(&call.part_that(act, role), Default::default()));
        }
    }
}

#[test]
fn commands_are_written_behind_each_other() {
    let mut encoder = Encoder::default();
    encoder.command(&[b"ASKING"]);
    encoder.command(&[b"CLIENT", b"SETNAME", b"", &[b'x'; 10]]);
    let mut pipeline = Pipeline::new();
    pipeline.cmd("HELLO").arg(2).cmd("PING");
    encoder.pipeline(&pipeline);
    let expected = "*1\r\n$6\r\nASKING\r\n\
        *4\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$0\r\n\r\n$10\r\nxxxxxxxxxx\r\n\
        *2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n*1\r\n$4\r\nPING\r\n";
    assert_eq!(String::from_utf8_lossy(&encoder.bytes), expected);
}
