//! Tests of the commands that each call becomes.

use redis::{Cmd, Pipeline};

use super::*;

fn commands(operation: Operation, key_options: KeyOptions, features: ServerFeatures) -> Vec<String> {
    let call = Call::new(operation, Arc::new(key_options), b"runstep42".to_vec(), 3, 7);
    let mut pipeline = Pipeline::new();
    let replies = call.append(features, &mut pipeline);
    assert_eq!(replies, pipeline.len());
    let words = |command: &Cmd| {
        let words = command.args_iter().map(|argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::from("?"),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    pipeline.cmd_iter().map(words).collect()
}

#[test]
fn without_ttl_only_a_commit_needs_a_transaction() {
    let plain = |operation| commands(operation, KeyOptions::default(), ServerFeatures::default());
    assert_eq!(plain(Operation::BeginExecution), ["SET run true GET"]);
    assert_eq!(plain(Operation::IsExecutionInProgress), ["GET run"]);
    assert_eq!(plain(Operation::BeginTask), ["HSET run-transactions step true"]);
    assert_eq!(plain(Operation::IsTaskInProgress), ["HGET run-transactions step"]);
    assert_eq!(
        plain(Operation::CommitResult),
        ["MULTI", "HSET run-results step 42", "HDEL run-transactions step", "EXEC"]
    );
    assert_eq!(plain(Operation::GetResult), ["HGET run-results step"]);
    assert_eq!(plain(Operation::GetResults), ["HGETALL run-results"]);
    assert_eq!(plain(Operation::Dispose), ["UNLINK run run-transactions run-results"]);
}

#[test]
fn the_expiry_is_set_in_the_same_step() {
    let with = |operation, sliding_ttl| {
        commands(
            operation,
            KeyOptions { ttl: Some(2500), sliding_ttl, ..KeyOptions::default() },
            ServerFeatures::default(),
        )
    };
    assert_eq!(with(Operation::BeginExecution, false), ["SET run true PX 2500 GET"]);
    assert_eq!(
        with(Operation::BeginTask, false),
        ["MULTI", "HSET run-transactions step true", "PEXPIRE run-transactions 2500", "EXEC"]
    );
    assert_eq!(with(Operation::CommitResult, false)[3], "PEXPIRE run-results 2500");
    assert_eq!(
        with(Operation::CommitResult, true)[3..6],
        ["PEXPIRE run 2500", "PEXPIRE run-transactions 2500", "PEXPIRE run-results 2500"]
    );
}

#[test]
fn parts_are_about_one_key_each() {
    let parts = |operation, ttl, sliding_ttl| {
        let key_options = KeyOptions { ttl, sliding_ttl, ..KeyOptions::default() };
        let call = Call::new(operation, Arc::new(key_options), b"runstep42".to_vec(), 3, 7);
        let steps = crate::store::cluster_steps::steps(&call).unwrap_or_default();
        let texts = steps.iter().flat_map(|step| step.iter()).map(|&(act, role)| {
            let mut pipeline = Pipeline::new();
            call.part_that(act, role).append(ServerFeatures::default(), &mut pipeline);
            let text = String::from_utf8_lossy(&pipeline.get_packed_pipeline()).into_owned();
            text.split("\r\n").filter(|word| !word.starts_with(['*', '$'])).collect::<Vec<_>>().join(" ")
        });
        texts.map(|text| text.trim().to_owned()).collect::<Vec<_>>()
    };
    let commit = ["HSET run-results step 42", "HDEL run-transactions step"];
    assert_eq!(parts(Operation::CommitResult, None, false), commit);
    let expiring = ["MULTI HSET run-results step 42 PEXPIRE run-results 9 EXEC", commit[1]];
    assert_eq!(parts(Operation::CommitResult, Some(9), false), expiring);
    let mark = "MULTI HDEL run-transactions step PEXPIRE run-transactions 9 EXEC";
    assert_eq!(parts(Operation::CommitResult, Some(9), true), [expiring[0], mark, "PEXPIRE run 9"]);
    let dispose = ["UNLINK run", "UNLINK run-transactions", "UNLINK run-results"];
    assert_eq!(parts(Operation::Dispose, Some(9), true), dispose);
    let begin = "MULTI HSET run-transactions step true PEXPIRE run-transactions 9 EXEC";
    assert_eq!(parts(Operation::BeginTask, Some(9), true), [begin, "PEXPIRE run 9", "PEXPIRE run-results 9"]);
    assert!(parts(Operation::BeginTask, Some(9), false).is_empty());
}

#[test]
fn a_server_without_set_get_is_sent_a_plain_set() {
    let features = ServerFeatures { set_get: false, ..ServerFeatures::default() };
    assert_eq!(commands(Operation::BeginExecution, KeyOptions::default(), features), ["SET run true"]);
}

#[test]
fn what_may_be_an_orphan_is_guarded_in_one_slot_and_asked_about_across_slots() {
    use crate::store::cluster_steps::{Act, Steps, steps, steps_after};
    use crate::store::{Answer, Reply};
    use Act::{AskAgain, AskFirst, Restore, Shorten, Write};
    use Role::{Execution, Results, Transactions};
    let call = |operation| {
        let key_options = KeyOptions { ttl: Some(9), orphan_ttl: Some(5), ..KeyOptions::default() };
        Call::new(operation, Arc::new(key_options), b"runstep42".to_vec(), 3, 7)
    };
    let written = |call: &Call| {
        let mut pipeline = Pipeline::new();
        call.append(ServerFeatures::default(), &mut pipeline);
        let name = |command: &redis::Cmd| match command.args_iter().next() {
            Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        };
        pipeline.cmd_iter().map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(written(&call(Operation::BeginTask)), "MULTI HSET PEXPIRE EVAL EXEC");
    assert_eq!(written(&call(Operation::CommitResult)), "MULTI HSET HDEL PEXPIRE EVAL EXEC");
    assert_eq!(written(&call(Operation::BeginExecution)), "MULTI SET PEXPIRE PEXPIRE EXEC");
    assert_eq!(written(&call(Operation::Touch)), "MULTI PEXPIRE PEXPIRE EVAL PEXPIRE EXEC");

    let after = |call: &Call, act, flag| -> Option<Steps> {
        steps_after(call, act, &Reply { answer: Answer::Flag(flag), snapshot: None })
    };
    let commit = call(Operation::CommitResult);
    let first: Steps = &[&[(AskFirst, Execution)]];
    assert_eq!(steps(&commit), Some(first));
    let alive: Steps = &[&[(Write, Results)], &[(Write, Transactions)]];
    assert_eq!(after(&commit, AskFirst, true), Some(alive));
    let gone: Steps = &[&[(Shorten, Results)], &[(Shorten, Transactions)], &[(AskAgain, Execution)]];
    assert_eq!(after(&commit, AskFirst, false), Some(gone));
    assert_eq!(after(&commit, AskAgain, false), None);
    let begun: Steps = &[&[(Restore, Results)]];
    assert_eq!(after(&commit, AskAgain, true), Some(begun));
    assert_eq!(written(&commit.part_that(AskFirst, Execution)), "EXISTS");
    assert_eq!(written(&commit.part_that(Shorten, Results)), "MULTI HSET PEXPIRE EXEC");
    assert_eq!(written(&commit.part_that(Shorten, Transactions)), "HDEL");
    assert_eq!(written(&commit.part_that(Restore, Results)), "PEXPIRE");
    assert_eq!(written(&call(Operation::BeginExecution).part(Execution)), "SET");
}
