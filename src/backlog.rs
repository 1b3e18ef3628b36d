//! Finished calls that wait to be settled: in their order for each store, and stores in turn, so that one with many or large
//! answers does not keep the others waiting.

use std::collections::VecDeque;

use idioteque_redis_core::transport::Finished;

use crate::completion_queue::Delivery;

/// Calls of one store that are settled before it is the next one's turn.
const CALLS_PER_TURN: usize = 32;

/// What one environment has to settle. `P` is what has been made of an answer that takes several goes.
pub struct Backlog<P> {
    /// Those that have something, the one whose turn it is first.
    lanes: VecDeque<Lane<P>>,
    /// Calls taken of the first lane in this turn of it.
    taken: usize,
}

/// What came for one store.
struct Lane<P> {
    store: usize,
    /// The first of its calls, if that has been begun.
    begun: Option<(Finished, P)>,
    deliveries: VecDeque<Delivery>,
}

impl<P> Default for Backlog<P> {
    fn default() -> Self {
        Self { lanes: VecDeque::new(), taken: 0 }
    }
}

impl<P> Lane<P> {
    fn is_empty(&self) -> bool {
        self.begun.is_none() && self.deliveries.is_empty()
    }
}

impl<P> Backlog<P> {
    /// Adds what came for a store. `store` is any number that it has alone.
    pub fn push(&mut self, store: usize, delivery: Delivery) {
        match self.lanes.iter_mut().find(|lane| lane.store == store) {
            Some(lane) => lane.deliveries.push_back(delivery),
            None => self.lanes.push_back(Lane { store, begun: None, deliveries: VecDeque::from([delivery]) }),
        }
    }

    /// Puts the call back that was taken last: its answer takes another go, after those of the other stores.
    pub fn put_back(&mut self, store: usize, finished: Finished, partly: P) {
        let begun = Some((finished, partly));
        self.taken = 0;
        match self.lanes.front_mut().filter(|lane| lane.store == store) {
            Some(lane) => {
                lane.begun = begun;
                self.lanes.rotate_left(1);
            }
            None => self.lanes.push_back(Lane { store, begun, deliveries: VecDeque::new() }),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether any of the next `calls` may have brought a snapshot.
    pub fn has_snapshot(&self, calls: usize) -> bool {
        // Each delivery has at least one call.
        self.lanes.iter().any(|lane| {
            lane.begun.as_ref().is_some_and(|(finished, _)| finished.has_snapshot())
                || lane.deliveries.iter().take(calls).any(|delivery| delivery.has_snapshot)
        })
    }

    /// Takes the next call, and what has been made of its answer.
    pub fn next(&mut self) -> Option<(Finished, Option<P>)> {
        if self.taken >= CALLS_PER_TURN {
            self.taken = 0;
            self.lanes.rotate_left(1);
        }
        while let Some(lane) = self.lanes.front_mut() {
            if let Some((finished, partly)) = lane.begun.take() {
                self.taken += 1;
                if lane.is_empty() {
                    self.end_lane();
                }
                return Some((finished, Some(partly)));
            }
            while let Some(delivery) = lane.deliveries.front_mut() {
                let next = delivery.calls.next();
                if delivery.calls.len() == 0 {
                    lane.deliveries.pop_front();
                }
                if let Some(next) = next {
                    self.taken += 1;
                    if lane.is_empty() {
                        self.end_lane();
                    }
                    return Some((next, None));
                }
            }
            self.end_lane();
        }
        None
    }

    fn end_lane(&mut self) {
        self.lanes.pop_front();
        self.taken = 0;
    }
}
