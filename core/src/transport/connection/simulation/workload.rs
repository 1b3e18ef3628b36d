//! Who calls what when.

use std::time::{Duration, Instant};

use super::history::{TASKS, execution_name, task_name};
use super::plan::{Caller, Plan};
use super::random::Random;
use super::world::{World, log};
use crate::store::{Call, Operation, Prefetch};
use crate::transport::request::{ClusterRoute, Nowhere, Request};

/// A caller.
pub struct Waiting {
    caller: Caller,
    /// When it calls next; `None` while it waits for answers.
    pub at: Option<Instant>,
    /// What it waits for.
    tokens: Vec<u32>,
}

/// The callers of a plan.
pub fn beginning(plan: &Plan, start: Instant, random: &mut Random) -> Vec<Waiting> {
    let waiting = |caller: &Caller| Waiting {
        caller: *caller,
        at: Some(start + random.millis(0, caller.pause)),
        tokens: Vec::new(),
    };
    plan.callers.iter().map(waiting).collect()
}

/// Makes the calls that are due.
pub fn call(world: &mut World) -> bool {
    let mut any = false;
    for index in 0..world.waiting.len() {
        let Waiting { caller, at, .. } = world.waiting[index];
        if at.is_none_or(|at| at > world.now) {
            continue;
        }
        let is_over = world.closed || world.history.records.len() >= world.plan.calls;
        world.waiting[index].at = None;
        if is_over {
            continue;
        }
        any = true;
        for _ in 0..caller.burst {
            let operation = world.random.pick(&OPERATIONS);
            let token = make(world, caller.execution, operation);
            world.waiting[index].tokens.push(token);
        }
    }
    any
}

const OPERATIONS: [Operation; 12] = {
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

/// Makes one call.
pub fn make(world: &mut World, execution: usize, operation: Operation) -> u32 {
    let task = world.random.below(TASKS as u64) as usize;
    let ragged = world.plan.ragged && !world.is_healed();
    let part = if ragged { world.random.within(30, 100) } else { 100 };
    let deadline = world.now + world.plan.command_timeout * part as u32 / 100;
    let token = world.history.call(execution, operation, task, world.now, deadline);
    let value = world.history.records[token as usize].value;
    let mut text = execution_name(execution).into_bytes();
    let id_end = text.len();
    if operation.has_task() {
        text.extend_from_slice(task_name(task).as_bytes());
    }
    let task_end = text.len();
    if operation == Operation::CommitResult {
        text.extend_from_slice(value.to_string().as_bytes());
    }
    let mut call = Call::new(operation, world.plan.executions[execution].clone(), text, id_end, task_end);
    if world.random.percent(40) && !world.plan.routed {
        call = call.prefetching(Prefetch::of(operation));
    }
    log!(
        world,
        "call {token}: {operation:?} of execution {execution}, task {task}, value {value}, {:?}",
        call.prefetch
    );
    let mut request = Request::new(call, token, std::sync::Arc::new(Nowhere));
    if world.plan.routed {
        request.route = Some(ClusterRoute {
            sequence: u64::from(token),
            deadline,
            slot: 0,
            sharded: false,
            asking: world.random.percent(20),
            moves: 0,
            losses: 0,
            reason: None,
            environment: std::sync::Arc::new(Nowhere),
        });
    }
    world.hand_over(request, deadline);
    token
}

/// A call is over: whoever waited for it goes on, a little later.
pub fn settled(world: &mut World, token: u32) {
    let now = world.now;
    for waiting in &mut world.waiting {
        let before = waiting.tokens.len();
        waiting.tokens.retain(|other| *other != token);
        if waiting.tokens.is_empty() && before > 0 {
            let pause = Duration::from_micros(world.random.below(waiting.caller.pause * 1000 + 1));
            waiting.at = Some(now + pause);
        }
    }
}
