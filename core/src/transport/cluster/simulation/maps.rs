//! Reading the map: servers are asked at once, and of those that name a node that is known the one that has heard the most counts,
//! after those whose maps have led nowhere, as in [`fetch`](crate::transport::cluster::topology::fetch).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::world::{World, log};
use crate::config::Address;
use crate::store::slot::SLOTS;
use crate::transport::cluster::topology::{Map, NodeId, Owner};
use crate::transport::error::ConnectError;
use crate::transport::node_id::are_related;

/// How long a server is waited for that does not answer.
const LIMIT: Duration = Duration::from_secs(1);
/// How long the others are waited for when one has answered that can be believed.
const RESPONSE_GRACE: Duration = Duration::from_millis(100);
const MAX_ASKED: usize = 8;

/// A map that is being read.
pub struct Reading {
    /// Who will have answered when, or not.
    due: Vec<(Instant, usize)>,
    known: Arc<[NodeId]>,
    discredited: Vec<Address>,
    best: Option<(Rank, Map)>,
    /// The end of the wait for others.
    until: Option<Instant>,
}

/// Whether a map names a node that is known, whether its server has its credit, and how much that has heard.
type Rank = (bool, bool, u64);

impl Reading {
    pub fn new(world: &mut World, addresses: &[Address], known: Arc<[NodeId]>, discredited: Vec<Address>) -> Self {
        let configured: Vec<usize> = (0..world.plan.startup).collect();
        let all = (0..world.nodes.len())
            .filter(|number| configured.contains(number) || addresses.contains(&world.nodes[*number].address));
        let asked: Vec<usize> = all.take(MAX_ASKED).collect();
        let mut due: Vec<(Instant, usize)> = Vec::new();
        for number in asked {
            let delay = 2 * world.random.millis(0, world.plan.latency);
            let silent = world.nodes[number].paused_until.is_some();
            due.push((world.now + if silent { LIMIT } else { delay }, number));
        }
        due.sort_unstable();
        due.reverse();
        Self { due, known, discredited, best: None, until: None }
    }

    /// When the next one will have answered.
    pub fn next_at(&self) -> Option<Instant> {
        self.due.last().map(|(at, _)| *at).into_iter().chain(self.until).min()
    }

    /// What has come of it, once something has.
    fn poll(&mut self, world: &mut World) -> Option<Result<Map, ConnectError>> {
        while let Some((_, number)) = self.due.pop_if(|(at, _)| *at <= world.now) {
            let node = &world.nodes[number];
            if node.stranger_until.is_some() {
                let id = NodeId::new("stranger");
                if are_related(std::slice::from_ref(&id), &self.known) {
                    // Nobody could know.
                    continue;
                }
                let owner = Owner { address: node.address.clone(), id: Some(id.clone()) };
                let (ranges, source) = (vec![(0, (SLOTS - 1) as u16, owner)], node.address.clone());
                self.note(0, Map { ranges, nodes: vec![id], source, is_foreign: true }, world.now);
                continue;
            }
            if !node.is_there() || node.paused_until.is_some() {
                continue;
            }
            log!(world, "server {number} gives its map: {:?}", node.view);
            let nodes = world.nodes.iter().map(|node| node.id.clone()).collect();
            let (ranges, source) = (node.view.ranges(&world.nodes), node.address.clone());
            self.note(node.view.version, Map { ranges, nodes, source, is_foreign: false }, world.now);
        }
        let is_over = self.until.is_some_and(|until| until <= world.now);
        if !self.due.is_empty() && !is_over {
            return None;
        }
        let best = self.best.take().map(|(_, map)| map);
        Some(best.ok_or_else(|| ConnectError::connecting(&world.nodes[0].address)))
    }

    /// A server has answered with a map.
    fn note(&mut self, version: u64, map: Map, now: Instant) {
        let rank = (!map.is_foreign, !self.discredited.contains(&map.source), version);
        if rank.0 && rank.1 && self.until.is_none() {
            self.until = Some(now + RESPONSE_GRACE);
        }
        if self.best.as_ref().is_none_or(|(best, _)| *best < rank) {
            self.best = Some((rank, map));
        }
    }
}

impl World {
    /// Goes on reading the map.
    pub fn read_map(&mut self) -> bool {
        let Some(mut reading) = self.reading.take() else { return false };
        match reading.poll(self) {
            None => {
                self.reading = Some(reading);
                return false;
            }
            Some(Ok(map)) => {
                let (foreign, now) = (map.is_foreign, self.now);
                let belief = self.router.map_read(map, now);
                self.is_misled = foreign;
                log!(self, "the map was read, foreign: {foreign}, {belief:?}");
            }
            Some(Err(error)) => self.router.map_not_read(error),
        }
        true
    }
}
