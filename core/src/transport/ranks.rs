//! Whose call is sent next, when several stores use one connection: each gets its turn (start-time fair queueing), so that one
//! that asks a single question does not wait behind another one's thousands. Calls for the same execution keep their order,
//! whichever stores they are made through.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::pending_calls::PendingCall;

/// A call's place in the order in which calls are sent: that of its store, and among equals that in which the calls came.
pub type Rank = (u64, u64);

/// Gives calls their ranks.
#[derive(Default)]
pub struct Ranks {
    /// The rank of the latest call that was sent.
    sent: u64,
    stores: Vec<Store>,
    /// By execution, from when there are several stores until there are no calls.
    executions: Option<FxHashMap<u64, Execution>>,
}

/// A store that has calls.
struct Store {
    id: usize,
    calls: usize,
    latest: u64,
}

/// An execution that has calls.
#[derive(Default)]
struct Execution {
    calls: usize,
    latest: u64,
}

impl Ranks {
    /// Whether several stores have calls.
    pub fn has_several_stores(&self) -> bool {
        self.stores.len() > 1
    }

    /// The rank of a new call, behind those that there are.
    pub fn add<'a>(&mut self, pending: &PendingCall, others: impl Iterator<Item = (&'a PendingCall, Rank)>) -> Rank {
        let id = store_of(pending);
        let index = match self.stores.iter().position(|store| store.id == id) {
            Some(index) => index,
            None => {
                self.stores.push(Store { id, calls: 0, latest: self.sent });
                self.stores.len() - 1
            }
        };
        if self.executions.is_none() && self.has_several_stores() {
            let executions = self.executions.insert(FxHashMap::default());
            others.for_each(|(other, (rank, _))| note(executions, other, rank));
        }
        let store = &mut self.stores[index];
        store.calls += 1;
        store.latest = (store.latest + 1).max(self.sent);
        let mut rank = store.latest;
        if let Some(executions) = &mut self.executions {
            // Behind what any store has called for the same execution.
            rank = rank.max(executions.get(&execution_of(pending)).map_or(0, |execution| execution.latest));
            note(executions, pending, rank);
        }
        (rank, pending.sequence)
    }

    /// A call was sent.
    pub fn sent(&mut self, (rank, _): Rank) {
        self.sent = self.sent.max(rank);
    }

    /// A call is over.
    pub fn remove(&mut self, pending: &PendingCall) {
        let id = store_of(pending);
        if let Some(index) = self.stores.iter().position(|store| store.id == id) {
            self.stores[index].calls -= 1;
            if self.stores[index].calls == 0 {
                self.stores.swap_remove(index);
            }
        }
        let Some(executions) = &mut self.executions else { return };
        if self.stores.is_empty() {
            self.executions = None;
        } else if let Some(execution) = executions.get_mut(&execution_of(pending)) {
            execution.calls -= 1;
            if execution.calls == 0 {
                executions.remove(&execution_of(pending));
            }
        }
    }
}

fn note(executions: &mut FxHashMap<u64, Execution>, pending: &PendingCall, rank: u64) {
    let execution = executions.entry(execution_of(pending)).or_default();
    execution.calls += 1;
    execution.latest = execution.latest.max(rank);
}

/// Each store has options of its own.
fn store_of(pending: &PendingCall) -> usize {
    Arc::as_ptr(&pending.request.call.key_options).addr()
}

/// Two that are taken for one keep an order that they need not keep.
fn execution_of(pending: &PendingCall) -> u64 {
    let mut hasher = FxHasher::default();
    pending.request.call.id().hash(&mut hasher);
    hasher.finish()
}
