//! Finished calls that wait to be settled: in their order for each store, and stores in turn, so that one with many
//! answers does not keep the others waiting.

use std::collections::VecDeque;

use idioteque_redis_core::transport::Finished;

use crate::completion_queue::Delivery;

/// Calls of one store that are settled before it is the next one's turn.
const CALLS_PER_TURN: usize = 32;

/// What one environment has to settle.
#[derive(Default)]
pub struct Backlog {
    /// Those that have something, the one whose turn it is first.
    lanes: VecDeque<Lane>,
    /// Calls taken of the first lane in this turn of it.
    taken: usize,
}

/// What came for one store.
struct Lane {
    store: usize,
    deliveries: VecDeque<Delivery>,
}

impl Backlog {
    /// Adds what came for a store. `store` is any number that it has alone.
    pub fn push(&mut self, store: usize, delivery: Delivery) {
        match self.lanes.iter_mut().find(|lane| lane.store == store) {
            Some(lane) => lane.deliveries.push_back(delivery),
            None => self.lanes.push_back(Lane { store, deliveries: VecDeque::from([delivery]) }),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether any of the next `calls` may have brought a snapshot.
    pub fn has_snapshot(&self, calls: usize) -> bool {
        // Each delivery has at least one call.
        self.lanes.iter().any(|lane| lane.deliveries.iter().take(calls).any(|delivery| delivery.has_snapshot))
    }

    /// Takes the next call.
    pub fn next(&mut self) -> Option<Finished> {
        if self.taken >= CALLS_PER_TURN {
            self.taken = 0;
            self.lanes.rotate_left(1);
        }
        while let Some(lane) = self.lanes.front_mut() {
            while let Some(delivery) = lane.deliveries.front_mut() {
                let next = delivery.calls.next();
                if delivery.calls.len() == 0 {
                    lane.deliveries.pop_front();
                }
                if next.is_some() {
                    self.taken += 1;
                    if lane.deliveries.is_empty() {
                        self.end_lane();
                    }
                    return next;
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
