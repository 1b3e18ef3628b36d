//! Tests of what the error of a call says whose parts ended in different ways, of calls that wait for others, and of servers that
//! are silent or refuse.

use super::*;
use crate::error_texts::{calls, connections as texts};
use crate::store::Operation;
use crate::transport::cluster::topology::Map;
use crate::transport::node_id::NodeId;
use crate::transport::request::{Nowhere, Redirect};
use crate::transport::target::test_target;

type Note = fn(&mut Delivery);

const TIMEOUT: Duration = Duration::from_secs(1);

fn router_of_shards() -> Router {
    let address = test_target().settings.address;
    Router::of_shards(Config { command_timeout: TIMEOUT, address, returns: Arc::new(Nowhere) }, Vec::new(), 0)
}

fn call(operation: Operation, task: &str) -> Request {
    let text = format!("run{task}").into_bytes();
    let end = text.len();
    Request::new(Call::new(operation, Arc::default(), text, 3, end), 0, Arc::new(Nowhere))
}

/// What the router sends.
fn sent(router: &mut Router, now: Instant) -> Vec<Request> {
    router.advance(now);
    let parts = router.effects().drain(..).filter_map(|effect| match effect {
        Effect::Send { parts, .. } => Some(parts),
        _ => None,
    });
    parts.flatten().collect()
}

fn failure() -> StoreError {
    texts::lost().error()
}

fn done(part: Request) -> Finished {
    part.finish(Ok(Reply { answer: crate::store::Answer::Nothing, snapshot: None }))
}

/// What the error of a disposal says whose parts ended in these ways: done, or failed after these attempts.
fn said_of(ends: [Option<&[Note]>; 3]) -> String {
    let now = Instant::now();
    let mut router = router_of_shards();
    router.call(call(Operation::Dispose, ""), now + TIMEOUT);
    let parts = sent(&mut router, now);
    assert_eq!(parts.len(), 3);
    for (mut part, end) in parts.into_iter().zip(ends) {
        end.unwrap_or_default().iter().for_each(|note| note(&mut part.delivery));
        router.returned(if end.is_none() { done(part) } else { part.fail(failure()) }, now);
    }
    assert!(router.is_at_rest());
    let finished = router.finished.pop().expect("all parts are back");
    finished.outcome.unwrap_err().message
}

#[test]
fn an_error_covers_all_parts_of_a_call() {
    let (unsent, lost): (&[Note], &[Note]) = (&[], &[Delivery::sent, Delivery::lost]);
    let lost_and_refused: &[Note] = &[Delivery::sent, Delivery::lost, Delivery::sent, Delivery::refused];
    let refused: &[Note] = &[Delivery::sent, Delivery::refused];
    let lost_and = |sentence: &str| format!("the connection to Redis was lost. {sentence}");
    for (parts, says) in [
        ([Some(unsent), Some(unsent), Some(unsent)], lost_and("The command had not been sent, so it was not applied.")),
        ([Some(unsent), None, None], lost_and("Other parts of the call have been applied.")),
        ([Some(unsent), Some(lost), Some(unsent)], lost_and("The command had been sent, so it may have been applied.")),
        ([Some(refused), Some(refused), Some(refused)], texts::lost().into_message()),
        (
            [Some(lost_and_refused), Some(refused), Some(refused)],
            lost_and("It had been sent before without an answer, so it may have been applied."),
        ),
        ([None, Some(lost), None], lost_and("Other parts of the call have been applied.")),
    ] {
        assert_eq!(said_of(parts), says);
    }
}

#[test]
fn a_call_that_waits_for_an_earlier_commit_is_given_up_at_its_own_deadline() {
    let now = Instant::now();
    let mut router = router_of_shards();
    router.call(call(Operation::CommitResult, "t"), now + 10 * TIMEOUT);
    let mut results = sent(&mut router, now);
    router.call(call(Operation::IsTaskInProgress, "t"), now + TIMEOUT);
    router.call(call(Operation::BeginTask, "t"), now + 9 * TIMEOUT);
    assert!(sent(&mut router, now).is_empty(), "they wait for the second step");
    assert_eq!(router.next_moment(), Some(now + TIMEOUT));
    assert!(sent(&mut router, now + TIMEOUT).is_empty());
    let finished = router.finished.pop().expect("it is over");
    let message = finished.outcome.unwrap_err().message;
    assert!(message.contains(calls::SERVER_DID_NOT_ANSWER), "{message}");
    // The second step of the commit, and what waited for it.
    let part = results.pop().expect("the result");
    router.returned(done(part), now + TIMEOUT);
    let parts = sent(&mut router, now + TIMEOUT);
    let operations: Vec<Operation> = parts.iter().map(|part| part.call.operation).collect();
    assert_eq!(operations, [Operation::CommitResult, Operation::BeginTask]);
    parts.into_iter().for_each(|part| router.returned(done(part), now + TIMEOUT));
    assert!(router.is_at_rest());
    assert_eq!(router.next_moment(), None);
}

#[test]
fn what_was_lost_is_sent_again_in_the_order_in_which_it_was_called() {
    let now = Instant::now();
    let mut router = router_of_shards();
    for task in ["a", "b", "c"] {
        router.call(call(Operation::BeginTask, task), now + TIMEOUT);
    }
    let mut parts = sent(&mut router, now);
    parts.reverse();
    for part in parts {
        let pending = PendingCall::new(part, 0, now + TIMEOUT);
        router.returned(pending.hand_back(Redirect::Lost, failure()), now);
        assert!(sent(&mut router, now).is_empty(), "what was lost pauses, and what follows it waits");
    }
    let parts = sent(&mut router, now + PAUSE);
    let tasks: Vec<&[u8]> = parts.iter().map(|part| part.call.task()).collect();
    assert_eq!(tasks, [b"a", b"b", b"c"]);
    parts.into_iter().for_each(|part| router.returned(done(part), now + PAUSE));
    assert_eq!(router.finished.len(), 3);
}

#[test]
fn what_follows_for_a_slot_waits_while_something_earlier_asks_another_node() {
    let now = Instant::now();
    let mut router = router_of_shards();
    router.call(call(Operation::BeginTask, "a"), now + TIMEOUT);
    let first = sent(&mut router, now).pop().expect("it is sent");
    let ask = Redirect::Elsewhere { ask: true, detail: "1 127.0.0.1:2".into() };
    router.returned(PendingCall::new(first, 0, now + TIMEOUT).hand_back(ask, failure()), now);
    router.call(call(Operation::BeginTask, "b"), now + TIMEOUT);
    let mut parts = sent(&mut router, now);
    assert_eq!(parts.len(), 1, "the second goes to the node that has the slot, behind the first");
    let first = parts.pop().expect("it is sent");
    assert!(first.call.task() == b"a" && first.route.as_ref().is_some_and(|route| route.asking));
    router.call(call(Operation::BeginTask, "c"), now + TIMEOUT);
    assert!(sent(&mut router, now).is_empty());
    router.returned(done(first), now);
    let parts = sent(&mut router, now);
    assert_eq!(parts.iter().map(|part| part.call.task()).collect::<Vec<_>>(), [b"b", b"c"]);
    parts.into_iter().for_each(|part| router.returned(done(part), now));
    assert!(router.is_at_rest());
}

fn address(port: u16) -> Address {
    Address::Tcp("127.0.0.1".into(), port)
}

/// A map in which one server has all slots.
fn map_of(port: u16) -> Map {
    let id = NodeId::new(&port.to_string());
    let owner = Owner { address: address(port), id: Some(id.clone()) };
    Map { ranges: vec![(0, (SLOTS - 1) as u16, owner)], nodes: vec![id], source: address(port), is_foreign: false }
}

fn router_of_cluster(now: Instant) -> Router {
    let address = test_target().settings.address;
    let config = Config { command_timeout: 8 * TIMEOUT, address, returns: Arc::new(Nowhere) };
    let mut router = Router::new(config, Backoff::default(), now);
    assert!(reads_map(&mut router, now));
    assert_eq!(router.map_read(map_of(1), now), Belief::Believed);
    router
}

/// Whether the router has the map read.
fn reads_map(router: &mut Router, now: Instant) -> bool {
    router.advance(now);
    router.effects().drain(..).any(|effect| matches!(effect, Effect::ReadMap { .. }))
}

#[test]
fn the_map_is_read_while_a_server_owes_answers_and_gives_none() {
    let mut now = Instant::now();
    let mut router = router_of_cluster(now);
    assert!(!reads_map(&mut router, now + 9 * TIMEOUT), "nothing is owed");
    router.call(call(Operation::BeginTask, "a"), now + 100 * TIMEOUT);
    let part = sent(&mut router, now).pop().expect("it is sent");
    for _ in 0..3 {
        assert_eq!(router.next_moment(), Some(now + TIMEOUT));
        now += TIMEOUT;
        assert!(reads_map(&mut router, now));
        assert_eq!(router.map_read(map_of(1), now), Belief::Believed);
        assert!(!reads_map(&mut router, now), "not over and over");
    }
    // A replica was promoted.
    now += TIMEOUT;
    assert!(reads_map(&mut router, now));
    assert_eq!(router.map_read(map_of(2), now), Belief::Believed);
    let closes = router.effects().drain(..).filter(|effect| matches!(effect, Effect::Close { node: 0 })).count();
    assert_eq!(closes, 1);
    let lost = PendingCall::new(part, 0, now + TIMEOUT).hand_back(Redirect::Lost, failure());
    router.returned(lost, now);
    assert!(sent(&mut router, now).is_empty());
    let part = sent(&mut router, now + PAUSE).pop().expect("it goes to the new one");
    router.returned(done(part), now + PAUSE);
    assert!(router.is_at_rest());
}

#[test]
fn of_an_execution_that_is_refused_for_now_one_call_is_sent_until_it_is_answered() {
    let mut now = Instant::now();
    let mut router = router_of_cluster(now);
    let later = |part: Request| PendingCall::new(part, 0, Instant::now()).hand_back(Redirect::Later, failure());
    let tasks: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    for task in &tasks {
        router.call(call(Operation::BeginTask, task), now + 100 * TIMEOUT);
    }
    for part in sent(&mut router, now) {
        router.returned(later(part), now);
    }
    let mut refusals = 0;
    let end = now + 4 * TIMEOUT;
    while let Some(at) = router.next_moment().filter(|at| *at < end) {
        now = now.max(at);
        router.advance(now);
        let mut parts = Vec::new();
        for effect in mem::take(router.effects()) {
            match effect {
                Effect::ReadMap { .. } => assert_eq!(router.map_read(map_of(1), now), Belief::Believed),
                Effect::Send { parts: more, .. } => parts.extend(more),
                _ => {}
            }
        }
        assert!(parts.len() <= 1, "{} were sent", parts.len());
        for part in parts {
            assert_eq!(part.call.task(), b"0", "the oldest goes first");
            refusals += 1;
            router.returned(later(part), now);
        }
    }
    assert!((4..=15).contains(&refusals), "{refusals}");
}

#[test]
fn what_is_sent_on_to_ever_other_addresses_is_given_up() {
    let mut now = Instant::now();
    let mut router = router_of_cluster(now);
    router.call(call(Operation::BeginTask, "a"), now + 100 * TIMEOUT);
    let start = now;
    let mut opened = 0;
    let mut port = 2;
    while router.finished.is_empty() {
        router.advance(now);
        for effect in mem::take(router.effects()) {
            match effect {
                // The map leads to the first server again.
                Effect::ReadMap { .. } => assert_eq!(router.map_read(map_of(1), now), Belief::Believed),
                Effect::Open { .. } => opened += 1,
                Effect::Send { parts, .. } => {
                    for part in parts {
                        let elsewhere = Redirect::Elsewhere { ask: false, detail: format!("1 127.0.0.1:{port}") };
                        let pending = PendingCall::new(part, 0, now + 100 * TIMEOUT);
                        router.returned(pending.hand_back(elsewhere, failure()), now);
                        port += 1;
                    }
                }
                _ => {}
            }
        }
        now = router.next_moment().map_or(now, |at| at.max(now));
        assert!(opened <= 17 && now < start + 100 * TIMEOUT, "{opened} connections were opened");
    }
    let finished = router.finished.pop().expect("it is over");
    let error = finished.outcome.unwrap_err();
    let says = "the cluster's nodes sent the call on to 16 new addresses, and then with MOVED 1 127.0.0.1:";
    assert!(error.message.starts_with(says), "{}", error.message);
    assert!(error.message.ends_with("The command was refused each time, so it was not applied."), "{}", error.message);
    assert_eq!((error.code, error.reply.as_deref()), (crate::error::Code::Reply, Some("MOVED")));
    // What a server says that a map has replaced meanwhile leads nowhere, and opens nothing.
    assert_eq!(opened, 17);
    let sent = port - 2;
    assert!((17..=34).contains(&sent), "{sent}");
    assert!(now - start < 20 * TIMEOUT, "{:?}", now - start);
    assert!(router.is_at_rest());
}

#[test]
fn what_a_silent_server_owes_for_a_slot_that_another_one_has_by_now_comes_back() {
    let mut now = Instant::now();
    let mut router = router_of_cluster(now);
    router.call(call(Operation::BeginTask, "a"), now + 100 * TIMEOUT);
    let part = sent(&mut router, now).pop().expect("it is sent");
    let slot = part.route.as_ref().expect("it has a route").slot;
    // The map in which a second server has that slot.
    let map = || {
        let Map { mut ranges, nodes, source, is_foreign } = map_of(1);
        let owner = Owner { address: address(2), id: Some(NodeId::new("2")) };
        ranges.push((slot, slot, owner));
        Map { ranges, nodes, source, is_foreign }
    };
    let recalls = |router: &mut Router| {
        let recalled = router.effects().drain(..).filter_map(|effect| match effect {
            Effect::Recall { node, slots } => Some((node, slots)),
            _ => None,
        });
        recalled.collect::<Vec<_>>()
    };
    router.want_map();
    assert!(reads_map(&mut router, now + TIMEOUT / 2));
    assert_eq!(router.map_read(map(), now + TIMEOUT / 2), Belief::Believed);
    assert_eq!(recalls(&mut router), [], "it may answer yet");
    now += TIMEOUT;
    assert!(reads_map(&mut router, now));
    assert_eq!(router.map_read(map(), now), Belief::Believed);
    assert_eq!(recalls(&mut router), [(0, vec![slot])]);
    let lost = PendingCall::new(part, 0, now + 100 * TIMEOUT).hand_back(Redirect::Lost, failure());
    router.returned(lost, now);
    router.advance(now + PAUSE);
    let sent = router.effects().drain(..).find_map(|effect| match effect {
        Effect::Send { node, parts } => Some((node, parts)),
        _ => None,
    });
    let (node, mut parts) = sent.expect("it goes to the other one");
    assert_ne!(node, 0);
    router.returned(done(parts.pop().expect("the part")), now + PAUSE);
    assert!(router.is_at_rest());
}

#[test]
fn a_server_that_lets_calls_expire_is_silent() {
    let now = Instant::now();
    let mut router = router_of_cluster(now);
    for task in ["a", "b"] {
        router.call(call(Operation::BeginTask, task), now + 100 * TIMEOUT);
    }
    let mut parts = sent(&mut router, now);
    let expired = PendingCall::new(parts.pop().expect("two were sent"), 0, now).expire(TIMEOUT, None);
    router.returned(expired, now + TIMEOUT / 2);
    assert!(reads_map(&mut router, now + TIMEOUT), "that a call has expired is nothing that the server said");
    router.map_not_read(ConnectError::closed());
    parts.into_iter().for_each(|part| router.returned(done(part), now + TIMEOUT));
    assert!(router.is_at_rest());
}
