//! The servers of a cluster that have slots or are about to get some, each with a connection of its own.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, OnceLock};

use super::topology::Owner;
use crate::config::{Address, Topology};
use crate::transport::closer::Closer;
use crate::transport::handover::Learnt;
use crate::transport::inbox::Inbox;
use crate::transport::node_id::{ExpectedNode, NodeId};
use crate::transport::request::{ClusterRoute, Request};
use crate::transport::target::{Member, Target};
use crate::transport::{connection, http, runtime};

/// The servers in use. Their numbers are never used twice.
pub struct Nodes {
    /// What every server's target is made of.
    target: Target,
    /// By number; `None` is one that is gone.
    nodes: Vec<Option<Node>>,
    /// The latest at each address.
    by_address: HashMap<Address, u32>,
    /// Who waits for all of them to have ended.
    pub closer: Option<Arc<Closer>>,
}

struct Node {
    address: Address,
    /// What the map calls it, once it does.
    id: Arc<OnceLock<NodeId>>,
    inbox: Arc<Inbox>,
    /// To be sent together.
    to_send: Vec<Request>,
    /// Parts of calls that were asked to go here although the slot is still elsewhere.
    asked: u32,
    /// Parts of calls that were sent and have not come back.
    under_way: usize,
    /// The connection was lost, and nothing has been answered since.
    down: bool,
}

impl Nodes {
    /// No servers yet.
    pub fn new(target: &Target, learnt: &Learnt) -> Self {
        Self { target: node_target(target, learnt), nodes: Vec::new(), by_address: HashMap::new(), closer: None }
    }

    /// New settings, for servers that are met from now on, and the nodes that the map names.
    pub fn settings(&mut self, target: &Target, known: Arc<[NodeId]>) {
        self.target = node_target(target, &Learnt::default());
        if let Member::Node(node) = &mut self.target.member {
            node.known = known;
        }
    }

    /// The server at an address; connects to it when it is new. A map may have two servers at one address for a while, of which
    /// one is not there any more.
    pub fn at(&mut self, Owner { address, id: named }: Owner) -> u32 {
        let Some(named) = named else {
            return self.by_address.get(&address).copied().unwrap_or_else(|| self.connect(address, None));
        };
        let is_it = |node: &Node| node.address == address && *node.id.get_or_init(|| named.clone()) == named;
        let known = self.nodes.iter().position(|node| node.as_ref().is_some_and(is_it));
        known.map_or_else(|| self.connect(address, Some(named)), |number| number as u32)
    }

    fn connect(&mut self, address: Address, id: Option<NodeId>) -> u32 {
        let inbox = Arc::new(Inbox::default());
        let id = Arc::new(id.map_or_else(OnceLock::new, OnceLock::from));
        let mut target = self.target.clone();
        target.settings.address = address.clone();
        if let Member::Node(node) = &mut target.member {
            node.id = id.clone();
        }
        let (task_inbox, abandoned) = (inbox.clone(), inbox.clone());
        // The thread runs: we are on it.
        let _ = runtime::spawn(move || serve(target.clone(), task_inbox.clone()), move || abandoned.abandon());
        let number = self.nodes.len() as u32;
        self.by_address.insert(address.clone(), number);
        self.nodes.push(Some(Node { address, id, inbox, to_send: Vec::new(), asked: 0, under_way: 0, down: false }));
        number
    }

    /// Lets go of a server. What was sent to it comes back by itself.
    fn let_go(&mut self, number: u32) {
        let Some(mut node) = self.nodes.get_mut(number as usize).and_then(Option::take) else { return };
        if self.by_address.get(&node.address) == Some(&number) {
            self.by_address.remove(&node.address);
        }
        let unsent = mem::take(&mut node.to_send);
        node.inbox.change(|state| {
            state.requests.extend(unsent);
            state.closed = true;
        });
    }

    /// The server of a name.
    pub fn find(&self, id: &NodeId) -> Option<u32> {
        let number = self.nodes.iter().position(|node| node.as_ref().is_some_and(|node| node.id.get() == Some(id)))?;
        Some(number as u32)
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

    /// Whether a server is still in use.
    pub fn has(&self, node: u32) -> bool {
        self.nodes.get(node as usize).is_some_and(Option::is_some)
    }

    /// Takes a part of a call along at the next flush, to a server that is in use.
    pub fn send(&mut self, part: Request) {
        if let Some(node) = part.route.as_ref().and_then(|route| self.get_mut(route.node)) {
            node.under_way += 1;
            node.to_send.push(part);
        }
    }

    /// A part of a call is about to be sent to a server that does not have the slot yet.
    pub fn asks(&mut self, node: u32) {
        if let Some(node) = self.get_mut(node) {
            node.asked += 1;
        }
    }

    /// A part of a call is not under way any more.
    pub fn came_back(&mut self, route: &ClusterRoute) {
        if let Some(node) = route.asking.and_then(|node| self.get_mut(node)) {
            node.asked -= 1;
        }
    }

    /// What was sent to a server has come back: answered, or because its connection was `lost`.
    pub fn note_outcome(&mut self, route: &ClusterRoute, lost: bool) {
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
        for node in self.nodes.iter_mut().flatten().filter(|node| !node.to_send.is_empty()) {
            let to_send = &mut node.to_send;
            node.inbox.change(|state| match state.requests.is_empty() {
                true => state.requests = mem::take(to_send),
                false => state.requests.append(to_send),
            });
        }
    }

    /// Lets go of all servers but these, and of those that are asked for keys on their way.
    pub fn keep(&mut self, owners: &[u32]) {
        let leaves = |(number, node): (usize, &Option<Node>)| {
            let leaves = node.as_ref().is_some_and(|node| node.asked == 0) && !owners.contains(&(number as u32));
            leaves.then_some(number as u32)
        };
        let leaving: Vec<u32> = self.nodes.iter().enumerate().filter_map(leaves).collect();
        for number in leaving {
            self.let_go(number);
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in self.nodes.iter().flatten() {
            node.inbox.change(|state| (state.closed, state.closer) = (true, self.closer.clone()));
        }
    }
}

/// What is the same for all servers.
fn node_target(target: &Target, learnt: &Learnt) -> Target {
    let mut node = target.clone();
    if let Topology::Cluster(_) = target.settings.topology {
        (node.settings.topology, node.settings.database) = (Topology::Single, 0);
        node.member = Member::Node(ExpectedNode::default());
    } else {
        node.member = Member::Shards(learnt.clone());
    }
    node
}

/// Runs the connection to what a router routes to.
async fn serve(target: Target, inbox: Arc<Inbox>) {
    // What is routed to is never handed over.
    let _ = match target.settings.topology {
        Topology::Upstash(_) => http::serve(target, inbox).await,
        _ => connection::driver::serve(target, inbox).await,
    };
}
