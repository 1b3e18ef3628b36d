//! What others see of a cluster: where calls go from now on.

use std::mem;

use super::Router;
use crate::config::Address;
use crate::transport::cluster::effect::Effect;
use crate::transport::error::display_address;

impl Router {
    /// These servers have slots from now on.
    pub(super) fn note_owners(&mut self, mut owners: Vec<Address>) {
        owners.sort_unstable_by_key(display_address);
        owners.dedup();
        let from = mem::replace(&mut self.owners, owners);
        if !from.is_empty() && from != self.owners {
            self.effects.push(Effect::Moved { from, to: self.owners.clone(), told_by: "cluster", slot: None });
        }
    }

    /// A server says that another one has a slot.
    pub(super) fn note_redirect(&mut self, slot: u16, from: u32, to: u32) {
        if self.slots.node(slot) != Some(to)
            && let (Some(from), Some(to)) = (self.nodes.address(from).cloned(), self.nodes.address(to).cloned())
        {
            self.effects.push(Effect::Moved { from: vec![from], to: vec![to], told_by: "MOVED", slot: Some(slot) });
        }
    }
}
