//! The calls of one connection that have no answer yet: the one owner of their order, their places and their deadlines.
//!
//! Each call is in exactly one place: it waits to be sent, is in flight, or is parked. What the types and methods here keep:
//!
//! - calls are sent in the order in which they came, and after a lost connection are sent again in that order;
//! - while a call is parked, what came later for its execution is parked behind it;
//! - a call that was answered although an earlier one for its execution was not is sent again behind that one;
//! - a call leaves by [`OrderedCalls::finish`] or [`OrderedCalls::expire`], once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use slab::Slab;

use super::pending_calls::PendingCall;
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
}

/// What is to be done with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is sent.
    Send,
    /// It is parked; calls for other executions go on.
    Park,
    /// Nothing is sent.
    Stop,
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
    parked_executions: HashMap<Vec<u8>, u32>,
    /// What was refused on this connection and is not over.
    redo: Redo,
    /// Calls that were given up after they had been sent again, and may be carried out behind what came later.
    late: Vec<Late>,
    deadlines: Deadlines,
    next_sequence: u64,
    next_serial: u64,
}

impl OrderedCalls {
    /// Adds a call behind the others. Part of a call to a cluster has a sequence number and a deadline of its own, those of
    /// its call, and goes where they say.
    pub fn insert(&mut self, request: Request, deadline: Instant) {
        let pending = match &request.route {
            None => PendingCall { request, sequence: self.next_sequence, deadline, error_reply: None, losses: 0 },
            Some(route) => {
                let (sequence, deadline, losses) = (route.sequence, route.deadline, route.losses);
                PendingCall { request, sequence, deadline, error_reply: None, losses }
            }
        };
        self.next_sequence += 1;
        let (sequence, deadline, serial) = (pending.sequence, pending.deadline, self.next_serial);
        self.next_serial += 1;
        let key = CallKey(self.calls.insert(Entry { pending, place: Place::Waiting, serial }) as u32);
        insert_by_sequence(&mut self.waiting, &self.calls, key, sequence);
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
        !self.waiting.is_empty() || !self.parked.is_empty()
    }

    /// All calls, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &PendingCall> {
        self.calls.iter().map(|(_, entry)| &entry.pending)
    }

    /// Takes the next call to be sent. It has to be told where it is with [`OrderedCalls::sent`].
    pub fn next(&mut self, admit: impl Fn(&PendingCall) -> Admission) -> Option<CallKey> {
        while let Some(&key) = self.waiting.front() {
            let pending = &self.calls[key.0 as usize].pending;
            let admission = match self.is_held_back(pending) {
                true => Admission::Park,
                false => admit(pending),
            };
            match admission {
                Admission::Stop => return None,
                Admission::Send => return self.waiting.pop_front(),
                Admission::Park => {
                    self.waiting.pop_front();
                    self.put_aside(key);
                }
            }
        }
        None
    }

    /// A call was sent.
    pub fn sent(&mut self, key: CallKey, number: u64) {
        let entry = &mut self.calls[key.0 as usize];
        entry.place = Place::InFlight(number);
        entry.pending.request.delivery.sent();
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
        pending
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
        self.parked_executions.clear();
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
        self.parked_executions.clear();
        self.parked.clear();
        self.waiting = self.calls.iter().map(|(key, _)| CallKey(key as u32)).collect();
        for (_, entry) in &mut self.calls {
            if let Place::InFlight(_) = entry.place {
                entry.pending.request.delivery.lost();
            }
            entry.place = Place::Waiting;
        }
        self.sort_waiting();
    }

    /// Takes out all that is not in flight, in its order.
    pub fn take_unsent(&mut self) -> Vec<PendingCall> {
        self.release();
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
        }
        Some((key, self.finish(key), place))
    }

    fn is_held_back(&self, pending: &PendingCall) -> bool {
        !self.parked_executions.is_empty() && self.parked_executions.contains_key(pending.request.call.id())
    }

    fn put_aside(&mut self, key: CallKey) {
        let entry = &mut self.calls[key.0 as usize];
        entry.place = Place::Parked;
        let (id, sequence) = (entry.pending.request.call.id(), entry.pending.sequence);
        match self.parked_executions.get_mut(id) {
            Some(count) => *count += 1,
            None => {
                self.parked_executions.insert(id.to_vec(), 1);
            }
        }
        insert_by_sequence(&mut self.parked, &self.calls, key, sequence);
    }

    /// A call that was taken from what is parked does not hold back others any more by being there.
    fn unpark(&mut self, key: CallKey) {
        let id = self.calls[key.0 as usize].pending.request.call.id();
        if let Some(count) = self.parked_executions.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                self.parked_executions.remove(id);
            }
        }
    }

    fn sort_waiting(&mut self) {
        let calls = &self.calls;
        let sequence = |key: &CallKey| calls[key.0 as usize].pending.sequence;
        if !self.waiting.iter().is_sorted_by_key(sequence) {
            self.waiting.make_contiguous().sort_by_key(sequence);
        }
    }
}

/// Queues are in the order of the sequence numbers.
fn insert_by_sequence(queue: &mut VecDeque<CallKey>, calls: &Slab<Entry>, key: CallKey, sequence: u64) {
    let of = |key: &CallKey| calls[key.0 as usize].pending.sequence;
    match queue.back() {
        Some(last) if of(last) > sequence => queue.insert(queue.partition_point(|other| of(other) <= sequence), key),
        _ => queue.push_back(key),
    }
}

fn remove_key(queue: &mut VecDeque<CallKey>, calls: &Slab<Entry>, key: CallKey) {
    let of = |key: &CallKey| calls[key.0 as usize].pending.sequence;
    let sequence = of(&key);
    let first = queue.partition_point(|other| of(other) < sequence);
    if let Some(offset) = queue.range(first..).position(|other| *other == key) {
        queue.remove(first + offset);
    }
}

/// The deadlines of all calls, earliest first. Calls nearly always come in the order of their deadlines, and nearly always
/// are over before them: those that are over are only looked at when they come first.
#[derive(Default)]
struct Deadlines {
    queue: VecDeque<(Instant, CallKey, u64)>,
}

impl Deadlines {
    /// Entries of calls that are over, beyond which they are thrown out.
    const SURPLUS: usize = 1024;

    fn push(&mut self, deadline: Instant, key: CallKey, serial: u64) {
        match self.queue.back() {
            Some((last, ..)) if *last > deadline => {
                let index = self.queue.partition_point(|(other, ..)| *other <= deadline);
                self.queue.insert(index, (deadline, key, serial));
            }
            _ => self.queue.push_back((deadline, key, serial)),
        }
    }

    fn is_alive(calls: &Slab<Entry>, key: CallKey, serial: u64) -> bool {
        calls.get(key.0 as usize).is_some_and(|entry| entry.serial == serial)
    }

    fn earliest(&mut self, calls: &Slab<Entry>) -> Option<Instant> {
        if self.queue.len() > 2 * calls.len() + Self::SURPLUS {
            self.queue.retain(|(_, key, serial)| Self::is_alive(calls, *key, *serial));
        }
        while let Some(&(deadline, key, serial)) = self.queue.front() {
            if Self::is_alive(calls, key, serial) {
                return Some(deadline);
            }
            self.queue.pop_front();
        }
        None
    }

    fn take_past(&mut self, now: Instant, calls: &Slab<Entry>) -> Option<CallKey> {
        self.earliest(calls).filter(|deadline| *deadline <= now)?;
        self.queue.pop_front().map(|(_, key, _)| key)
    }
}

#[cfg(test)]
mod tests;
