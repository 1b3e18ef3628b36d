//! The calls that wait to be sent, by execution, and the order that there is without a connection. Requests travel side by
//! side and may overtake each other, so a write waits until nothing of its execution is under way, and a read until no
//! write is. What must wait costs nothing until it may go: only executions whose oldest call may go now are looked at.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::transport::pending_calls::PendingCall;

/// A call that waits.
pub struct WaitingCall {
    /// The call.
    pub pending: PendingCall,
    /// To be sent in a request of its own, because a request it was in was refused as a whole.
    pub alone: bool,
}

/// The calls that wait, and what is under way of their executions.
#[derive(Default)]
pub struct WaitingCalls {
    executions: Slab<Execution>,
    by_key: FxHashMap<Vec<u8>, usize>,
    /// Executions of which calls wait, by the oldest of these; calls are numbered in the order of their deadlines.
    by_oldest: BTreeMap<u64, usize>,
    /// Those whose oldest call may go now.
    ready: BTreeMap<u64, usize>,
    returned: Arc<Returned>,
    /// How many calls were looked at, to see that this does not grow with those that wait.
    #[cfg(test)]
    looked_at: usize,
}

#[derive(Default)]
struct Execution {
    key: Vec<u8>,
    /// Oldest first.
    calls: VecDeque<WaitingCall>,
    under_way: UnderWay,
    /// What goes in the request that is being put together.
    entering: UnderWay,
    /// The number of its oldest call, if it is in the indices.
    oldest: Option<u64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct UnderWay {
    reads: usize,
    writes: usize,
}

impl UnderWay {
    fn count(&mut self, writes: bool) -> &mut usize {
        if writes { &mut self.writes } else { &mut self.reads }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Whether a call may go beside what is under way.
    fn admits(self, writes: bool) -> bool {
        self.writes == 0 && !(writes && self.reads > 0)
    }
}

/// The passes that were given back and not yet counted.
type Returned = Mutex<Vec<(usize, bool)>>;

/// A call's leave to be under way. Given back when it is dropped, whatever became of the request.
pub struct Pass {
    execution: usize,
    writes: bool,
    returned: Arc<Returned>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.push((self.execution, self.writes));
    }
}

/// One request being put together: the calls that may go now, oldest first. Those of one request keep their order, so they
/// may follow each other.
pub struct Admission<'a> {
    waiting: &'a mut WaitingCalls,
    /// Executions that a call was taken from, or left behind of.
    touched: Vec<usize>,
}

impl WaitingCalls {
    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.by_oldest.is_empty()
    }

    /// The number of calls that wait. Counted, so not for every turn.
    pub fn count(&self) -> usize {
        self.by_oldest.values().map(|index| self.executions[*index].calls.len()).sum()
    }

    /// Adds a call, in the order in which the calls came.
    pub fn push(&mut self, call: WaitingCall) {
        let key = call.pending.request.call.execution_key();
        let index = match self.by_key.get(&key) {
            Some(index) => *index,
            None => {
                let index = self.executions.insert(Execution { key: key.clone(), ..Execution::default() });
                self.by_key.insert(key, index);
                index
            }
        };
        let calls = &mut self.executions[index].calls;
        let sequence = call.pending.sequence;
        let place = match calls.back() {
            Some(last) if last.pending.sequence > sequence => {
                calls.partition_point(|other| other.pending.sequence <= sequence)
            }
            _ => calls.len(),
        };
        calls.insert(place, call);
        if place == 0 {
            self.index(index);
        }
    }

    /// Begins to put a request together.
    pub fn admit(&mut self) -> Admission<'_> {
        self.count_returned();
        Admission { waiting: self, touched: Vec::new() }
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Option<Instant> {
        let (_, index) = self.by_oldest.first_key_value()?;
        self.executions[*index].calls.front().map(|call| call.pending.deadline)
    }

    /// Takes out what is past its deadline.
    pub fn expired(&mut self, now: Instant) -> impl Iterator<Item = PendingCall> + '_ {
        std::iter::from_fn(move || {
            let (_, index) = self.by_oldest.first_key_value()?;
            let index = *index;
            let calls = &mut self.executions[index].calls;
            let call = if calls.front()?.pending.deadline <= now { calls.pop_front()? } else { return None };
            self.index(index);
            Some(call.pending)
        })
    }

    /// Takes out everything, in the order in which it came.
    pub fn take(&mut self) -> VecDeque<PendingCall> {
        let indices: Vec<usize> = mem::take(&mut self.by_oldest).into_values().collect();
        let mut all = Vec::new();
        for index in indices {
            all.extend(self.executions[index].calls.drain(..).map(|call| call.pending));
            self.index(index);
        }
        all.sort_by_key(|pending| pending.sequence);
        all.into()
    }

    /// Counts the passes that were given back.
    fn count_returned(&mut self) {
        let returned = mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        for (index, writes) in returned {
            *self.executions[index].under_way.count(writes) -= 1;
            self.index(index);
        }
    }

    /// Puts an execution where it belongs now; forgets it when nothing is left of it.
    fn index(&mut self, index: usize) {
        let execution = &mut self.executions[index];
        if let Some(oldest) = execution.oldest.take() {
            self.by_oldest.remove(&oldest);
            self.ready.remove(&oldest);
        }
        match execution.calls.front() {
            Some(WaitingCall { pending, .. }) => {
                execution.oldest = Some(pending.sequence);
                self.by_oldest.insert(pending.sequence, index);
                if execution.under_way.admits(pending.request.call.operation.writes()) {
                    self.ready.insert(pending.sequence, index);
                }
            }
            None if execution.under_way.is_none() && execution.entering.is_none() => {
                let Execution { key, .. } = self.executions.remove(index);
                self.by_key.remove(&key);
            }
            None => {}
        }
    }
}

impl Admission<'_> {
    /// The next call that may go.
    pub fn peek(&mut self) -> Option<&WaitingCall> {
        #[cfg(test)]
        {
            self.waiting.looked_at += 1;
        }
        let (_, index) = self.waiting.ready.first_key_value()?;
        self.waiting.executions[*index].calls.front()
    }

    /// Takes that call.
    pub fn take(&mut self) -> Option<(PendingCall, Pass)> {
        let (_, index) = self.waiting.ready.first_key_value()?;
        let index = *index;
        let execution = &mut self.waiting.executions[index];
        let call = execution.calls.pop_front()?;
        let writes = call.pending.request.call.operation.writes();
        *execution.entering.count(writes) += 1;
        self.touched.push(index);
        self.waiting.index(index);
        Some((call.pending, Pass { execution: index, writes, returned: self.waiting.returned.clone() }))
    }

    /// Leaves that call, and what follows it for its execution, to another request.
    pub fn skip(&mut self) {
        if let Some((_, index)) = self.waiting.ready.pop_first() {
            self.touched.push(index);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        for index in mem::take(&mut self.touched) {
            // An execution is there as long as a call of it waits or enters.
            let execution = &mut self.waiting.executions[index];
            let UnderWay { reads, writes } = mem::take(&mut execution.entering);
            execution.under_way.reads += reads;
            execution.under_way.writes += writes;
            self.waiting.index(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Call, Operation};
    use crate::transport::request::{Nowhere, Request};

    fn call(id: &str, sequence: u64, operation: Operation) -> WaitingCall {
        let call = Call::new(operation, Arc::default(), id.into(), id.len(), id.len());
        let request = Request::new(call, 0, Arc::new(Nowhere));
        let deadline = Instant::now() + Duration::from_secs(1 + sequence);
        WaitingCall { pending: PendingCall { request, sequence, deadline, error_reply: None, losses: 0 }, alone: false }
    }

    const READ: Operation = Operation::IsExecutionInProgress;
    const WRITE: Operation = Operation::BeginExecution;

    /// The numbers of the calls of one request, and their passes.
    fn send(waiting: &mut WaitingCalls, most: usize) -> (Vec<u64>, Vec<Pass>) {
        let mut admission = waiting.admit();
        let taken: Vec<_> = std::iter::from_fn(|| admission.take()).take(most).collect();
        taken.into_iter().map(|(pending, pass)| (pending.sequence, pass)).unzip()
    }

    #[test]
    fn what_must_not_overtake_waits_and_other_executions_do_not() {
        let mut waiting = WaitingCalls::default();
        for (sequence, (id, operation)) in
            [("a", READ), ("b", WRITE), ("a", WRITE), ("a", READ), ("b", READ)].into_iter().enumerate()
        {
            waiting.push(call(id, sequence as u64, operation));
        }
        // Calls of one request keep their order.
        let (numbers, first) = send(&mut waiting, 3);
        assert_eq!(numbers, [0, 1, 2]);
        assert!(send(&mut waiting, 9).0.is_empty(), "both executions have a write under way");
        waiting.push(call("c", 5, WRITE));
        let (numbers, other) = send(&mut waiting, 9);
        assert_eq!(numbers, [5]);
        drop(first);
        let (numbers, reads) = send(&mut waiting, 9);
        assert_eq!(numbers, [3, 4]);
        for (sequence, operation) in [(6, READ), (7, WRITE), (8, READ)] {
            waiting.push(call("a", sequence, operation));
        }
        let (numbers, beside) = send(&mut waiting, 9);
        assert_eq!(numbers, [6], "a read goes beside reads, and what follows a write that waits does not");
        drop(reads);
        assert!(send(&mut waiting, 9).0.is_empty());
        drop((beside, other));
        assert_eq!(send(&mut waiting, 9).0, [7, 8]);
        assert!(waiting.is_empty());
        waiting.count_returned();
        assert!(waiting.executions.is_empty() && waiting.by_key.is_empty());
    }

    #[test]
    fn what_comes_back_goes_before_what_came_later_and_what_is_skipped_goes_in_the_next_request() {
        let mut waiting = WaitingCalls::default();
        waiting.push(call("a", 4, WRITE));
        waiting.push(call("b", 5, WRITE));
        waiting.push(call("a", 2, WRITE));
        let mut admission = waiting.admit();
        assert_eq!(admission.peek().map(|call| call.pending.sequence), Some(2));
        admission.skip();
        assert_eq!(admission.peek().map(|call| call.pending.sequence), Some(5));
        drop(admission);
        assert_eq!(send(&mut waiting, 9).0, [2, 4, 5]);
    }

    #[test]
    fn deadlines_pass_from_the_oldest_on_whatever_may_go() {
        let mut waiting = WaitingCalls::default();
        for (sequence, id) in [(0, "a"), (1, "b"), (2, "a")] {
            waiting.push(call(id, sequence, WRITE));
        }
        let (_, _passes) = send(&mut waiting, 1);
        let first = waiting.deadline().unwrap();
        let given_up: Vec<u64> = waiting.expired(first).map(|pending| pending.sequence).collect();
        assert_eq!(given_up, [1]);
        waiting.push(call("c", 1, WRITE));
        let all: Vec<u64> = waiting.take().into_iter().map(|pending| pending.sequence).collect();
        assert_eq!(all, [1, 2]);
        assert!(waiting.is_empty() && waiting.deadline().is_none());
    }

    #[test]
    fn calls_that_must_wait_are_not_looked_at() {
        let mut waiting = WaitingCalls::default();
        const CALLS: u64 = 80_000;
        (0..CALLS).for_each(|sequence| waiting.push(call("hot", sequence, WRITE)));
        let mut sent = 0;
        while !waiting.is_empty() {
            let (numbers, passes) = send_looking(&mut waiting, 512);
            sent += numbers;
            // As when answers to other requests come in meanwhile.
            (0..10).for_each(|_| assert_eq!(send_looking(&mut waiting, 512).0, 0));
            drop(passes);
        }
        assert_eq!(sent as u64, CALLS);
        assert!(waiting.looked_at as u64 <= CALLS + 12 * CALLS / 512 + 12, "{} looks", waiting.looked_at);
    }

    fn send_looking(waiting: &mut WaitingCalls, most: usize) -> (usize, Vec<Pass>) {
        let mut admission = waiting.admit();
        let mut passes = Vec::new();
        while passes.len() < most && admission.peek().is_some() {
            passes.extend(admission.take().map(|(_, pass)| pass));
        }
        (passes.len(), passes)
    }
}
