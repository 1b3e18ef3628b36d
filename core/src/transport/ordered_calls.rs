//! The calls of one connection that have no answer yet: the one owner of their order, their places and their deadlines.
//!
//! Each call is in exactly one place: it waits to be sent, is in flight, is parked, or is held. What the types and methods here keep:
//!
//! - calls for one execution are sent in the order in which they came, and so are those of one store; stores take turns;
//! - after a lost connection calls are sent again in the order in which they were sent;
//! - while a call is parked, what came later for its execution is parked behind it;
//! - while a call is held, what came later for its execution from the same environment is held behind it;
//! - a call that was answered although an earlier one for its execution was not is sent again behind that one;
//! - a call leaves by [`OrderedCalls::finish`] or [`OrderedCalls::expire`], once.

mod deadlines;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use deadlines::Deadlines;
use slab::Slab;

use super::pending_calls::PendingCall;
use super::ranks::Ranks;
use super::request::Request;
use super::resend_order::Redo;

/// Names a call while it has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallKey(u32);

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To be sent.
    Waiting,
    /// Sent; the number is the connection's own name for what it expects.
    InFlight(u64),
    /// To be sent later.
    Parked,
    /// To be sent when its environment has taken more of its results.
    Held,
}

/// What is to be done with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is sent.
    Send,
    /// It is parked; calls for other executions go on.
    Park,
    /// It is held; calls for other executions, and those of other environments, go on.
    Hold,
    /// Nothing is sent.
    Stop,
}

/// Tells the environments apart.
type Environment = usize;

fn environment_of(pending: &PendingCall) -> Environment {
    pending.request.budget().map_or(0, |budget| Arc::as_ptr(budget).addr())
}

struct Entry {
    pending: PendingCall,
    place: Place,
    /// Never used twice, unlike the key.
    serial: u64,
}

/// A call that is over, and whose commands are still on their way.
struct Late {
    id: Vec<u8>,
    sequence: u64,
    /// Under which its replies are expected.
    number: u64,
}

/// The calls of one connection. See the module.
#[derive(Default)]
pub struct OrderedCalls {
    calls: Slab<Entry>,
    waiting: VecDeque<CallKey>,
    parked: VecDeque<CallKey>,
    /// How many calls of each execution are parked.
    parked_executions: ExecutionCounts,
    held: VecDeque<CallKey>,
    /// How many calls of each environment and execution are held.
    held_executions: HashMap<Environment, ExecutionCounts>,
    /// How many calls there are of each environment.
    environments: Vec<(Environment, usize)>,
    /// What was refused on this connection and is not over.
    redo: Redo,
    /// Calls that were given up after they had been sent again, and may be carried out behind what came later.
    late: Vec<Late>,
    deadlines: Deadlines,
    next_sequence: u64,
    next_serial: u64,
    ranks: Ranks,
}

impl OrderedCalls {
    /// Adds a call behind the others of its store. Part of a call to a cluster has a sequence number and a deadline of its own,
    /// those of its call; its router sends what is for one key in the order in which it is to arrive.
    pub fn insert(&mut self, request: Request, deadline: Instant) {
        let mut pending = PendingCall::new(request, self.next_sequence, deadline);
        self.next_sequence += 1;
        let (deadline, serial) = (pending.deadline, self.next_serial);
        pending.turn = self.ranks.add(&pending, self.calls.iter().map(|(_, entry)| &entry.pending));
        let environment = environment_of(&pending);
        match self.environments.iter_mut().find(|(other, _)| *other == environment) {
            Some((_, count)) => *count += 1,
            None => self.environments.push((environment, 1)),
        }
        self.next_serial += 1;
        let key = CallKey(self.calls.insert(Entry { pending, place: Place::Waiting, serial }) as u32);
        insert_by_rank(&mut self.waiting, &self.calls, key);
        self.deadlines.push(deadline, key, serial);
    }

    /// A call.
    pub fn get(&self, key: CallKey) -> &PendingCall {
        &self.calls[key.0 as usize].pending
    }

    /// A call, to be changed.
    pub fn get_mut(&mut self, key: CallKey) -> &mut PendingCall {
        &mut self.calls[key.0 as usize].pending
    }

    /// Whether there are no calls, those in flight included.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether something waits to be sent or is parked.
    pub fn has_unsent(&self) -> bool {
        !self.waiting.is_empty() || !self.parked.is_empty() || !self.held.is_empty()
    }

    /// Whether several stores have calls.
    pub fn has_several_stores(&self) -> bool {
        self.ranks.has_several_stores()
    }

    /// Whether all calls are of one environment.
    pub fn has_one_environment(&self) -> bool {
        self.environments.len() == 1
    }

    /// All calls, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &PendingCall> {
        self.calls.iter().map(|(_, entry)| &entry.pending)
    }

    /// Takes the next call to be sent. It has to be told where it is with [`OrderedCalls::sent`].
    pub fn next(&mut self, mut admit: impl FnMut(&PendingCall) -> Admission) -> Option<CallKey> {
        while let Some(&key) = self.waiting.front() {
            let pending = &self.calls[key.0 as usize].pending;
            let admission = match () {
                () if self.waits_for_parked(pending) => Admission::Park,
                () if self.waits_for_held(pending) => Admission::Hold,
                () => admit(pending),
            };
            match admission {
                Admission::Stop => return None,
                Admission::Send => {
                    self.ranks.sent(&self.calls[key.0 as usize].pending);
                    return self.waiting.pop_front();
                }
                Admission::Park => {
                    self.waiting.pop_front();
                    self.put_aside(key);
                }
                Admission::Hold => {
                    self.waiting.pop_front();
                    self.hold(key);
                }
            }
        }
        None
    }

    /// A call was sent. Returns how often it has been.
    pub fn sent(&mut self, key: CallKey, number: u64, now: Instant) -> u32 {
        let entry = &mut self.calls[key.0 as usize];
        entry.place = Place::InFlight(number);
        let request = &mut entry.pending.request;
        request.delivery.sent();
        request.sent_at = request.sent_at.or(Some(now));
        request.attempts()
    }

    /// Whether a call was answered although one for the same execution that came before it was not.
    pub fn is_overtaken(&mut self, key: CallKey) -> bool {
        let Entry { pending, place, .. } = &self.calls[key.0 as usize];
        if let Place::InFlight(number) = place {
            // The replies come in the order in which the calls were sent.
            self.late.retain(|late| late.number > *number);
        }
        let is_before = |late: &Late| late.sequence < pending.sequence && late.id == pending.request.call.id();
        self.redo.is_overtaken_by(pending) || self.late.iter().any(is_before)
    }

    /// A call that was in flight is over.
    pub fn finish(&mut self, key: CallKey) -> PendingCall {
        let Entry { pending, .. } = self.calls.remove(key.0 as usize);
        self.redo.end(&pending);
        self.ranks.remove(&pending);
        let environment = environment_of(&pending);
        if let Some(index) = self.environments.iter().position(|(other, _)| *other == environment) {
            self.environments[index].1 -= 1;
            if self.environments[index].1 == 0 {
                self.environments.swap_remove(index);
            }
        }
        pending
    }

    /// Holds a call that is to be sent, perhaps again, when its environment has taken more of its results.
    pub fn hold(&mut self, key: CallKey) {
        let entry = &mut self.calls[key.0 as usize];
        entry.place = Place::Held;
        let executions = self.held_executions.entry(environment_of(&entry.pending)).or_default();
        executions.add(entry.pending.request.call.id());
        insert_by_rank(&mut self.held, &self.calls, key);
    }

    /// Puts what is held back among what waits.
    pub fn release_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        for key in &self.held {
            self.calls[key.0 as usize].place = Place::Waiting;
        }
        self.held_executions.clear();
        self.waiting.append(&mut self.held);
        self.sort_waiting();
    }

    /// Whether a write of the same environment for the same execution has been sent behind a call: that would see what the
    /// write did if it were sent again.
    pub fn is_followed_by_write(&self, key: CallKey) -> bool {
        let pending = self.get(key);
        let (id, environment) = (pending.request.call.id(), environment_of(pending));
        self.calls.iter().any(|(_, Entry { pending: other, place, .. })| {
            matches!(place, Place::InFlight(_))
                && other.sequence > pending.sequence
                && other.request.call.operation.writes()
                && other.request.call.id() == id
                && environment_of(other) == environment
        })
    }

    /// Parks a call that was in flight and has to be sent again on this connection.
    pub fn park(&mut self, key: CallKey) {
        self.redo.note(&self.calls[key.0 as usize].pending);
        self.put_aside(key);
    }

    /// Parks what waits and is meant, and notes something on each.
    pub fn park_waiting(&mut self, is_meant: impl Fn(&PendingCall) -> bool, note: impl Fn(&mut PendingCall)) {
        for key in std::mem::take(&mut self.waiting) {
            if is_meant(self.get(key)) {
                note(self.get_mut(key));
                self.put_aside(key);
            } else {
                self.waiting.push_back(key);
            }
        }
    }

    /// What waits to be sent, in its order.
    pub fn waiting(&self) -> impl Iterator<Item = &PendingCall> {
        self.waiting.iter().map(|key| self.get(*key))
    }

    /// Puts what is parked back among what waits.
    pub fn release(&mut self) {
        if self.parked.is_empty() {
            return;
        }
        for key in &self.parked {
            self.calls[key.0 as usize].place = Place::Waiting;
        }
        self.parked_executions = ExecutionCounts::default();
        self.parked.append(&mut self.waiting);
        std::mem::swap(&mut self.parked, &mut self.waiting);
        self.sort_waiting();
    }

    /// Takes the oldest call that is parked and meant, or else the oldest that waits and is meant, to be sent before the
    /// others. It has to be told where it is with [`OrderedCalls::sent`]. What came for an execution behind a call that has to
    /// wait is not taken.
    pub fn take_first(
        &mut self,
        is_meant: impl Fn(&PendingCall) -> bool,
        waits: impl Fn(&PendingCall) -> bool,
    ) -> Option<CallKey> {
        let calls = &self.calls;
        let mut held_back = HashSet::new();
        let mut find = |queue: &VecDeque<CallKey>| {
            queue.iter().position(|key| {
                let pending = &calls[key.0 as usize].pending;
                let id = pending.request.call.id();
                if waits(pending) {
                    held_back.insert(id);
                }
                is_meant(pending) && !held_back.contains(id)
            })
        };
        if let Some(index) = find(&self.parked) {
            let key = self.parked.remove(index)?;
            self.unpark(key);
            return Some(key);
        }
        let index = find(&self.waiting)?;
        self.waiting.remove(index)
    }

    /// The connection is gone: everything is to be sent again, in its order.
    pub fn requeue(&mut self) {
        self.redo.clear();
        self.late.clear();
        self.parked_executions = ExecutionCounts::default();
        self.parked.clear();
        self.held_executions.clear();
        self.held.clear();
        self.waiting = self.calls.iter().map(|(key, _)| CallKey(key as u32)).collect();
        for (_, entry) in &mut self.calls {
            if let Place::InFlight(_) = entry.place {
                entry.pending.request.delivery.lost();
                // The connection may have ended because what the calls carry was too much.
                entry.pending.request.call.drop_prefetch();
                // What had come of its result is gone.
                if let Some(charge) = &mut entry.pending.request.charge {
                    charge.give_back();
                }
            }
            entry.place = Place::Waiting;
        }
        self.sort_waiting();
    }

    /// Takes out all that is not in flight, in its order.
    pub fn take_unsent(&mut self) -> Vec<PendingCall> {
        self.release();
        self.release_held();
        let keys = std::mem::take(&mut self.waiting);
        keys.into_iter().map(|key| self.finish(key)).collect()
    }

    /// The number that the next call gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The earliest deadline of all.
    pub fn earliest_deadline(&mut self) -> Option<Instant> {
        self.deadlines.earliest(&self.calls)
    }

    /// Takes out a call that is past its deadline, and where it was.
    pub fn expire(&mut self, now: Instant) -> Option<(CallKey, PendingCall, Place)> {
        let key = self.deadlines.take_past(now, &self.calls)?;
        let (pending, place) = self.give_up(key);
        Some((key, pending, place))
    }

    /// Takes out the calls for these slots of a cluster, and where they were, in their order.
    pub fn recall(&mut self, slots: &[u16]) -> Vec<(CallKey, PendingCall, Place)> {
        let slots: HashSet<u16> = slots.iter().copied().collect();
        let is_meant =
            |entry: &Entry| entry.pending.request.route.as_ref().is_some_and(|route| slots.contains(&route.slot));
        let meant = self.calls.iter().filter(|(_, entry)| is_meant(entry));
        let mut keys: Vec<CallKey> = meant.map(|(key, _)| CallKey(key as u32)).collect();
        keys.sort_by_key(|key| self.get(*key).rank());
        let all = keys.into_iter().map(|key| {
            let (pending, place) = self.give_up(key);
            (key, pending, place)
        });
        all.collect()
    }

    /// Takes out a call that may have been sent and has no answer, and where it was.
    fn give_up(&mut self, key: CallKey) -> (PendingCall, Place) {
        let Entry { place, pending, .. } = &self.calls[key.0 as usize];
        let place = *place;
        match place {
            Place::InFlight(number) if self.redo.contains(pending) => {
                let id = pending.request.call.id().to_vec();
                self.late.push(Late { id, sequence: pending.sequence, number });
            }
            Place::InFlight(_) => {}
            Place::Waiting => remove_key(&mut self.waiting, &self.calls, key),
            Place::Parked => {
                remove_key(&mut self.parked, &self.calls, key);
                self.unpark(key);
            }
            Place::Held => {
                remove_key(&mut self.held, &self.calls, key);
                self.unhold(key);
            }
        }
        (self.finish(key), place)
    }

    fn waits_for_parked(&self, pending: &PendingCall) -> bool {
        self.parked_executions.has(pending.request.call.id())
    }

    fn waits_for_held(&self, pending: &PendingCall) -> bool {
        !self.held_executions.is_empty()
            && self
                .held_executions
                .get(&environment_of(pending))
                .is_some_and(|executions| executions.has(pending.request.call.id()))
    }

    fn put_aside(&mut self, key: CallKey) {
        let entry = &mut self.calls[key.0 as usize];
        entry.place = Place::Parked;
        self.parked_executions.add(entry.pending.request.call.id());
        insert_by_rank(&mut self.parked, &self.calls, key);
    }

    /// A call that was taken from what is parked does not hold back others any more by being there.
    fn unpark(&mut self, key: CallKey) {
        self.parked_executions.remove(self.calls[key.0 as usize].pending.request.call.id());
    }

    /// A call that was taken from what is held does not hold back others any more by being there.
    fn unhold(&mut self, key: CallKey) {
        let pending = &self.calls[key.0 as usize].pending;
        let environment = environment_of(pending);
        let Some(executions) = self.held_executions.get_mut(&environment) else { return };
        executions.remove(pending.request.call.id());
        if executions.is_empty() {
            self.held_executions.remove(&environment);
        }
    }

    fn sort_waiting(&mut self) {
        let calls = &self.calls;
        let rank = |key: &CallKey| calls[key.0 as usize].pending.rank();
        if !self.waiting.iter().is_sorted_by_key(rank) {
            self.waiting.make_contiguous().sort_by_key(rank);
        }
    }
}

/// How many calls there are of each execution.
#[derive(Default)]
struct ExecutionCounts(HashMap<Vec<u8>, u32>);

impl ExecutionCounts {
    fn add(&mut self, id: &[u8]) {
        match self.0.get_mut(id) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(id.to_vec(), 1);
            }
        }
    }

    fn remove(&mut self, id: &[u8]) {
        if let Some(count) = self.0.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(id);
            }
        }
    }

    fn has(&self, id: &[u8]) -> bool {
        !self.0.is_empty() && self.0.contains_key(id)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Queues are in the order of the ranks.
fn insert_by_rank(queue: &mut VecDeque<CallKey>, calls: &Slab<Entry>, key: CallKey) {
    let of = |key: &CallKey| calls[key.0 as usize].pending.rank();
    let rank = of(&key);
    match queue.back() {
        Some(last) if of(last) > rank => queue.insert(queue.partition_point(|other| of(other) <= rank), key),
        _ => queue.push_back(key),
    }
}

fn remove_key(queue: &mut VecDeque<CallKey>, calls: &Slab<Entry>, key: CallKey) {
    let of = |key: &CallKey| calls[key.0 as usize].pending.rank();
    let rank = of(&key);
    let first = queue.partition_point(|other| of(other) < rank);
    if let Some(offset) = queue.range(first..).position(|other| *other == key) {
        queue.remove(first + offset);
    }
}
