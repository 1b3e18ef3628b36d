//! Who calls what when.

use std::sync::Arc;

use super::world::{World, log};
use crate::store::{Operation, Prefetch};
use crate::transport::request::{ClusterRoute, Nowhere, Request};
use crate::transport::simulation::callers::{OPERATIONS, Waiting, call_of};
use crate::transport::simulation::history::TASKS;

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

/// Makes one call.
pub fn make(world: &mut World, execution: usize, operation: Operation) -> u32 {
    let task = world.random.below(TASKS as u64) as usize;
    let ragged = world.plan.ragged && !world.is_healed();
    let part = if ragged { world.random.within(30, 100) } else { 100 };
    let deadline = world.now + world.plan.command_timeout * part as u32 / 100;
    let token = world.history.call(execution, operation, task, world.now, deadline);
    let record = &world.history.records[token as usize];
    let value = record.value;
    let mut call = call_of(record, world.plan.executions[execution].clone());
    if world.random.percent(40) && !world.plan.routed {
        call = call.prefetching(Prefetch::of(operation));
    }
    log!(
        world,
        "call {token}: {operation:?} of execution {execution}, task {task}, value {value}, {:?}",
        call.prefetch
    );
    let mut request = Request::new(call, token, Arc::new(Nowhere));
    if world.plan.routed {
        request.route = Some(ClusterRoute {
            sequence: u64::from(token),
            deadline,
            slot: 0,
            sharded: false,
            asking: world.random.percent(20),
            moves: 0,
            detours: 0,
            losses: 0,
            refusals: 0,
            reason: None,
            environment: Arc::new(Nowhere),
        });
    }
    world.hand_over(request, deadline);
    token
}
