//! What others see of a cluster: pings, which every server has to answer, and where calls go from now on.

use std::mem;
use std::time::Instant;

use super::Router;
use crate::config::Address;
use crate::transport::error::ConnectError;

impl Router {
    /// Passes pings on to all servers. Before there are any, they wait for the map.
    pub(super) fn pass_pings(&mut self, now: Instant) {
        self.pings.extend(self.inbox.take_pings());
        for ping in mem::take(&mut self.pings) {
            if ping.deadline <= now {
                ping.expire(Some(self.connect_error.error()));
            } else if let Some(ping) = self.nodes.ping(ping) {
                self.pings.push(ping);
                self.map_wanted = true;
            }
        }
    }

    /// When the first ping is given up that waits for the map.
    pub(super) fn ping_deadline(&self) -> Option<Instant> {
        self.pings.iter().map(|ping| ping.deadline).min()
    }

    /// The map could not be read.
    pub(super) fn note_no_map(&mut self, connect_error: &ConnectError) {
        self.inbox.observed.note_error(connect_error.error());
        for ping in self.pings.drain(..) {
            ping.answer(Err(connect_error.error().clone()));
        }
    }

    /// These servers have slots from now on.
    pub(super) fn note_owners(&mut self, mut owners: Vec<Address>) {
        owners.sort_unstable_by_key(crate::transport::error::display_address);
        owners.dedup();
        let before = mem::replace(&mut self.owners, owners);
        if !before.is_empty() && before != self.owners {
            self.inbox.observed.moved(before, self.owners.clone(), "cluster", None);
        }
    }

    /// A server says that another one has a slot.
    pub(super) fn note_redirect(&mut self, slot: u16, from: Option<Address>, to: u32) {
        if self.slots.node(slot) != Some(to)
            && let (Some(from), Some(to)) = (from, self.nodes.address(to))
        {
            self.inbox.observed.moved(vec![from], vec![to], "MOVED", Some(slot));
        }
    }
}
