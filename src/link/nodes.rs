//! The servers of a cluster that have slots or are about to get some, each with a connection of its own.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use super::{Inbox, Request, Route, Target, connection, io_thread};
use crate::config::{Address, Topology};

/// The servers in use. Their numbers are never used twice.
pub struct Nodes {
    /// What every server's target is made of.
    target: Target,
    /// By number; `None` is one that is gone.
    nodes: Vec<Option<Node>>,
    by_address: HashMap<Address, u32>,
}

struct Node {
    address: Address,
    inbox: Arc<Inbox>,
    /// To be sent together.
    outbox: Vec<Request>,
    /// Parts of calls that were asked to go here although the slot is still elsewhere.
    asked: u32,
    /// Parts of calls that were sent and have not come back.
    under_way: usize,
    /// The connection was lost, and nothing has been answered since.
    down: bool,
}

impl Nodes {
    /// No servers yet.
    pub fn new(target: &Target) -> Self {
        Self { target: node_target(target), nodes: Vec::new(), by_address: HashMap::new() }
    }

    /// New settings, for servers that are met from now on.
    pub fn settings(&mut self, target: &Target) {
        self.target = node_target(target);
    }

    /// The server at an address; connects to it when it is new.
    pub fn at(&mut self, address: Address) -> u32 {
        if let Some(node) = self.by_address.get(&address) {
            return *node;
        }
        let inbox = Arc::new(Inbox::default());
        let mut target = self.target.clone();
        target.settings.address = address.clone();
        let task_inbox = inbox.clone();
        // The thread runs: we are on it.
        let _ = io_thread::spawn(move || connection::supervise(target.clone(), task_inbox.clone()));
        let node = self.nodes.len() as u32;
        self.by_address.insert(address.clone(), node);
        self.nodes.push(Some(Node { address, inbox, outbox: Vec::new(), asked: 0, under_way: 0, down: false }));
        node
    }

    /// Where a server is.
    pub fn address(&self, node: u32) -> Option<Address> {
        self.nodes.get(node as usize)?.as_ref().map(|node| node.address.clone())
    }

    /// Where all of them are.
    pub fn addresses(&self) -> Vec<Address> {
        self.nodes.iter().flatten().filter(|node| !node.down).map(|node| node.address.clone()).collect()
    }

    /// Whether calls wait for a server that lost its connection and has not answered since.
    pub fn any_is_down(&self) -> bool {
        self.nodes.iter().flatten().any(|node| node.down && node.under_way > 0)
    }

    /// Takes a part of a call along at the next flush. One for a server that is gone comes back by itself.
    pub fn send(&mut self, part: Request) {
        if let Some(node) = part.route.as_ref().and_then(|route| self.get_mut(route.node)) {
            node.under_way += 1;
            node.outbox.push(part);
        }
    }

    /// A part of a call is about to be sent to a server that does not have the slot yet.
    pub fn asks(&mut self, node: u32) {
        if let Some(node) = self.get_mut(node) {
            node.asked += 1;
        }
    }

    /// A part of a call is not under way any more.
    pub fn came_back(&mut self, route: &Route) {
        if let Some(node) = route.asking.and_then(|node| self.get_mut(node)) {
            node.asked -= 1;
        }
    }

    /// What was sent to a server has come back: answered, or because its connection was `lost`.
    pub fn heard(&mut self, route: &Route, lost: bool) {
        if let Some(node) = self.get_mut(route.node) {
            node.under_way -= 1;
            node.down = lost;
        }
    }

    fn get_mut(&mut self, node: u32) -> Option<&mut Node> {
        self.nodes.get_mut(node as usize)?.as_mut()
    }

    /// Hands everything to the connections.
    pub fn flush(&mut self) {
        for node in self.nodes.iter_mut().flatten().filter(|node| !node.outbox.is_empty()) {
            let outbox = &mut node.outbox;
            node.inbox.change(|state| match state.requests.is_empty() {
                true => state.requests = mem::take(outbox),
                false => state.requests.append(outbox),
            });
        }
    }

    /// Lets go of all servers but these, and of those that are asked for keys on their way.
    pub fn keep(&mut self, owners: &[u32]) {
        self.flush();
        for (number, place) in self.nodes.iter_mut().enumerate() {
            let leaves = |node: &mut Node| node.asked == 0 && !owners.contains(&(number as u32));
            if let Some(node) = place.take_if(leaves) {
                node.inbox.change(|state| state.closed = true);
                self.by_address.remove(&node.address);
            }
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in self.nodes.iter().flatten() {
            node.inbox.change(|state| state.closed = true);
        }
    }
}

/// What is the same for all servers.
fn node_target(target: &Target) -> Target {
    let mut node = target.clone();
    (node.settings.topology, node.settings.database, node.is_node) = (Topology::Single, 0, true);
    node
}
