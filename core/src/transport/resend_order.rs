//! Calls that are sent again on the same connection, until they are over. What was asked later about the same execution may
//! have been done before them, and has to be done again behind them: else they would undo what was acknowledged.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::pending_calls::PendingCall;

/// A call's place in the order, and which part of the call it is.
type OrderKey = (u64, Option<u8>);

/// The calls that are sent again.
#[derive(Default)]
pub struct Redo {
    calls: BTreeMap<OrderKey, Vec<u8>>,
    executions: HashMap<Vec<u8>, BTreeSet<OrderKey>>,
}

impl Redo {
    /// Notes a call that will be sent again.
    pub fn note(&mut self, pending: &PendingCall) {
        let id = pending.request.call.id().to_vec();
        self.executions.entry(id.clone()).or_default().insert(order_key(pending));
        self.calls.insert(order_key(pending), id);
    }

    /// Whether a call was answered although one for the same execution that came before it was not.
    pub fn is_overtaken_by(&self, pending: &PendingCall) -> bool {
        let earliest = || self.executions.get(pending.request.call.id())?.first();
        !self.calls.is_empty() && earliest().is_some_and(|(sequence, _)| *sequence < pending.sequence)
    }

    /// Whether a call will be sent again, or was.
    pub fn contains(&self, pending: &PendingCall) -> bool {
        !self.calls.is_empty() && self.calls.contains_key(&order_key(pending))
    }

    /// A call is over.
    pub fn end(&mut self, pending: &PendingCall) {
        if !self.calls.is_empty() {
            self.forget(order_key(pending));
        }
    }

    /// The connection is gone, and everything without an answer is sent again in its order.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.executions.clear();
    }

    fn forget(&mut self, key: OrderKey) {
        let Some(id) = self.calls.remove(&key) else { return };
        if let Some(keys) = self.executions.get_mut(&id) {
            keys.remove(&key);
            if keys.is_empty() {
                self.executions.remove(&id);
            }
        }
    }
}

fn order_key(pending: &PendingCall) -> OrderKey {
    (pending.sequence, pending.request.call.only.map(|role| role as u8))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::{Call, Operation};
    use crate::transport::request::{Nowhere, Request};

    #[test]
    fn what_came_later_for_the_same_execution_waits_until_the_earlier_is_over() {
        let now = Instant::now();
        let pending = |sequence, id: &str| {
            let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), id.into(), id.len(), id.len());
            let request = Request::new(call, 0, Arc::new(Nowhere));
            let deadline = now + Duration::from_secs(sequence);
            PendingCall::new(request, sequence, deadline)
        };
        let mut redo = Redo::default();
        let (first, second, other) = (pending(3, "a"), pending(4, "a"), pending(5, "b"));
        redo.note(&first);
        assert!(redo.is_overtaken_by(&second));
        assert!(
            !redo.is_overtaken_by(&first) && !redo.is_overtaken_by(&other) && !redo.is_overtaken_by(&pending(2, "a"))
        );
        redo.note(&second);
        redo.end(&first);
        assert!(!redo.is_overtaken_by(&second));
        assert!(redo.is_overtaken_by(&pending(6, "a")));
        redo.end(&second);
        assert!(!redo.is_overtaken_by(&pending(6, "a")));
        assert!(redo.executions.is_empty());
    }
}
