//! Runs histories.

use std::time::{Duration, Instant};

use super::world::{RECOVERY, World};
use crate::store::Operation;
use crate::transport::simulation::history::held_by;
use crate::transport::simulation::play::{every_history, failure};
use crate::transport::simulation::time::{Timed, most_within};

/// Histories in `cargo test`.
const SEEDS: u64 = 500;
/// Seeds that once failed, because the router
/// - sent what came later for a slot to the node that had it, while what came earlier asked the one that it was migrated to.
const REGRESSIONS: [u64; 1] = [804];
/// How often the map is read within ten seconds: every 50 ms.
const MAX_READINGS_IN_TEN_SECONDS: usize = 201;
/// How often it is read when nothing has been wrong for long.
const MAX_READINGS_WHEN_WELL: usize = 2;
/// How long a call takes at most when nothing goes wrong.
const WELL: Duration = Duration::from_secs(2);

/// Plays the history of a seed, and checks it. The events are noted where the world is.
fn play(world: &mut World) {
    let faults_end = world.start + world.plan.faults_end;
    world.run_until(faults_end, |_| false);
    world.heal();
    let healed = world.now;
    if !world.closed {
        // Somebody has to call, so that what is wrong is noticed.
        for _ in 0..RECOVERY.as_secs() {
            for execution in 0..world.plan.executions.len() {
                world.make(execution, Operation::IsExecutionInProgress);
                world.make(execution, Operation::GetResults);
            }
            let next = world.now + Duration::from_secs(1);
            world.run_until(next, |_| false);
        }
        for execution in 0..world.plan.executions.len() {
            for operation in
                [Operation::BeginTask, Operation::GetResults, Operation::BeginExecution, Operation::CommitResult]
            {
                world.make(execution, operation);
            }
        }
    }
    let end = world.now + world.plan.command_timeout + Duration::from_secs(60);
    world.run_until(end, |world| world.history.pending == 0);
    if !world.closed {
        world.history.check_recovery(healed + RECOVERY, WELL, world.now);
        let end = world.now + Duration::from_secs(10);
        world.run_until(end, |_| false);
        world.close();
    }
    let end = world.now + Duration::from_secs(60);
    world.run_until(end, |world| world.router.is_over());
    assert!(world.router.is_over(), "a closed router goes on");
    assert!(world.router.is_at_rest(), "something is counted as under way");
    let keys = world.keys();
    world.history.check_keys(world.plan.executions.len(), |execution| held_by(&keys, execution));
    world.check_not_applied();
    check_readings(world, healed + RECOVERY);
}

/// The map is not read over and over.
fn check_readings(world: &World, recovered: Instant) {
    let readings = &world.readings;
    let within = most_within(readings, Duration::from_secs(10));
    assert!(within <= MAX_READINGS_IN_TEN_SECONDS, "the map was read {within} times within ten seconds");
    let late = readings.iter().filter(|at| **at >= recovered).count();
    assert!(late <= MAX_READINGS_WHEN_WELL, "the map was read {late} times although nothing had been wrong for long");
}

#[test]
fn every_history_keeps_the_promises() {
    every_history("a cluster", &REGRESSIONS, SEEDS, |seed, start, logged| {
        failure(World::new(seed, start, logged), play, |world| world.log.take())
    });
}
