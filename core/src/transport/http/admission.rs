//! Order without a connection: what is under way for an execution, and what therefore has to wait. Requests travel side by
//! side and may overtake each other, so a write waits until nothing of its execution is under way, and a read until no
//! write is.

use std::collections::{HashMap, HashSet};

/// The requests under way, by execution.
#[derive(Default)]
pub struct ExecutionsInFlight {
    executions: HashMap<Vec<u8>, UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    reads: usize,
    writes: usize,
}

/// One pass through the calls that wait, in their order.
pub struct Admission<'a> {
    in_flight: &'a mut ExecutionsInFlight,
    /// Executions of which something has to wait: whatever follows waits behind it.
    closed: HashSet<Vec<u8>>,
}

impl ExecutionsInFlight {
    /// Begins a pass through the calls that wait.
    pub fn open(&mut self) -> Admission<'_> {
        Admission { in_flight: self, closed: HashSet::new() }
    }

    /// A call that was let through is not under way any more.
    pub fn leave(&mut self, execution: &[u8], writes: bool) {
        let Some(under_way) = self.executions.get_mut(execution) else { return };
        let count = if writes { &mut under_way.writes } else { &mut under_way.reads };
        *count -= 1;
        if under_way.reads + under_way.writes == 0 {
            self.executions.remove(execution);
        }
    }
}

impl Admission<'_> {
    /// Whether a call may go now, beside what is under way.
    pub fn admits(&mut self, execution: &[u8], writes: bool) -> bool {
        let free = match self.in_flight.executions.get(execution) {
            None => true,
            Some(under_way) => under_way.writes == 0 && !(writes && under_way.reads > 0),
        };
        if free && !self.closed.contains(execution) {
            return true;
        }
        self.closed.insert(execution.to_vec());
        false
    }

    /// Notes the calls of a request that goes now: those of one request keep their order.
    pub fn enter<'c>(&mut self, calls: impl Iterator<Item = (&'c Vec<u8>, bool)>) {
        for (execution, writes) in calls {
            let under_way = self.in_flight.executions.entry(execution.clone()).or_default();
            let count = if writes { &mut under_way.writes } else { &mut under_way.reads };
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_overtake_waits_and_other_executions_do_not() {
        let mut in_flight = ExecutionsInFlight::default();
        let (a, b) = (b"a".to_vec(), b"b".to_vec());
        let mut admission = in_flight.open();
        assert!(admission.admits(&a, false) && admission.admits(&a, true) && admission.admits(&a, false));
        admission.enter([(&a, false), (&a, true)].into_iter());
        assert!(!admission.admits(&a, false) && !admission.admits(&a, true) && admission.admits(&b, true));

        in_flight.leave(&a, true);
        let mut admission = in_flight.open();
        assert!(admission.admits(&a, false));
        assert!(!admission.admits(&a, true));
        assert!(!admission.admits(&a, false), "a read must not overtake the write that waits");
        assert!(admission.admits(&b, false));

        in_flight.leave(&a, false);
        assert!(in_flight.executions.is_empty());
        assert!(in_flight.open().admits(&a, true));
    }
}
