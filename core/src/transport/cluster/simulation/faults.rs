//! What goes wrong, and how it goes on.

use std::time::{Duration, Instant};

use super::links::Link;
use super::plan::Fault;
use super::world::{World, log};
use crate::store::keys::Role;
use crate::store::slot::slot_of;
use crate::transport::simulation::callers::call_of;
use crate::transport::simulation::history::task_name;

/// What follows from a fault.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A replica takes over.
    Promote { old: usize, new: usize },
    /// Some of a slot's keys are migrated.
    MigrateKeys { slot: u16 },
    /// The rest is, and the slot belongs to the other node.
    EndMigration { slot: u16 },
    /// A slot is given to another server than the one that has it and stands still.
    Take { slot: u16, from: usize, to: usize },
    /// What was the matter with a server may be over.
    Look { server: usize },
    /// A server hears of all changes.
    Hear { server: usize },
}

impl World {
    fn after(&self, millis: u64) -> Instant {
        self.now + Duration::from_millis(millis)
    }

    /// A primary, and where a replica of it could be: any server that runs and has no slots.
    fn primary_and_spare(&mut self) -> Option<(usize, usize)> {
        let primary = self.truth.owner(self.random.below(16_384) as u16);
        let is_spare = |number: &usize| !self.truth.is_primary(*number) && self.nodes[*number].is_there();
        let spare = (0..self.nodes.len()).find(is_spare)?;
        let is_moving = self.moving.values().any(|(from, to)| [*from, *to].contains(&primary));
        let goes_already = self
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::Promote { old, new } if *old == primary || *new == spare));
        (!is_moving && !goes_already).then_some((primary, spare))
    }

    /// Something goes wrong.
    pub fn fault(&mut self, fault: Fault) {
        let any = self.random.below(self.nodes.len() as u64) as usize;
        match fault {
            Fault::Cut => {
                let index = self.random.below(self.links.len() as u64) as usize;
                if index < self.links.len() {
                    self.with_link(index, Link::lose);
                }
            }
            Fault::Kill { millis } => self.end(any, millis),
            Fault::Pause { millis } => self.pause(any, millis),
            Fault::Failover { still, millis } => {
                let Some((old, new)) = self.primary_and_spare() else { return };
                let at = self.now + self.random.millis(20, 1500);
                self.events.push((at, Event::Promote { old, new }));
                match still {
                    true => self.pause(old, millis),
                    false => self.end(old, millis.max(1500)),
                }
            }
            Fault::Migrate { millis } => self.migrate(millis),
            Fault::Take { millis } => {
                let Some((slot, from, to)) = self.slot_to_move() else { return };
                self.pause(from, millis);
                let at = self.now + self.random.millis(20, 1500);
                self.events.push((at, Event::Take { slot, from, to }));
            }
            Fault::Stranger { failover, millis } => self.replace(failover, millis),
            Fault::Stale { millis } => {
                self.nodes[any].stale_until = Some(self.after(millis));
                self.events.push((self.after(millis), Event::Look { server: any }));
            }
            Fault::ClusterDown { millis } => {
                self.nodes[any].cluster_down_until = Some(self.after(millis));
                self.events.push((self.after(millis), Event::Look { server: any }));
            }
        }
    }

    fn pause(&mut self, server: usize, millis: u64) {
        if self.nodes[server].is_there() {
            self.nodes[server].paused_until = Some(self.after(millis));
            self.events.push((self.after(millis), Event::Look { server }));
        }
    }

    /// A server ends, and is started again.
    fn end(&mut self, server: usize, millis: u64) {
        if !self.nodes[server].is_there() {
            return;
        }
        self.cut(server);
        self.nodes[server].server.keys = self.nodes[server].kept(&mut self.random);
        self.nodes[server].down_until = Some(self.after(millis));
        self.nodes[server].paused_until = None;
        self.events.push((self.after(millis), Event::Look { server }));
    }

    /// A server of another cluster gets a node's address. All do not at once, nor one behind the other so that nothing else is heard
    /// of in between: else the other cluster would be believed.
    fn replace(&mut self, failover: bool, millis: u64) {
        let is_known = !self.readings.is_empty() && self.reading.is_none() && !self.links.is_empty();
        if !is_known || self.is_misled || self.nodes.iter().any(|node| !node.is_there()) {
            return;
        }
        let Some((old, new)) = self.primary_and_spare() else { return };
        self.end(old, 0);
        self.nodes[old].down_until = None;
        self.nodes[old].stranger_until = Some(self.after(millis));
        self.events.push((self.after(millis), Event::Look { server: old }));
        if failover {
            let at = self.now + self.random.millis(20, 1500);
            self.events.push((at, Event::Promote { old, new }));
        }
    }

    /// All connections to a server are lost, with what was on its way.
    fn cut(&mut self, server: usize) {
        for index in 0..self.links.len() {
            if self.links[index].server == server {
                self.with_link(index, |link, world| {
                    link.lose(world);
                    link.forget_late();
                });
            }
        }
    }

    /// A slot that is used, the server that has it, and another one that it could go to.
    fn slot_to_move(&mut self) -> Option<(u16, usize, usize)> {
        let execution = self.random.below(self.plan.executions.len() as u64) as usize;
        let role = self.random.pick(&[Role::Execution, Role::Transactions, Role::Results]);
        let record = self.history.records.iter().find(|record| record.execution == execution)?;
        let call = call_of(record, self.plan.executions[execution].clone());
        let slot = slot_of(&call.key(role).to_bytes());
        let from = self.truth.owner(slot);
        let to = self.truth.shares[self.random.below(self.truth.shares.len() as u64) as usize];
        let is_there = |server: usize| self.nodes[server].is_there() && self.nodes[server].paused_until.is_none();
        let is_promoted = self
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::Promote { old, .. } if [from, to].contains(old)));
        if from == to || self.moving.contains_key(&slot) || is_promoted || !is_there(from) || !is_there(to) {
            return None;
        }
        log!(self, "slot {slot}, of {} among others, goes from server {from} to {to}", task_name(execution));
        Some((slot, from, to))
    }

    fn migrate(&mut self, millis: u64) {
        let Some((slot, from, to)) = self.slot_to_move() else { return };
        self.moving.insert(slot, (from, to));
        let at = self.now + self.random.millis(0, millis);
        self.events.push((at, Event::MigrateKeys { slot }));
        self.events.push((self.after(millis + 1), Event::EndMigration { slot }));
    }

    /// What follows from a fault happens.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Promote { old, new } => self.promote(old, new),
            Event::MigrateKeys { slot } => self.migrate_keys(slot, false),
            Event::EndMigration { slot } => {
                let Some((from, to)) = self.moving.get(&slot).copied() else { return };
                let works = |server: usize| self.nodes[server].is_there() && self.nodes[server].paused_until.is_none();
                if !works(from) || !works(to) {
                    self.events.push((self.after(100), event));
                    return;
                }
                log!(self, "slot {slot} has gone from server {from} to {to}");
                self.migrate_keys(slot, true);
                self.moving.remove(&slot);
                self.truth.moved.insert(slot, to);
                self.changed(&[from, to]);
            }
            Event::Take { slot, from, to } => self.take(slot, from, to),
            Event::Look { server } => self.look(server),
            Event::Hear { server } => {
                let node = &mut self.nodes[server];
                if node.is_there() && node.paused_until.is_none() && node.stale_until.is_none() {
                    node.view = self.truth.clone();
                }
            }
        }
    }

    fn migrate_keys(&mut self, slot: u16, all: bool) {
        let Some((from, to)) = self.moving.get(&slot).copied() else { return };
        let works = |server: usize| self.nodes[server].is_there() && self.nodes[server].paused_until.is_none();
        if !works(from) || !works(to) {
            return;
        }
        let keys: Vec<Vec<u8>> =
            self.nodes[from].server.keys.keys().filter(|key| slot_of(key) == slot).cloned().collect();
        for key in keys {
            if all || self.random.percent(50) {
                let entry = self.nodes[from].server.keys.remove(&key).expect("it is there");
                self.nodes[to].server.keys.insert(key, entry);
            }
        }
        // Both are on disk and with the replicas.
        self.nodes[from].journal.clear();
        self.nodes[to].journal.clear();
    }

    /// A replica takes over, with all that was acknowledged.
    fn promote(&mut self, old: usize, new: usize) {
        if !self.nodes[new].is_there() || self.nodes[new].paused_until.is_some() || !self.truth.is_primary(old) {
            return;
        }
        // It is not there, or not for others.
        if self.nodes[old].is_there() && self.nodes[old].paused_until.is_none() {
            return;
        }
        for link in self.links.iter().filter(|link| link.server == old) {
            link.has_answers().for_each(|acknowledged| acknowledged.set(true));
        }
        log!(self, "server {new} takes over from {old}");
        let keys = self.nodes[old].kept(&mut self.random);
        self.nodes[new].server.keys = keys;
        self.nodes[new].journal.clear();
        self.nodes[old].server.keys.clear();
        self.truth.replace(old, new);
        self.changed(&[new]);
        // What it takes to be its own is not any more, whenever it hears of that.
        self.nodes[old].view = self.truth.clone();
    }

    /// A server that has others is given a slot of one that stands still, with all that was acknowledged.
    fn take(&mut self, slot: u16, from: usize, to: usize) {
        let stands_still = self.nodes[from].is_there() && self.nodes[from].paused_until.is_some();
        // It may have been replaced meanwhile, and a replica is given none.
        let takes = self.nodes[to].is_there() && self.nodes[to].paused_until.is_none() && self.truth.is_primary(to);
        if !stands_still || !takes || self.truth.owner(slot) != from || self.moving.contains_key(&slot) {
            return;
        }
        for link in self.links.iter().filter(|link| link.server == from) {
            link.has_answers().for_each(|acknowledged| acknowledged.set(true));
        }
        log!(self, "server {to} takes slot {slot} from {from}");
        let keys = self.nodes[from].server.keys.extract_if(.., |key, _| slot_of(key) == slot).collect::<Vec<_>>();
        self.nodes[to].server.keys.extend(keys);
        self.nodes[from].journal.clear();
        self.nodes[to].journal.clear();
        self.truth.moved.insert(slot, to);
        self.changed(&[to]);
        // What it takes to be its own is not any more, whenever it hears of that.
        self.nodes[from].view = self.truth.clone();
    }

    /// Slots belong to others: those that are concerned know it, the others hear of it.
    fn changed(&mut self, concerned: &[usize]) {
        self.truth.version += 1;
        for server in 0..self.nodes.len() {
            if concerned.contains(&server) {
                self.nodes[server].view = self.truth.clone();
            } else {
                let at = self.now + self.random.millis(0, self.plan.gossip);
                self.events.push((at, Event::Hear { server }));
            }
        }
    }

    /// A server may be back.
    fn look(&mut self, server: usize) {
        let now = self.now;
        let node = &mut self.nodes[server];
        for until in [
            &mut node.down_until,
            &mut node.paused_until,
            &mut node.stranger_until,
            &mut node.stale_until,
            &mut node.cluster_down_until,
        ] {
            until.take_if(|until| *until <= now);
        }
        let at = now + self.random.millis(0, self.plan.gossip);
        self.events.push((at, Event::Hear { server }));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        log!(self, "nothing goes wrong any more");
        self.is_healed = true;
        for server in 0..self.nodes.len() {
            if self.nodes[server].stranger_until.is_some() {
                self.cut(server);
            }
            let node = &mut self.nodes[server];
            (node.down_until, node.paused_until, node.stranger_until) = (None, None, None);
            (node.stale_until, node.cluster_down_until) = (None, None);
        }
        for slot in self.moving.keys().copied().collect::<Vec<u16>>() {
            self.event(Event::EndMigration { slot });
        }
        self.events.clear();
        for node in &mut self.nodes {
            node.view = self.truth.clone();
        }
    }
}
