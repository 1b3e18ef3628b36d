//! The servers of a cluster that have slots or are about to get some, each with a connection of its own.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::counts::{Count, Counted};
use super::effect::Effect;
use super::split_call::Destination;
use super::topology::Owner;
use crate::config::Address;
use crate::transport::node_id::{ExpectedNode, NodeId};
use crate::transport::request::Request;

/// The servers in use. Their numbers are never used twice.
#[derive(Default)]
pub struct Nodes {
    /// By number.
    nodes: Vec<State>,
    /// The latest at each address.
    by_address: HashMap<Address, u32>,
    /// The nodes that the last map named.
    known: Arc<[NodeId]>,
}

/// Whether a server is in use.
enum State {
    InUse(Node),
    /// Its connection is closed, and not all has come back that was sent over it.
    Leaving(Count),
    Gone,
}

/// A server that is in use.
pub struct Node {
    address: Address,
    /// What the map calls it, once it does.
    id: Arc<OnceLock<NodeId>>,
    /// To be sent together.
    to_send: Vec<Request>,
    /// Parts of calls that were asked to go here although the slot is still elsewhere.
    asked: Count,
    /// Parts of calls that were sent and have not come back.
    under_way: Count,
    /// When it counts as silent, if it owes something.
    silent_at: Option<Instant>,
    /// It has counted as silent, and nothing was heard of it since.
    is_silent: bool,
    health: Health,
}

/// What was last heard of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Answers, or nothing yet.
    Answers,
    /// Its connection was lost.
    Lost,
}

impl Node {
    /// Takes a part of a call along at the next flush.
    pub fn send(&mut self, part: Request) -> Counted {
        self.to_send.push(part);
        self.under_way.take()
    }
}

impl Nodes {
    /// The nodes that the map names, for servers that are met from now on.
    pub fn know(&mut self, known: Arc<[NodeId]>) {
        self.known = known;
    }

    /// The server at an address; a connection is opened when it is new. A map may have two servers at one address for a while,
    /// of which one is not there any more.
    pub fn at(&mut self, Owner { address, id: named }: Owner, effects: &mut Vec<Effect>) -> u32 {
        let Some(named) = named else {
            return self.by_address.get(&address).copied().unwrap_or_else(|| self.open(address, None, effects));
        };
        let is_it = |node: &Node| node.address == address && *node.id.get_or_init(|| named.clone()) == named;
        let known = self.nodes.iter().position(|node| matches!(node, State::InUse(node) if is_it(node)));
        known.map_or_else(|| self.open(address, Some(named), effects), |number| number as u32)
    }

    fn open(&mut self, address: Address, id: Option<NodeId>, effects: &mut Vec<Effect>) -> u32 {
        let id = Arc::new(id.map_or_else(OnceLock::new, OnceLock::from));
        let number = self.nodes.len() as u32;
        let expected = ExpectedNode { id: id.clone(), known: self.known.clone() };
        effects.push(Effect::Open { node: number, address: address.clone(), expected });
        self.by_address.insert(address.clone(), number);
        self.nodes.push(State::InUse(Node {
            address,
            id,
            to_send: Vec::new(),
            asked: Count::default(),
            under_way: Count::default(),
            silent_at: None,
            is_silent: false,
            health: Health::Answers,
        }));
        number
    }

    /// Lets go of a server. What was sent to it comes back by itself.
    fn let_go(&mut self, number: u32, effects: &mut Vec<Effect>) {
        let Some(state) = self.nodes.get_mut(number as usize) else { return };
        let State::InUse(node) = mem::replace(state, State::Gone) else { return };
        if !node.under_way.is_zero() {
            *state = State::Leaving(node.under_way);
        }
        if self.by_address.get(&node.address) == Some(&number) {
            self.by_address.remove(&node.address);
        }
        if !node.to_send.is_empty() {
            effects.push(Effect::Send { node: number, parts: node.to_send });
        }
        effects.push(Effect::Close { node: number });
    }

    fn in_use(&self) -> impl Iterator<Item = (u32, &Node)> {
        self.nodes.iter().enumerate().filter_map(|(number, state)| match state {
            State::InUse(node) => Some((number as u32, node)),
            State::Leaving(_) | State::Gone => None,
        })
    }

    fn get(&self, node: u32) -> Option<&Node> {
        match self.nodes.get(node as usize)? {
            State::InUse(node) => Some(node),
            State::Leaving(_) | State::Gone => None,
        }
    }

    /// A server that is in use.
    pub fn get_mut(&mut self, node: u32) -> Option<&mut Node> {
        match self.nodes.get_mut(node as usize)? {
            State::InUse(node) => Some(node),
            State::Leaving(_) | State::Gone => None,
        }
    }

    /// The server of a name.
    pub fn find(&self, id: &NodeId) -> Option<u32> {
        self.in_use().find(|(_, node)| node.id.get() == Some(id)).map(|(number, _)| number)
    }

    /// Where a server is.
    pub fn address(&self, node: u32) -> Option<&Address> {
        self.get(node).map(|node| &node.address)
    }

    /// Whether there is one at an address.
    pub fn has(&self, address: &Address) -> bool {
        self.by_address.contains_key(address)
    }

    /// Where all of them are that answer.
    pub fn addresses(&self) -> Vec<Address> {
        let answers = |(_, node): &(u32, &Node)| node.health == Health::Answers;
        self.in_use().filter(answers).map(|(_, node)| node.address.clone()).collect()
    }

    /// Whether calls wait for a server that lost its connection and has not answered since.
    pub fn any_is_down(&self) -> bool {
        self.in_use().any(|(_, node)| node.health == Health::Lost && !node.under_way.is_zero())
    }

    /// A part of a call is about to be sent to a server that does not have the slot yet, which is kept for that.
    pub fn ask(&mut self, number: u32) -> Destination {
        let asked = self.get_mut(number).map(|node| node.asked.take());
        asked.map_or(Destination::Owner, |asked| Destination::Asked { node: number, asked })
    }

    /// It is not any more.
    pub fn asked(&mut self, destination: Destination) {
        if let Destination::Asked { node, asked } = destination {
            match self.get_mut(node) {
                Some(node) => node.asked.give_back(asked),
                None => asked.forget(),
            }
        }
    }

    /// What was sent to a server has come back, which says so of its health, if anything.
    pub fn came_back(&mut self, number: u32, counted: Counted, health: Option<Health>) {
        match self.nodes.get_mut(number as usize) {
            Some(State::InUse(node)) => {
                node.under_way.give_back(counted);
                if let Some(health) = health {
                    (node.health, node.silent_at) = (health, None);
                    node.is_silent &= health != Health::Answers;
                }
            }
            Some(state @ State::Leaving(_)) => {
                if let State::Leaving(under_way) = state {
                    under_way.give_back(counted);
                    if under_way.is_zero() {
                        *state = State::Gone;
                    }
                }
            }
            Some(State::Gone) | None => counted.forget(),
        }
    }

    /// Hands everything to the connections. A server that gives nothing back for so long counts as silent.
    pub fn flush(&mut self, effects: &mut Vec<Effect>, now: Instant, silence: Duration) {
        for (number, state) in self.nodes.iter_mut().enumerate() {
            let State::InUse(node) = state else { continue };
            if !node.to_send.is_empty() {
                // The next ones are about as many.
                let next = Vec::with_capacity(node.to_send.len());
                effects.push(Effect::Send { node: number as u32, parts: mem::replace(&mut node.to_send, next) });
            }
            if !node.under_way.is_zero() {
                node.silent_at.get_or_insert(now + silence);
            }
        }
    }

    /// Whether any server has become silent, or is after as long again.
    pub fn any_is_silent(&mut self, now: Instant) -> bool {
        let mut any = false;
        for state in &mut self.nodes {
            if let State::InUse(node) = state
                && let Some(at) = node.silent_at
                && at <= now
            {
                node.silent_at = None;
                node.is_silent = !node.under_way.is_zero();
                any |= node.is_silent;
            }
        }
        any
    }

    /// Whether any server is silent.
    pub fn has_silent(&self) -> bool {
        self.in_use().any(|(_, node)| node.is_silent)
    }

    /// Whether a server is silent, and only sent what is for slots that it has: what it owes for others may be asked elsewhere.
    pub fn is_silent(&self, number: u32) -> bool {
        self.get(number).is_some_and(|node| node.is_silent && node.asked.is_zero())
    }

    /// When one does.
    pub fn next_moment(&self) -> Option<Instant> {
        self.in_use().filter_map(|(_, node)| node.silent_at).min()
    }

    /// Lets go of all servers but these, and of those that are asked for keys on their way.
    pub fn keep(&mut self, owners: &[u32], effects: &mut Vec<Effect>) {
        let leaves = |(number, node): &(u32, &Node)| node.asked.is_zero() && !owners.contains(number);
        let leaving: Vec<u32> = self.in_use().filter(leaves).map(|(number, _)| number).collect();
        for number in leaving {
            self.let_go(number, effects);
        }
    }

    /// Whether nothing is under way.
    #[cfg(test)]
    pub fn is_at_rest(&self) -> bool {
        self.nodes.iter().all(|state| match state {
            State::InUse(node) => node.under_way.is_zero() && node.asked.is_zero() && node.to_send.is_empty(),
            State::Leaving(_) => false,
            State::Gone => true,
        })
    }
}
