//! Random histories of calls beside a plain model of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::store::{Call, KeyOptions, Operation};
use crate::transport::request::{ClusterRoute, Nowhere};

/// Small numbers, always the same for one seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What the model knows of a call, by its token, which is also its sequence number.
#[derive(Clone, Debug)]
struct Known {
    execution: u64,
    deadline: Instant,
    place: Place,
}

struct History {
    calls: OrderedCalls,
    known: BTreeMap<u64, Known>,
    /// Keys and tokens in flight, in the order in which they were sent.
    in_flight: Vec<(CallKey, u64)>,
    /// Answered before something earlier of their execution, or refused, on this connection.
    sent_again: Vec<u64>,
    now: Instant,
    next: u64,
    random: Random,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            calls: OrderedCalls::default(),
            known: BTreeMap::new(),
            in_flight: Vec::new(),
            sent_again: Vec::new(),
            now: Instant::now(),
            next: 0,
            random: Random(seed),
        }
    }

    fn insert(&mut self) {
        let execution = self.random.below(4);
        let id = execution.to_string().into_bytes();
        let end = id.len();
        let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), id, end, end);
        // Threads stamp their calls, so that deadlines are not quite in the order of the calls.
        let deadline = self.now + Duration::from_millis(50 + self.random.below(20));
        self.calls.insert(Request::new(call, self.next as u32, Arc::new(Nowhere)), deadline);
        self.known.insert(self.next, Known { execution, deadline, place: Place::Waiting });
        self.next += 1;
    }

    fn send(&mut self) {
        let Some(key) = self.calls.next(|_| Admission::Send) else {
            // Everything is in flight or parked.
            let waiting = self.known.values_mut().filter(|known| known.place == Place::Waiting);
            waiting.for_each(|known| known.place = Place::Parked);
            return;
        };
        let token = u64::from(self.calls.get(key).request.token);
        let Known { execution, place, .. } = self.known[&token];
        assert_eq!(place, Place::Waiting);
        for (other, known) in &self.known {
            let is_earlier = *other < token && known.execution == execution;
            assert!(!is_earlier || matches!(known.place, Place::InFlight(_)), "{token} was sent before {other}");
        }
        self.calls.sent(key, token, Instant::now());
        self.known.get_mut(&token).unwrap().place = Place::InFlight(token);
        self.in_flight.push((key, token));
    }

    fn answer(&mut self, is_refused: bool) {
        if self.in_flight.is_empty() {
            return;
        }
        let (key, token) = self.in_flight.remove(0);
        let execution = self.known[&token].execution;
        let is_overtaken = self
            .sent_again
            .iter()
            .any(|other| *other < token && self.known.get(other).is_some_and(|known| known.execution == execution));
        assert_eq!(self.calls.is_overtaken(key), is_overtaken, "{token}");
        if is_refused || is_overtaken {
            self.calls.park(key);
            self.sent_again.push(token);
            self.known.get_mut(&token).unwrap().place = Place::Parked;
        } else {
            assert_eq!(u64::from(self.calls.finish(key).request.token), token);
            self.known.remove(&token);
            self.sent_again.retain(|other| *other != token);
        }
    }

    fn expire(&mut self) {
        self.now += Duration::from_millis(self.random.below(30));
        let mut expected: Vec<u64> =
            self.known.iter().filter(|(_, known)| known.deadline <= self.now).map(|(token, _)| *token).collect();
        while let Some((_, pending, place)) = self.calls.expire(self.now) {
            let token = u64::from(pending.request.token);
            expected.retain(|other| *other != token);
            let known = self.known.remove(&token).expect("no call is given up twice");
            assert!(known.deadline <= self.now);
            // What came behind something parked may have been parked with it.
            assert!(place == known.place || (place, known.place) == (Place::Parked, Place::Waiting));
            self.in_flight.retain(|(_, other)| *other != token);
            self.sent_again.retain(|other| *other != token);
        }
        assert_eq!(expected, [0_u64; 0]);
        let earliest = self.known.values().map(|known| known.deadline).min();
        assert_eq!(self.calls.earliest_deadline(), earliest);
    }

    fn release(&mut self) {
        self.calls.release();
        let parked = self.known.values_mut().filter(|known| known.place == Place::Parked);
        parked.for_each(|known| known.place = Place::Waiting);
    }

    fn lose_connection(&mut self) {
        self.calls.requeue();
        self.known.values_mut().for_each(|known| known.place = Place::Waiting);
        (self.in_flight, self.sent_again) = (Vec::new(), Vec::new());
    }
}

#[test]
fn every_history_keeps_the_order_the_places_and_the_deadlines() {
    for seed in 0..300 {
        let mut history = History::new(seed);
        for _ in 0..400 {
            match history.random.below(20) {
                0..6 => history.insert(),
                6..12 => history.send(),
                12..16 => history.answer(false),
                16 => history.answer(true),
                17 => history.release(),
                18 => history.expire(),
                _ if history.random.below(8) == 0 => history.lose_connection(),
                _ => {}
            }
        }
        history.lose_connection();
        let tokens: Vec<u64> = history.calls.take_unsent().iter().map(|one| u64::from(one.request.token)).collect();
        assert_eq!(tokens, history.known.keys().copied().collect::<Vec<_>>(), "seed {seed}");
        assert!(history.calls.is_empty());
    }
}

#[test]
fn what_has_long_been_over_takes_no_room() {
    let mut history = History::new(1);
    history.insert();
    for _ in 0..10_000 {
        history.insert();
        history.send();
        history.send();
        while history.in_flight.len() > 1 {
            history.answer(false);
        }
        history.calls.earliest_deadline();
    }
    assert!(history.calls.deadlines.queue.len() < 3 * Deadlines::SURPLUS);
}

struct Stores {
    /// They call through a router.
    routed: bool,
    calls: OrderedCalls,
    stores: [Arc<KeyOptions>; 2],
    next: u32,
}

impl Stores {
    fn new(routed: bool) -> Self {
        Self { routed, calls: OrderedCalls::default(), stores: [Arc::default(), Arc::default()], next: 0 }
    }

    fn call(&mut self, store: usize, id: &str) {
        let call = Call::new(Operation::BeginExecution, self.stores[store].clone(), id.into(), id.len(), id.len());
        let mut request = Request::new(call, self.next, Arc::new(Nowhere));
        let deadline = Instant::now() + Duration::from_secs(60);
        request.route = self.routed.then(|| ClusterRoute {
            environment: Arc::new(Nowhere),
            sequence: u64::from(self.next),
            deadline,
            slot: 0,
            sharded: false,
            asking: false,
            moves: 0,
            detours: 0,
            losses: 0,
            refusals: 0,
            reason: None,
        });
        self.next += 1;
        self.calls.insert(request, deadline);
    }

    /// Sends so many, and says which.
    fn send(&mut self, count: usize) -> Vec<String> {
        let mut sent = Vec::new();
        while sent.len() < count
            && let Some(key) = self.calls.next(|_| Admission::Send)
        {
            self.calls.sent(key, 0, Instant::now());
            let call = &self.calls.get(key).request.call;
            sent.push(String::from_utf8_lossy(call.id()).into_owned() + &self.calls.get(key).request.token.to_string());
        }
        sent
    }
}

#[test]
fn stores_take_turns() {
    for routed in [false, true] {
        let mut stores = Stores::new(routed);
        (0..1000).for_each(|index| stores.call(0, &format!("a{index}-")));
        assert_eq!(stores.send(1), ["a0-0"]);
        stores.call(1, "b");
        stores.call(1, "c");
        let sent = stores.send(4);
        assert!(["b1000", "c1001"].iter().all(|call| sent.iter().any(|sent| sent == call)), "{sent:?}");
        assert_eq!(sent.iter().filter(|sent| sent.starts_with('a')).count(), 2);
    }
}

#[test]
fn one_execution_keeps_its_order_across_stores() {
    for routed in [false, true] {
        let mut stores = Stores::new(routed);
        (0..10).for_each(|index| stores.call(0, &format!("a{index}-")));
        stores.call(1, "a7-");
        stores.call(1, "b");
        stores.call(0, "a7-");
        let sent = stores.send(usize::MAX);
        let of = |id: &str| sent.iter().filter(|sent| sent.starts_with(id)).cloned().collect::<Vec<_>>();
        assert_eq!(of("a7-"), ["a7-7", "a7-10", "a7-12"]);
        assert!(sent.iter().position(|sent| sent == "b11") < Some(4), "{sent:?}");
        // The same when all of it is sent again.
        stores.calls.requeue();
        assert_eq!(stores.send(usize::MAX), sent);
    }
}
