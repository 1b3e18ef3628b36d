//! Calls that are sent again on the same connection, until they are over. What was asked later about the same execution may
//! have been done before them, and has to be done again behind them: else they would undo what was acknowledged.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use super::pending_calls::PendingCall;

/// A call's place in the order, and which part of the call it is.
type OrderKey = (u64, Option<u8>);

/// The calls that are sent again.
#[derive(Default)]
pub struct Redo {
    calls: BTreeMap<OrderKey, (Instant, Vec<u8>)>,
    executions: HashMap<Vec<u8>, BTreeSet<OrderKey>>,
}

impl Redo {
    /// Notes a call that will be sent again.
    pub fn note(&mut self, waiting: &PendingCall) {
        let id = waiting.request.call.id().to_vec();
        self.executions.entry(id.clone()).or_default().insert(place(waiting));
        self.calls.insert(place(waiting), (waiting.deadline, id));
    }

    /// Whether a call was answered although one for the same execution that came before it was not.
    pub fn is_overtaken_by(&self, waiting: &PendingCall) -> bool {
        let earliest = || self.executions.get(waiting.request.call.id())?.first();
        !self.calls.is_empty() && earliest().is_some_and(|(sequence, _)| *sequence < waiting.sequence)
    }

    /// A call is over.
    pub fn end(&mut self, waiting: &PendingCall) {
        if !self.calls.is_empty() {
            self.forget(place(waiting));
        }
    }

    /// What is past its deadline has been given up. Deadlines are in the order of the calls.
    pub fn expire(&mut self, now: Instant) {
        while let Some((place, _)) = self.calls.first_key_value().filter(|(_, (deadline, _))| *deadline <= now) {
            self.forget(*place);
        }
    }

    /// The connection is gone, and everything without an answer is sent again in its order.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.executions.clear();
    }

    fn forget(&mut self, place: OrderKey) {
        let Some((_, id)) = self.calls.remove(&place) else { return };
        if let Some(places) = self.executions.get_mut(&id) {
            places.remove(&place);
            if places.is_empty() {
                self.executions.remove(&id);
            }
        }
    }
}

fn place(waiting: &PendingCall) -> OrderKey {
    (waiting.sequence, waiting.request.call.only.map(|role| role as u8))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::store::{Call, Operation};
    use crate::transport::request::{Nowhere, Request};

    #[test]
    fn what_came_later_for_the_same_execution_waits_until_the_earlier_is_over() {
        let now = Instant::now();
        let waiting = |sequence, id: &str| {
            let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), id.into(), id.len(), id.len());
            let request = Request::new(call, 0, Arc::new(Nowhere));
            let deadline = now + Duration::from_secs(sequence);
            PendingCall { request, sequence, deadline, sent: true, error_reply: None, losses: 0 }
        };
        let mut redo = Redo::default();
        let (first, second, other) = (waiting(3, "a"), waiting(4, "a"), waiting(5, "b"));
        redo.note(&first);
        assert!(redo.is_overtaken_by(&second));
        assert!(
            !redo.is_overtaken_by(&first) && !redo.is_overtaken_by(&other) && !redo.is_overtaken_by(&waiting(2, "a"))
        );
        redo.note(&second);
        redo.end(&first);
        assert!(!redo.is_overtaken_by(&second));
        assert!(redo.is_overtaken_by(&waiting(6, "a")));
        redo.expire(now + Duration::from_secs(4));
        assert!(!redo.is_overtaken_by(&waiting(6, "a")));
        assert!(redo.executions.is_empty());
    }
}
