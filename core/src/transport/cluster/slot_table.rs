//! For each slot of a cluster: which server has it, how much is under way, and what waits until nothing is.

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::time::Instant;

use super::counts::{Count, Counted};
use crate::store::Call;
use crate::store::slot::SLOTS;
use crate::transport::request::Request;

/// The table of all slots.
pub struct SlotTable {
    slots: Vec<SlotState>,
    held: BTreeMap<u16, HeldParts>,
    /// Something held may have become free since it was last looked through. So a server that is away, and thousands of
    /// slots that wait for it, cost the others nothing.
    stirred: bool,
    /// The earliest end of a pause among what is held.
    next_pause: Option<Instant>,
    /// The earliest deadline of what is held.
    next_deadline: Option<Instant>,
}

#[derive(Default)]
struct SlotState {
    node: Option<u32>,
    /// Sent and not come back.
    under_way: Count,
    /// Where to: all of it to the same server, or what came later might be done earlier.
    sent_to: u32,
}

struct HeldParts {
    parts: Vec<Request>,
    /// The end of the pause before they are sent.
    not_before: Option<Instant>,
    /// The earliest of its parts in the order in which the calls came.
    first_sequence: u64,
}

impl SlotState {
    /// Whether a server has it, and nothing is under way.
    fn is_at_rest(&self) -> bool {
        self.under_way.is_zero() && self.node.is_some()
    }
}

impl HeldParts {
    /// What goes, and what is still held.
    fn split(self) -> (Vec<Request>, Option<Self>) {
        let is_refused = |part: &&Request| part.route.as_ref().is_some_and(|route| route.refusals > 0);
        let refused: HashSet<Box<[u8]>> =
            self.parts.iter().filter(is_refused).map(|part| part.call.id().into()).collect();
        if refused.is_empty() {
            return (self.parts, None);
        }
        let mut parts = self.parts;
        parts.sort_by_key(|part| part.route.as_ref().map(|route| route.sequence));
        let mut probed = HashSet::new();
        let goes = |part: &Request| refused.get(part.call.id()).is_none_or(|id| probed.insert(id));
        let (go, parts): (Vec<Request>, Vec<Request>) = parts.into_iter().partition(goes);
        let first_sequence = parts.first().and_then(|part| Some(part.route.as_ref()?.sequence));
        (go, first_sequence.map(|first_sequence| Self { parts, not_before: None, first_sequence }))
    }
}

impl SlotTable {
    /// Slots without servers.
    pub fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| SlotState::default()).collect(),
            held: BTreeMap::new(),
            stirred: false,
            next_pause: None,
            next_deadline: None,
        }
    }

    /// Which server has a slot.
    pub fn node(&self, slot: u16) -> Option<u32> {
        self.slots[usize::from(slot)].node
    }

    /// Gives slots, from the first to the last, to a server.
    pub fn give(&mut self, first: u16, last: u16, node: u32) {
        self.stirred = true;
        for slot in &mut self.slots[usize::from(first)..=usize::from(last)] {
            slot.node = Some(node);
        }
    }

    /// Takes a slot from its server.
    pub fn take(&mut self, slot: u16) {
        self.slots[usize::from(slot)].node = None;
    }

    /// Takes all slots from their servers.
    pub fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.node = None);
    }

    /// Whether something may be sent to a server: nothing is on its way to another one.
    pub fn may_go(&self, slot: u16, node: u32) -> bool {
        let state = &self.slots[usize::from(slot)];
        state.under_way.is_zero() || state.sent_to == node
    }

    /// Something for a slot is on its way.
    pub fn sent(&mut self, slot: u16, node: u32) -> Counted {
        let state = &mut self.slots[usize::from(slot)];
        state.sent_to = node;
        state.under_way.take()
    }

    /// Something for a slot is not on its way any more.
    pub fn came_back(&mut self, slot: u16, counted: Counted) {
        let under_way = &mut self.slots[usize::from(slot)].under_way;
        under_way.give_back(counted);
        let is_at_rest = under_way.is_zero();
        self.stirred |= is_at_rest && self.is_held(slot);
    }

    /// The slots for which something is on its way to another server than the one that has them, and that other one.
    pub fn under_way_elsewhere(&self) -> impl Iterator<Item = (u16, u32)> {
        self.slots.iter().enumerate().filter_map(|(slot, state)| {
            let is_elsewhere = !state.under_way.is_zero() && state.node.is_some_and(|node| node != state.sent_to);
            is_elsewhere.then_some((slot as u16, state.sent_to))
        })
    }

    /// Whether something waits for a slot.
    pub fn is_held(&self, slot: u16) -> bool {
        !self.held.is_empty() && self.held.contains_key(&slot)
    }

    /// Whether something waits for a slot that no server has.
    pub fn any_is_unserved(&self) -> bool {
        self.held.keys().any(|slot| self.node(*slot).is_none())
    }

    /// Whether something for the same execution waits that came earlier than this.
    pub fn waits_before(&self, slot: u16, sequence: u64, call: &Call) -> bool {
        let earlier = |part: &Request| {
            part.call.id() == call.id() && part.route.as_ref().is_some_and(|route| route.sequence < sequence)
        };
        let held = if self.held.is_empty() { None } else { self.held.get(&slot) };
        held.is_some_and(|held| held.first_sequence < sequence && held.parts.iter().any(earlier))
    }

    /// Keeps a part of a call until its slot is at rest, and not before a moment.
    pub fn hold(&mut self, part: Request, not_before: Option<Instant>) {
        let Some(route) = &part.route else { return };
        self.next_deadline = Some(self.next_deadline.map_or(route.deadline, |earlier| earlier.min(route.deadline)));
        let new = || HeldParts { parts: Vec::new(), not_before, first_sequence: route.sequence };
        let held = self.held.entry(route.slot).or_insert_with(new);
        held.first_sequence = held.first_sequence.min(route.sequence);
        held.not_before = held.not_before.max(not_before);
        match held.not_before {
            None => self.stirred |= self.slots[usize::from(route.slot)].is_at_rest(),
            Some(end) => self.next_pause = Some(self.next_pause.map_or(end, |earlier| earlier.min(end))),
        }
        held.parts.push(part);
    }

    /// An execution's part was done that had been refused: what else was refused of it may go as well.
    pub fn forgive(&mut self, slot: u16, id: &[u8]) {
        for part in self.held.get_mut(&slot).into_iter().flat_map(|held| &mut held.parts) {
            if part.call.id() == id
                && let Some(route) = &mut part.route
            {
                route.refusals = 0;
            }
        }
    }

    /// Takes out what was held for slots that are at rest and have a server, in the order in which the calls came. Of an
    /// execution of which something was refused for now, only the oldest part: it finds out whether it still is.
    pub fn release(&mut self, now: Instant) -> Vec<Request> {
        if !mem::take(&mut self.stirred) && self.next_pause.is_none_or(|end| end > now) {
            return Vec::new();
        }
        let slots = &self.slots;
        let ready = |(slot, held): (&u16, &HeldParts)| {
            let is_ready = held.not_before.is_none_or(|end| end <= now) && slots[usize::from(*slot)].is_at_rest();
            is_ready.then_some(*slot)
        };
        let ready: Vec<u16> = self.held.iter().filter_map(ready).collect();
        let mut parts = Vec::new();
        for slot in ready {
            let Some(held) = self.held.remove(&slot) else { continue };
            let (go, stay) = held.split();
            parts.extend(go);
            self.held.extend(stay.map(|held| (slot, held)));
        }
        parts.sort_by_key(|part| part.route.as_ref().map(|route| route.sequence));
        if self.held.is_empty() {
            self.next_deadline = None;
        }
        self.next_pause = self.held.values().filter_map(|held| held.not_before).filter(|end| *end > now).min();
        parts
    }

    /// When something has to be done about what is held.
    pub fn next_moment(&self) -> Option<Instant> {
        self.next_pause.into_iter().chain(self.next_deadline).min()
    }

    /// Whether something held is past its deadline.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.next_deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Takes out what is held and has a deadline of this kind.
    pub fn take_out(&mut self, over: impl Fn(Instant) -> bool) -> Vec<Request> {
        let mut out = Vec::new();
        let is_over = |part: &mut Request| part.route.as_ref().is_none_or(|route| over(route.deadline));
        for held in self.held.values_mut() {
            out.extend(held.parts.extract_if(.., is_over));
        }
        self.held.retain(|_, held| !held.parts.is_empty());
        let deadlines = self.held.values().flat_map(|held| &held.parts).filter_map(|part| part.route.as_ref());
        self.next_deadline = deadlines.map(|route| route.deadline).min();
        out
    }

    /// Whether nothing is under way or held.
    #[cfg(test)]
    pub fn is_at_rest(&self) -> bool {
        self.held.is_empty() && self.slots.iter().all(|slot| slot.under_way.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::transport::request::{ClusterRoute, Nowhere};

    fn part(slot: u16, sequence: u64, deadline: Instant) -> Request {
        let mut part = Request::new(Call::empty(), 0, Arc::new(Nowhere));
        part.route = Some(ClusterRoute {
            environment: Arc::new(Nowhere),
            sequence,
            deadline,
            slot,
            sharded: false,
            asking: false,
            moves: 0,
            detours: 0,
            losses: 0,
            refusals: 0,
            reason: None,
        });
        part
    }

    fn sequences(parts: &[Request]) -> Vec<u64> {
        parts.iter().filter_map(|part| Some(part.route.as_ref()?.sequence)).collect()
    }

    #[test]
    fn what_is_held_goes_when_its_pause_is_over_and_its_slot_at_rest() {
        let now = Instant::now();
        let pause = Duration::from_millis(50);
        let mut table = SlotTable::new();
        table.give(0, 9, 0);
        let sent = table.sent(2, 0);
        assert!(table.may_go(2, 0) && !table.may_go(2, 1) && table.may_go(3, 1));
        for (slot, sequence, not_before) in [(1, 4, Some(now + pause)), (1, 1, None), (2, 2, None), (3, 3, None)] {
            table.hold(part(slot, sequence, now + 100 * pause), not_before);
        }
        assert_eq!(sequences(&table.release(now)), [3]);
        assert_eq!(table.next_moment(), Some(now + pause));
        assert!(table.release(now).is_empty());
        table.came_back(2, sent);
        assert_eq!(sequences(&table.release(now)), [2]);
        assert_eq!(sequences(&table.release(now + pause)), [1, 4]);
        assert_eq!(table.next_moment(), None);
    }

    #[test]
    fn what_is_held_for_a_slot_without_server_goes_when_it_has_one_or_is_given_up() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut table = SlotTable::new();
        table.hold(part(1, 1, later), None);
        table.hold(part(2, 2, later), None);
        assert!(table.release(now).is_empty());
        assert_eq!(table.next_moment(), Some(later));
        table.give(1, 1, 0);
        assert_eq!(sequences(&table.release(now)), [1]);
        assert!(table.is_overdue(later));
        let given_up = table.take_out(|deadline| deadline <= later);
        assert_eq!(sequences(&given_up), [2]);
        assert_eq!(table.next_moment(), None);
    }
}
