//! Runs histories.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::workload::make;
use super::world::{MAX_UNWRITTEN, RECOVERY, World};
use crate::store::{Call, Operation};
use crate::transport::backoff::Backoff;
use crate::transport::connection::handshake::Name;
use crate::transport::connection::machine::{Config, Machine, Need};
use crate::transport::connection::session::Opening;
use crate::transport::request::{Nowhere, Request};
use crate::transport::simulation::history::held_by;
use crate::transport::simulation::play::{every_history, failure};
use crate::transport::simulation::time::{Timed, most_within};
use crate::transport::target::test_target;

/// Histories in `cargo test`.
const SEEDS: u64 = 2000;
/// Seeds that once failed, because the machine
/// - wanted to be woken in the past, to send something over a silent connection;
/// - asked a server that refused reads and told no name with a read, before a write that came earlier for its execution;
/// - wanted to be woken in the past, to ask such a server with a write;
/// - asked a server that refused writes without a pause, with a call that overtook a refused one;
/// - connected twenty times a second to a server that was read-only;
/// - took a call for done that was undone by one that came before it, was sent again and given up.
const REGRESSIONS: [u64; 7] = [341, 18557, 8228, 24979, 2169, 8736, 594_754];
/// Attempts to connect within ten seconds: ten at once, and the others with pauses that grow.
const MAX_ATTEMPTS_IN_TEN_SECONDS: usize = 40;
/// Commands that a server refuses within ten seconds: those that were on their way, and those that find out whether it still does.
const MAX_REFUSED_IN_TEN_SECONDS: usize = 400;
/// How long a call takes at most when nothing goes wrong.
const WELL: Duration = Duration::from_secs(2);

/// Plays the history of a seed, and checks it. The events are noted where the world is.
fn play(world: &mut World) {
    let faults_end = world.start + world.plan.faults_end;
    world.run_until(faults_end, |_| false);
    world.heal();
    let healed = world.now;
    if !world.closed {
        // Somebody has to call, so that what is wrong with a connection is noticed.
        for _ in 0..RECOVERY.as_secs() {
            make(world, 0, Operation::IsExecutionInProgress);
            let next = world.now + Duration::from_secs(1);
            world.run_until(next, |_| false);
        }
        for execution in 0..world.plan.executions.len() {
            for operation in [Operation::BeginTask, Operation::GetResults, Operation::BeginExecution] {
                make(world, execution, operation);
            }
        }
    }
    let end = world.now + world.plan.command_timeout + Duration::from_secs(60);
    world.run_until(end, |world| world.history.pending == 0 && world.connections.len() <= 1);
    if !world.closed {
        world.history.check_recovery(healed + RECOVERY, WELL, world.now);
        world.close();
    }
    let end = world.now + Duration::from_secs(60);
    world.run_until(end, |world| world.machine.need() == Need::Over && world.connections.is_empty());
    assert_eq!(world.machine.need(), Need::Over, "a closed machine goes on");
    world.history.check(world.plan.executions.len(), |execution| held_by(&world.server.keys, execution));
    check_expiries(world);
    check_attempts(world);
    check_refusals(world);
}

/// A server that refuses is not asked the same over and over. The first second is that of what was on its way.
fn check_refusals(world: &World) {
    let within = most_within(&world.server.refused, Duration::from_secs(10));
    assert!(within <= MAX_REFUSED_IN_TEN_SECONDS, "{within} commands refused within ten seconds");
}

/// Every key of a store with a ttl expires, and no other.
fn check_expiries(world: &World) {
    for (key, entry) in &world.server.keys {
        let execution = usize::from(key[1] - b'0');
        let wanted = world.plan.executions[execution].ttl.is_some();
        assert_eq!(entry.expires, wanted, "whether {} expires", String::from_utf8_lossy(key));
    }
}

fn check_attempts(world: &World) {
    let within = most_within(&world.attempted, Duration::from_secs(10));
    assert!(within <= MAX_ATTEMPTS_IN_TEN_SECONDS, "{within} attempts to connect within ten seconds");
}

#[test]
fn every_history_keeps_the_promises() {
    every_history("a connection", &REGRESSIONS, SEEDS, |seed, start, logged| {
        failure(World::new(seed, start, logged), play, |world| world.log.take())
    });
}

#[test]
fn a_server_that_answers_nothing_is_sent_no_more_than_a_window_of_calls() {
    let start = Instant::now();
    let config = Config {
        command_timeout: Duration::from_secs(10),
        is_routed: false,
        address: test_target().settings.address,
        asks_after: None,
        features: Default::default(),
    };
    let mut machine = Machine::new(config, Backoff::default());
    machine.connected(NonZeroU64::MIN, Opening::Greeted(Name::Never), start);
    let key_options = Arc::default();
    for token in 0..20_000 {
        let call = Call::new(Operation::IsExecutionInProgress, Arc::clone(&key_options), b"e0".to_vec(), 2, 2);
        machine.call(Request::new(call, token, Arc::new(Nowhere)), start + Duration::from_secs(10));
    }
    let mut sent = 0;
    loop {
        machine.advance(start);
        let unwritten = machine.unwritten();
        assert!(unwritten.len() <= MAX_UNWRITTEN);
        if unwritten.is_empty() {
            break;
        }
        sent += unwritten.iter().filter(|byte| **byte == b'*').count();
        machine.wrote(unwritten.len(), crate::moment::Moment::default());
    }
    assert_eq!(sent, 16_384);
}
