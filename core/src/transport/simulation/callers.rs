//! Who calls, and with what.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::history::{Record, execution_name, task_name};
use super::random::Random;
use crate::store::{Call, KeyOptions, Operation};

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub execution: usize,
    /// Calls at a time.
    pub burst: u64,
    /// The longest pause between its calls, in milliseconds.
    pub pause: u64,
}

/// A caller and its calls.
pub struct Waiting {
    pub caller: Caller,
    /// When it calls next; `None` while it waits for answers.
    pub at: Option<Instant>,
    /// What it waits for.
    pub tokens: Vec<u32>,
}

/// What is called how often.
pub const OPERATIONS: [Operation; 12] = {
    use Operation::*;
    [
        BeginExecution,
        BeginExecution,
        IsExecutionInProgress,
        BeginTask,
        BeginTask,
        IsTaskInProgress,
        CommitResult,
        CommitResult,
        CommitResult,
        GetResult,
        GetResults,
        Dispose,
    ]
};

/// Callers that have not called yet.
pub fn beginning(callers: &[Caller], start: Instant, random: &mut Random) -> Vec<Waiting> {
    let waiting = |caller: &Caller| Waiting {
        caller: *caller,
        at: Some(start + random.millis(0, caller.pause)),
        tokens: Vec::new(),
    };
    callers.iter().map(waiting).collect()
}

/// A call is over: whoever waited for it goes on, a little later.
pub fn settled(all: &mut [Waiting], token: u32, now: Instant, random: &mut Random) {
    for waiting in all {
        let before = waiting.tokens.len();
        waiting.tokens.retain(|other| *other != token);
        if waiting.tokens.is_empty() && before > 0 {
            let pause = Duration::from_micros(random.below(waiting.caller.pause * 1000 + 1));
            waiting.at = Some(now + pause);
        }
    }
}

/// The call of a record.
pub fn call_of(record: &Record, key_options: Arc<KeyOptions>) -> Call {
    let mut text = execution_name(record.execution).into_bytes();
    let id_end = text.len();
    if record.operation.has_task() {
        text.extend_from_slice(task_name(record.task).as_bytes());
    }
    let task_end = text.len();
    if record.operation == Operation::CommitResult {
        text.extend_from_slice(record.value.to_string().as_bytes());
    }
    Call::new(record.operation, key_options, text, id_end, task_end)
}
