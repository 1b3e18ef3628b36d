//! The calls that wait to be sent, by execution, and the order that there is without a connection. Requests travel side by
//! side and may overtake each other, so a write waits until nothing of its execution is under way, and a read until no
//! write is. What must wait costs nothing until it may go: only executions whose oldest call may go now are looked at. Stores
//! take turns: the execution goes next whose oldest call has waited for longest, by the turns of its store.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::transport::pending_calls::{PendingCall, Rank};
use crate::transport::ranks::{StoreId, Turns, store_of};

/// How many calls of other stores are passed over in search of one of a store that has nothing under way. Stores take turns, so it is
/// among the first.
const MAX_PASSED_OVER: usize = 32;
/// As many calls as there is room for.
const ANY_COMPANY: usize = usize::MAX;

/// A call that waits.
pub struct WaitingCall {
    /// The call.
    pub pending: PendingCall,
    /// How many calls may be in a request with it, itself included: one where a request it was in was refused as a whole.
    pub company: usize,
    /// Tells it from other parts of the same call.
    serial: u64,
}

/// The calls that wait, and what is under way of their executions.
#[derive(Default)]
pub struct WaitingCalls {
    executions: Slab<Execution>,
    by_key: FxHashMap<Vec<u8>, usize>,
    /// Executions whose oldest call may go now.
    ready: Ready,
    /// All calls that wait: when each is given up, its serial number, and its execution.
    deadlines: BTreeSet<(Instant, u64, usize)>,
    next_serial: u64,
    turns: Turns,
    /// How many calls of each store are under way.
    stores_under_way: FxHashMap<StoreId, usize>,
    returned: Arc<Returned>,
    /// How many calls were looked at, to see that this does not grow with those that wait.
    #[cfg(test)]
    looked_at: usize,
}

/// Executions whose oldest call may go now, by its rank. Those with a write are apart, because a server may refuse writes only.
#[derive(Default)]
struct Ready {
    reads: BTreeMap<Rank, usize>,
    writes: BTreeMap<Rank, usize>,
}

impl Ready {
    fn of(&mut self, writes: bool) -> &mut BTreeMap<Rank, usize> {
        if writes { &mut self.writes } else { &mut self.reads }
    }

    /// The execution that goes next, of those with a read or, unless they are left out, with a write.
    fn first(&self, with_writes: bool) -> Option<usize> {
        let writes = self.writes.first_key_value().filter(|_| with_writes);
        writes.into_iter().chain(self.reads.first_key_value()).min().map(|(_, index)| *index)
    }
}

#[derive(Default)]
struct Execution {
    key: Vec<u8>,
    /// Oldest first.
    calls: VecDeque<WaitingCall>,
    under_way: UnderWay,
    /// What goes in the request that is being put together.
    entering: UnderWay,
    /// The rank of its oldest call, and whether it writes, if that is among those that may go.
    ready: Option<(Rank, bool)>,
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
type Returned = Mutex<Vec<Leave>>;

/// What is under way with one call.
#[derive(Clone, Copy)]
struct Leave {
    execution: usize,
    writes: bool,
    store: StoreId,
}

/// A call's leave to be under way. Given back when it is dropped, whatever became of the request.
pub struct Pass {
    leave: Leave,
    returned: Arc<Returned>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.push(self.leave);
    }
}

/// One request being put together: the calls that may go now, oldest first. Those of one request keep their order, so they
/// may follow each other.
pub struct Admission<'a> {
    waiting: &'a mut WaitingCalls,
    /// Executions that a call was taken from, or left behind of.
    touched: Vec<usize>,
    /// The stores of the calls that were taken.
    entering: Vec<StoreId>,
    whose: Whose,
    /// How many writes may still be taken.
    writes_left: usize,
}

/// Whose calls may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of all stores.
    All,
    /// Those of stores that have nothing under way.
    Idle,
}

impl WaitingCalls {
    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// The number of calls that wait.
    pub fn count(&self) -> usize {
        self.deadlines.len()
    }

    /// Adds a call that has just come.
    pub fn push(&mut self, mut pending: PendingCall) {
        pending.turn = self.turns.add(&pending);
        self.insert(pending, ANY_COMPANY);
    }

    /// Adds a call that has been sent and is to be sent again: it keeps its place before what came later.
    /// `company` is how many calls may be in a request with it.
    pub fn push_again(&mut self, pending: PendingCall, company: usize) {
        self.turns.add_again(&pending);
        self.insert(pending, company);
    }

    fn insert(&mut self, pending: PendingCall, company: usize) {
        let key = pending.request.call.execution_key();
        let index = match self.by_key.get(&key) {
            Some(index) => *index,
            None => {
                let index = self.executions.insert(Execution { key: key.clone(), ..Execution::default() });
                self.by_key.insert(key, index);
                index
            }
        };
        let calls = &mut self.executions[index].calls;
        let (sequence, serial) = (pending.sequence, self.next_serial);
        self.next_serial += 1;
        self.deadlines.insert((pending.deadline, serial, index));
        let place = match calls.back() {
            Some(last) if last.pending.sequence > sequence => {
                calls.partition_point(|other| other.pending.sequence <= sequence)
            }
            _ => calls.len(),
        };
        calls.insert(place, WaitingCall { pending, company, serial });
        if place == 0 {
            self.index(index);
        }
    }

    /// Begins to put a request together, with at most so many writes.
    pub fn admit(&mut self, whose: Whose, most_writes: usize) -> Admission<'_> {
        self.count_returned();
        Admission { waiting: self, touched: Vec::new(), entering: Vec::new(), whose, writes_left: most_writes }
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, ..)| *deadline)
    }

    /// Takes out what is past its deadline.
    pub fn expired(&mut self, now: Instant) -> impl Iterator<Item = PendingCall> + '_ {
        std::iter::from_fn(move || {
            let (_, serial, index) = self.deadlines.first().copied().filter(|(deadline, ..)| *deadline <= now)?;
            let calls = &self.executions[index].calls;
            let place = calls.iter().position(|call| call.serial == serial)?;
            Some(self.remove(index, place)?.pending)
        })
    }

    /// Takes out everything, in the order in which it came.
    pub fn take(&mut self) -> VecDeque<PendingCall> {
        let mut all = VecDeque::new();
        while let Some((_, _, index)) = self.deadlines.first().copied()
            && let Some(call) = self.remove(index, 0)
        {
            all.push_back(call.pending);
        }
        all.make_contiguous().sort_by_key(|pending| pending.sequence);
        all
    }

    /// Takes a call out of what waits.
    fn remove(&mut self, index: usize, place: usize) -> Option<WaitingCall> {
        let call = self.executions[index].calls.remove(place)?;
        self.deadlines.remove(&(call.pending.deadline, call.serial, index));
        self.turns.remove(&call.pending);
        if place == 0 {
            self.index(index);
        }
        Some(call)
    }

    /// Whether the store of an execution's oldest call has something under way.
    fn has_under_way(&self, index: usize) -> bool {
        let call = self.executions[index].calls.front();
        call.is_some_and(|call| self.stores_under_way.contains_key(&store_of(&call.pending)))
    }

    /// Counts the passes that were given back.
    fn count_returned(&mut self) {
        let returned = mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        for Leave { execution, writes, store } in returned {
            *self.executions[execution].under_way.count(writes) -= 1;
            if let Entry::Occupied(mut count) = self.stores_under_way.entry(store) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            self.index(execution);
        }
    }

    /// Puts an execution where it belongs now; forgets it when nothing is left of it.
    fn index(&mut self, index: usize) {
        let execution = &mut self.executions[index];
        if let Some((rank, writes)) = execution.ready.take() {
            self.ready.of(writes).remove(&rank);
        }
        match execution.calls.front() {
            Some(WaitingCall { pending, .. })
                if execution.under_way.admits(pending.request.call.operation.writes()) =>
            {
                let writes = pending.request.call.operation.writes();
                execution.ready = Some((pending.rank(), writes));
                self.ready.of(writes).insert(pending.rank(), index);
            }
            Some(_) => {}
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
        let mut index = self.next()?;
        let mut passed_over = 0;
        while self.whose == Whose::Idle && self.waiting.has_under_way(index) {
            if passed_over == MAX_PASSED_OVER {
                return None;
            }
            passed_over += 1;
            self.skip();
            index = self.next()?;
        }
        self.waiting.executions[index].calls.front()
    }

    fn next(&self) -> Option<usize> {
        self.waiting.ready.first(self.writes_left > 0)
    }

    /// Takes that call.
    pub fn take(&mut self) -> Option<(PendingCall, Pass)> {
        let index = self.next()?;
        let pending = &self.waiting.executions[index].calls.front()?.pending;
        let leave =
            Leave { execution: index, writes: pending.request.call.operation.writes(), store: store_of(pending) };
        self.waiting.turns.sent(pending);
        *self.waiting.executions[index].entering.count(leave.writes) += 1;
        self.writes_left -= usize::from(leave.writes);
        self.touched.push(index);
        self.entering.push(leave.store);
        let call = self.waiting.remove(index, 0)?;
        Some((call.pending, Pass { leave, returned: self.waiting.returned.clone() }))
    }

    /// Leaves that call, and what follows it for its execution, to another request.
    pub fn skip(&mut self) {
        if let Some(index) = self.next()
            && let Some((rank, writes)) = self.waiting.executions[index].ready.take()
        {
            self.waiting.ready.of(writes).remove(&rank);
            self.touched.push(index);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        for store in mem::take(&mut self.entering) {
            *self.waiting.stores_under_way.entry(store).or_default() += 1;
        }
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
    use crate::store::{Call, KeyOptions, Operation};
    use crate::transport::request::{Nowhere, Request};

    fn call(id: &str, sequence: u64, operation: Operation) -> PendingCall {
        call_of(&Arc::default(), id, sequence, operation)
    }

    fn call_of(store: &Arc<KeyOptions>, id: &str, sequence: u64, operation: Operation) -> PendingCall {
        let call = Call::new(operation, store.clone(), id.into(), id.len(), id.len());
        let request = Request::new(call, 0, Arc::new(Nowhere));
        PendingCall::new(request, sequence, Instant::now() + Duration::from_secs(1 + sequence))
    }

    const READ: Operation = Operation::IsExecutionInProgress;
    const WRITE: Operation = Operation::BeginExecution;

    /// The numbers of the calls of one request, and their passes.
    fn send(waiting: &mut WaitingCalls, most: usize) -> (Vec<u64>, Vec<Pass>) {
        let mut admission = waiting.admit(Whose::All, usize::MAX);
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
        let mut admission = waiting.admit(Whose::All, usize::MAX);
        assert_eq!(admission.peek().map(|call| call.pending.sequence), Some(2));
        admission.skip();
        assert_eq!(admission.peek().map(|call| call.pending.sequence), Some(5));
        drop(admission);
        assert_eq!(send(&mut waiting, 9).0, [2, 4, 5]);
    }

    #[test]
    fn stores_take_turns() {
        let mut waiting = WaitingCalls::default();
        let (busy, other) = (Arc::<KeyOptions>::default(), Arc::default());
        (0..100).for_each(|sequence| waiting.push(call_of(&busy, &sequence.to_string(), sequence, READ)));
        assert!(waiting.admit(Whose::Idle, usize::MAX).peek().is_some());
        let (_, first) = send(&mut waiting, 10);
        assert!(waiting.admit(Whose::Idle, usize::MAX).peek().is_none());
        (100..102).for_each(|sequence| waiting.push(call_of(&other, &sequence.to_string(), sequence, READ)));
        assert!(waiting.admit(Whose::Idle, usize::MAX).peek().is_some());
        let (numbers, _second) = send(&mut waiting, 4);
        assert_eq!(numbers, [100, 10, 101, 11]);
        assert!(waiting.admit(Whose::Idle, usize::MAX).peek().is_none());
        drop(first);
        assert_eq!(send(&mut waiting, 2).0, [12, 13]);
    }

    #[test]
    fn a_store_with_nothing_under_way_goes_alone_past_older_calls_of_another() {
        let mut waiting = WaitingCalls::default();
        let (busy, other) = (Arc::<KeyOptions>::default(), Arc::default());
        (0..3).for_each(|sequence| waiting.push(call_of(&busy, &sequence.to_string(), sequence, WRITE)));
        let (_, _passes) = send(&mut waiting, 3);
        (3..1000).for_each(|sequence| waiting.push(call_of(&busy, &sequence.to_string(), sequence, WRITE)));
        assert!(waiting.admit(Whose::Idle, usize::MAX).peek().is_none());
        assert!(waiting.looked_at < 50);
        (1000..1002).for_each(|sequence| waiting.push(call_of(&other, &sequence.to_string(), sequence, WRITE)));
        assert!(waiting.admit(Whose::Idle, 0).peek().is_none());
        let mut admission = waiting.admit(Whose::Idle, usize::MAX);
        let mut taken = Vec::new();
        while admission.peek().is_some() {
            taken.extend(admission.take().map(|(pending, _)| pending.sequence));
        }
        drop(admission);
        assert_eq!(taken, [1000, 1001]);
        assert_eq!(send(&mut waiting, 2).0, [3, 4]);
    }

    #[test]
    fn reads_go_while_writes_may_not_and_of_those_so_many_as_may() {
        let mut waiting = WaitingCalls::default();
        for (sequence, (id, operation)) in
            [("a", WRITE), ("a", READ), ("b", READ), ("c", WRITE), ("d", READ), ("d", WRITE)].into_iter().enumerate()
        {
            waiting.push(call(id, sequence as u64, operation));
        }
        let mut taken_with = |most_writes| {
            let mut admission = waiting.admit(Whose::All, most_writes);
            let taken: Vec<_> = std::iter::from_fn(|| admission.take()).collect();
            taken.into_iter().map(|(pending, _)| pending.sequence).collect::<Vec<_>>()
        };
        assert_eq!(taken_with(0), [2, 4], "what follows a write that waits does not go");
        assert_eq!(taken_with(1), [0, 1]);
        assert_eq!(taken_with(usize::MAX), [3, 5]);
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
        let mut admission = waiting.admit(Whose::All, usize::MAX);
        let mut passes = Vec::new();
        while passes.len() < most && admission.peek().is_some() {
            passes.extend(admission.take().map(|(_, pass)| pass));
        }
        (passes.len(), passes)
    }
}
