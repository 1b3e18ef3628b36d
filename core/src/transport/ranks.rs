//! Whose call is sent next, when several stores use one connection: each gets its turn (start-time fair queueing), so that one
//! that asks a single question does not wait behind another one's thousands. Calls for the same execution keep their order,
//! whichever stores they are made through.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::pending_calls::PendingCall;

/// Whose turn it is.
#[derive(Default)]
pub struct Turns {
    /// The turn of the latest call that was sent.
    sent: u64,
    stores: Vec<Store>,
}

/// Gives calls their turns, those for one execution in their order.
#[derive(Default)]
pub struct Ranks {
    turns: Turns,
    /// By execution, from when there are several stores until there are no calls.
    executions: Option<FxHashMap<u64, Execution>>,
}

/// A store that has calls.
struct Store {
    id: StoreId,
    calls: usize,
    /// The turn of its next call, unless it has waited for longer.
    next: u64,
}

/// An execution that has calls.
#[derive(Default)]
struct Execution {
    calls: usize,
    latest: u64,
}

impl Turns {
    /// Whether several stores have calls.
    pub fn has_several_stores(&self) -> bool {
        self.stores.len() > 1
    }

    /// The turn of a store's new call, behind those that it has.
    pub fn add(&mut self, pending: &PendingCall) -> u64 {
        let sent = self.sent;
        let store = self.of(pending);
        store.calls += 1;
        let turn = store.next.max(sent);
        store.next = turn + 1;
        turn
    }

    /// A call that has had its turn comes back, and keeps it.
    pub fn add_again(&mut self, pending: &PendingCall) {
        self.of(pending).calls += 1;
    }

    /// A call was sent.
    pub fn sent(&mut self, pending: &PendingCall) {
        self.sent = self.sent.max(pending.turn);
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
    }

    fn of(&mut self, pending: &PendingCall) -> &mut Store {
        let id = store_of(pending);
        let index = match self.stores.iter().position(|store| store.id == id) {
            Some(index) => index,
            None => {
                self.stores.push(Store { id, calls: 0, next: self.sent });
                self.stores.len() - 1
            }
        };
        &mut self.stores[index]
    }
}

impl Ranks {
    /// Whether several stores have calls.
    pub fn has_several_stores(&self) -> bool {
        self.turns.has_several_stores()
    }

    /// The turn of a new call, behind those that its store has, and those for its execution.
    pub fn add<'a>(&mut self, pending: &PendingCall, others: impl Iterator<Item = &'a PendingCall>) -> u64 {
        let mut turn = self.turns.add(pending);
        if self.executions.is_none() && self.has_several_stores() {
            let executions = self.executions.insert(FxHashMap::default());
            others.for_each(|other| note(executions, other, other.turn));
        }
        if let Some(executions) = &mut self.executions {
            // Behind what any store has called for the same execution.
            turn = turn.max(executions.get(&execution_of(pending)).map_or(0, |execution| execution.latest));
            note(executions, pending, turn);
        }
        turn
    }

    /// A call was sent.
    pub fn sent(&mut self, pending: &PendingCall) {
        self.turns.sent(pending);
    }

    /// A call is over.
    pub fn remove(&mut self, pending: &PendingCall) {
        self.turns.remove(pending);
        let Some(executions) = &mut self.executions else { return };
        if self.turns.stores.is_empty() {
            self.executions = None;
        } else if let Some(execution) = executions.get_mut(&execution_of(pending)) {
            execution.calls -= 1;
            if execution.calls == 0 {
                executions.remove(&execution_of(pending));
            }
        }
    }
}

fn note(executions: &mut FxHashMap<u64, Execution>, pending: &PendingCall, turn: u64) {
    let execution = executions.entry(execution_of(pending)).or_default();
    execution.calls += 1;
    execution.latest = execution.latest.max(turn);
}

/// Tells stores apart.
pub type StoreId = usize;

/// A call's store: each has options of its own.
pub fn store_of(pending: &PendingCall) -> StoreId {
    Arc::as_ptr(&pending.request.call.key_options).addr()
}

/// Two that are taken for one keep an order that they need not keep.
fn execution_of(pending: &PendingCall) -> u64 {
    let mut hasher = FxHasher::default();
    pending.request.call.id().hash(&mut hasher);
    hasher.finish()
}
