//! The map: when it is read, and what changes when it was.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Layout, Router};
use crate::config::Address;
use crate::error_texts::connections as texts;
use crate::transport::cluster::effect::Effect;
use crate::transport::cluster::topology::{Map, Range};
use crate::transport::error::ConnectError;

/// Whether a map was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// It was.
    Believed,
    /// It was not: it may be another cluster's.
    Doubted,
}

impl Router {
    /// The map may have changed, or is needed.
    pub fn want_map(&mut self) {
        if let Layout::Cluster(map) = &mut self.layout {
            map.want();
        }
    }

    /// A part of a call has come back from where the map leads, with an answer or without one.
    pub(super) fn judge_map(&mut self, is_answered: bool) {
        if let Layout::Cluster(map) = &mut self.layout {
            map.led(is_answered);
        }
    }

    /// Wants the map when a server has become silent: one that was stopped, or that packets do not reach, says nothing of a
    /// replica that was promoted in its place. Then its connection is closed, and what it owes goes there.
    pub(super) fn notice_silence(&mut self, now: Instant) {
        if let Layout::Cluster(map) = &mut self.layout
            && self.nodes.any_is_silent(now)
        {
            map.want();
        }
    }

    /// Has the map read when it is wanted, and not too often.
    pub(super) fn read_map(&mut self, now: Instant) {
        if let Layout::Cluster(map) = &mut self.layout
            && map.begins(now)
        {
            let (addresses, known) = (self.nodes.addresses(), map.known().clone());
            self.effects.push(Effect::ReadMap { addresses, known, discredited: map.discredited() });
        }
    }

    /// A map was read.
    pub fn map_read(&mut self, map: Map, now: Instant) -> Belief {
        let Layout::Cluster(state) = &mut self.layout else { return Belief::Doubted };
        if !state.believes(&map, now) {
            self.connect_error = ConnectError::Transient(texts::another_cluster().error());
            return Belief::Doubted;
        }
        self.nodes.know(state.known().clone());
        self.draw(map.ranges);
        // While a server that has slots does not answer, somebody may be about to take its place; and somebody has to get the
        // slots that no node has.
        let is_amiss = self.nodes.any_is_down() || self.slots.any_is_unserved();
        if let Layout::Cluster(state) = &mut self.layout {
            state.drawn(is_amiss);
        }
        Belief::Believed
    }

    /// No map could be read.
    pub fn map_not_read(&mut self, error: ConnectError) {
        let Layout::Cluster(state) = &mut self.layout else { return };
        let is_fatal = matches!(error, ConnectError::Fatal(_));
        state.not_read(!is_fatal);
        if is_fatal {
            self.fail(|_| true, &error);
        }
        self.connect_error = error;
    }

    /// Takes back what silent servers owe for slots that others have now: a server that stands still does not say that it has lost
    /// some of its slots. When it goes on and carries that out all the same, it does so in what it is about to throw away.
    fn recall(&mut self) {
        if !self.nodes.has_silent() {
            return;
        }
        let mut recalled: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for (slot, node) in self.slots.under_way_elsewhere() {
            if self.nodes.is_silent(node) {
                recalled.entry(node).or_default().push(slot);
            }
        }
        self.effects.extend(recalled.into_iter().map(|(node, slots)| Effect::Recall { node, slots }));
    }

    fn draw(&mut self, ranges: Vec<Range>) {
        self.slots.clear();
        let (mut owners, mut addresses) = (Vec::new(), Vec::new());
        for (first, last, owner) in ranges {
            // A node whose address the cluster does not name now is tried at its last one.
            let lost = matches!(owner.address, Address::Tcp(_, 0));
            let node = if lost {
                owner.id.and_then(|id| self.nodes.find(&id))
            } else {
                Some(self.nodes.at(owner, &mut self.effects))
            };
            let Some(node) = node else { continue };
            owners.push(node);
            addresses.extend(self.nodes.address(node).cloned());
            self.slots.give(first, last, node);
        }
        self.nodes.keep(&owners, &mut self.effects);
        self.recall();
        self.note_owners(addresses);
    }
}
