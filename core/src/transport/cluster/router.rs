//! A Redis Cluster as a state machine without connections, threads and clocks: a router that sends each call to the server that
//! has its slot. And shards behind one address, to which it sends the parts of calls as to a cluster of one server.
//!
//! It is told of calls, of parts of calls that come back, of maps that were read, and of the time; it says what is to be sent
//! where, which connections are to be opened and closed, when the map is to be read, when it wants to be told of the time
//! again, and which calls are over.
//!
//! What a server cannot answer comes back and is sent again: where it was redirected to, or to the node that has the slot when
//! the map has been read anew. Until everything that is under way for a slot has come back, what follows for the same
//! slot waits, so that the order per key is kept.

mod map;
mod returned;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

pub use map::Belief;

use super::effect::Effect;
use super::map_state::MapState;
use super::nodes::Nodes;
use super::slot_table::SlotTable;
use super::split_call::{Destination, PartState, PartToken, SplitCall, Stage, UnderWay, Which};
use super::topology::Owner;
use crate::config::Address;
use crate::error::StoreError;
use crate::store::cluster_steps::{Act, holds_back_all, steps};
use crate::store::execution_order::Order;
use crate::store::keys::Role;
use crate::store::slot::{SLOTS, slot_of, tag_of};
use crate::store::{Call, Position, Reply};
use crate::transport::applied::Delivery;
use crate::transport::backoff::Backoff;
use crate::transport::error::ConnectError;
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::{ClusterRoute, CompletionSink, Finished, Request};
use crate::transport::warning::Warning;

/// The pause before something is sent again that no server could take.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of a part of a call, the times it was sent, and the position of its answer.
type PartOutcome = (Result<Reply, Box<StoreError>>, Delivery, Option<Position>);

/// What does not change.
pub struct Config {
    /// Deadline of a call.
    pub command_timeout: Duration,
    /// The server that was configured first, for errors.
    pub address: Address,
    /// Where parts of calls go when they are dropped without having come back.
    pub returns: Arc<dyn CompletionSink>,
}

impl Config {
    /// How long a server may owe something and give nothing back, before the map is read: somebody may have taken its place.
    fn silence(&self) -> Duration {
        (self.command_timeout / 8).clamp(Duration::from_millis(250), Duration::from_secs(1))
    }
}

/// What calls are routed to.
enum Layout {
    /// The nodes of a cluster, of which a map says which slots they have.
    Cluster(MapState),
    /// Shards that are all behind one address: there is no map.
    Shards,
}

/// The state machine. See the module.
pub struct Router {
    config: Config,
    layout: Layout,
    calls: Slab<SplitCall>,
    slots: SlotTable,
    order: Order,
    /// The deadlines of the calls that wait in the order.
    waiting: BTreeSet<(Instant, usize)>,
    nodes: Nodes,
    /// The servers that have slots.
    owners: Vec<Address>,
    connect_error: ConnectError,
    finished: Vec<Finished>,
    effects: Vec<Effect>,
    /// Warnings of the servers' connections, until there is a call whose sink takes them.
    warnings: Vec<Warning>,
    /// The last handle was dropped.
    closed: bool,
    next_sequence: u64,
    /// Scratch.
    key: Vec<u8>,
}

impl Router {
    /// A router of a cluster of which nothing is known.
    pub fn new(config: Config, backoff: Backoff, now: Instant) -> Self {
        Self::with(config, Layout::Cluster(MapState::new(now, backoff)))
    }

    /// A router of shards, with the calls that were pending when that turned out, and the number of the next one.
    pub fn of_shards(config: Config, pending: Vec<PendingCall>, next_sequence: u64) -> Self {
        let address = config.address.clone();
        let mut router = Self::with(config, Layout::Shards);
        let node = router.nodes.at(Owner { address, id: None }, &mut router.effects);
        router.slots.give(0, (SLOTS - 1) as u16, node);
        for PendingCall { request, sequence, deadline, .. } in pending {
            let index = router.calls.insert(SplitCall::new(request, sequence, deadline));
            router.start(index);
        }
        router.next_sequence = next_sequence;
        router
    }

    fn with(config: Config, layout: Layout) -> Self {
        Self {
            connect_error: ConnectError::connecting(&config.address),
            config,
            layout,
            calls: Slab::new(),
            slots: SlotTable::new(),
            order: Order::default(),
            waiting: BTreeSet::new(),
            nodes: Nodes::default(),
            owners: Vec::new(),
            finished: Vec::new(),
            effects: Vec::new(),
            warnings: Vec::new(),
            closed: false,
            next_sequence: 0,
            key: Vec::new(),
        }
    }

    /// A call came.
    pub fn call(&mut self, request: Request, deadline: Instant) {
        let index = self.calls.insert(SplitCall::new(request, self.next_sequence, deadline));
        self.next_sequence += 1;
        self.start(index);
    }

    /// The last handle was dropped: no calls come any more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether there is nothing left to do.
    pub fn is_over(&self) -> bool {
        self.closed && self.calls.is_empty()
    }

    /// Why there is no server, if there is none.
    pub fn connect_error(&self) -> &ConnectError {
        &self.connect_error
    }

    /// A connection of a server warns of something.
    pub fn warned(&mut self, warnings: Vec<Warning>) {
        self.warnings.extend(warnings);
    }

    /// Time has passed: reads the map if it is to be, sends what may be sent, and gives up what is past its deadline.
    pub fn advance(&mut self, now: Instant) {
        self.warn();
        self.notice_silence(now);
        self.read_map(now);
        self.release(now);
        self.expire(now);
        self.nodes.flush(&mut self.effects, now, self.config.silence());
    }

    /// When time matters next.
    pub fn next_moment(&self) -> Option<Instant> {
        let map_at = match &self.layout {
            Layout::Cluster(map) => map.next_moment().into_iter().chain(self.nodes.next_moment()).min(),
            Layout::Shards => None,
        };
        let deadline = self.waiting.first().map(|(deadline, _)| *deadline);
        [self.slots.next_moment(), map_at, deadline].into_iter().flatten().min()
    }

    /// What is to be done.
    pub fn effects(&mut self) -> &mut Vec<Effect> {
        &mut self.effects
    }

    /// The calls that are over.
    pub fn finished(&mut self) -> &mut Vec<Finished> {
        &mut self.finished
    }

    /// Whether nothing is under way or held.
    #[cfg(test)]
    pub fn is_at_rest(&self) -> bool {
        self.slots.is_at_rest() && self.nodes.is_at_rest()
    }

    fn warn(&mut self) {
        if self.warnings.is_empty() {
            return;
        }
        if let Some((_, entry)) = self.calls.iter().next() {
            let sink = &entry.request.sink;
            let warn = |warning| Effect::Warn { sink: sink.clone(), warning };
            self.effects.extend(self.warnings.drain(..).map(warn));
        }
    }

    /// The slot of one of a call's keys.
    fn slot(&mut self, call: &Call, role: Role) -> u16 {
        self.key.clear();
        call.key(role).append_to(&mut self.key);
        slot_of(&self.key)
    }

    /// Sends a call, whole if a tag keeps its keys together: an execution's keys have the same one, or none.
    fn start(&mut self, index: usize) {
        let entry = &mut self.calls[index];
        if self.order.waits(&entry.request.call, index) {
            self.waiting.insert((entry.deadline, index));
            return;
        }
        let mut call = mem::replace(&mut entry.request.call, Call::empty());
        let slot = self.slot(&call, call.operation.role());
        if tag_of(&self.key).is_none() {
            call.drop_prefetch();
            if let Some(rest) = steps(&call) {
                let staged = (rest.len() > 1 || holds_back_all(&call)).then(|| self.order.begin(&call));
                let entry = &mut self.calls[index];
                entry.request.call = call;
                entry.stage = Stage::Split { rest, staged };
                self.step(index);
                return;
            }
        }
        self.calls[index].stage = Stage::Whole;
        let part = self.part(index, call, Which::Whole, slot);
        self.dispatch(part);
    }

    /// Sends the next parts of a call that is taken apart.
    fn step(&mut self, index: usize) {
        let Stage::Split { rest, .. } = &mut self.calls[index].stage else { return };
        let Some((step, behind)) = rest.split_first() else { return };
        *rest = behind;
        for (act, role) in *step {
            let call = self.calls[index].request.call.part_that(*act, *role);
            let slot = self.slot(&call, *role);
            let part = self.part(index, call, Which::Of(*role), slot);
            self.dispatch(part);
        }
        // What follows on that answer is not known yet.
        let goes_on = step.iter().any(|(act, _)| *act == Act::AskFirst) || self.calls[index].request.call.is_claim();
        if behind.is_empty() && !goes_on {
            self.unstage(index);
        }
    }

    fn part(&mut self, index: usize, call: Call, which: Which, slot: u16) -> Request {
        let entry = &mut self.calls[index];
        entry.request.delivery.sent();
        let SplitCall { sequence, deadline, before, .. } = *entry;
        let (environment, made_at) = (entry.request.sink.clone(), entry.request.made_at);
        let token = PartToken { index, which }.pack();
        let mut request = Request::made(made_at, call, token, self.config.returns.clone());
        request.delivery = before;
        request.route = Some(ClusterRoute {
            environment,
            sequence,
            deadline,
            slot,
            sharded: matches!(self.layout, Layout::Shards),
            asking: false,
            moves: 0,
            detours: 0,
            losses: 0,
            refusals: 0,
            reason: None,
        });
        request
    }

    /// Lets go what waited for a commit's second step.
    fn unstage(&mut self, index: usize) {
        let entry = &mut self.calls[index];
        let Stage::Split { staged, .. } = &mut entry.stage else { return };
        let Some(staged) = staged.take() else { return };
        for held in self.order.end(&entry.request.call, staged) {
            self.waiting.remove(&(self.calls[held].deadline, held));
            self.start(held);
        }
    }

    /// Where a part of a call is.
    fn state(&mut self, part: &Request) -> Option<&mut PartState> {
        let PartToken { index, which } = PartToken::unpack(part.token);
        Some(self.calls.get_mut(index)?.part(which))
    }

    /// Sends a part, or holds it while its slot is unsettled.
    fn dispatch(&mut self, part: Request) {
        let Some(slot) = part.route.as_ref().map(|route| route.slot) else { return };
        match self.slots.node(slot) {
            Some(node) if !self.slots.is_held(slot) && self.slots.may_go(slot, node) => {
                return self.send(part, node, Destination::Owner);
            }
            Some(_) => {}
            None => self.want_map(),
        }
        self.hold(part, Destination::Owner, None);
    }

    /// Holds a part until its slot is at rest, and not before a moment.
    fn hold(&mut self, part: Request, destination: Destination, not_before: Option<Instant>) {
        if let Some(state) = self.state(&part) {
            *state = PartState::Held(destination);
        }
        self.slots.hold(part, not_before);
    }

    fn send(&mut self, part: Request, node: u32, destination: Destination) {
        let token = PartToken::unpack(part.token);
        let Some(slot) = part.route.as_ref().map(|route| route.slot) else { return };
        if let Some(to) = self.nodes.get_mut(node) {
            let (of_node, of_slot) = (to.send(part), self.slots.sent(slot, node));
            let under_way = UnderWay { node, of_node, of_slot, destination };
            *self.calls[token.index].part(token.which) = PartState::UnderWay(under_way);
            return;
        }
        // The node has left the cluster: the next map says who has the slot.
        self.nodes.asked(destination);
        self.slots.take(slot);
        self.want_map();
        self.hold(part, Destination::Owner, None);
    }

    /// Sends what was held for slots that are at rest. What is for one slot goes to one node at a time, so that it is done in its
    /// order also where some of it is to ask a node that the slot is being migrated to.
    fn release(&mut self, now: Instant) {
        for mut part in self.slots.release(now) {
            let Some(state) = self.state(&part).map(mem::take) else { continue };
            let destination = match state {
                PartState::Held(destination) => destination,
                PartState::UnderWay(_) | PartState::Over => Destination::Owner,
            };
            let Some(route) = &mut part.route else { continue };
            let node = match &destination {
                Destination::Asked { node, .. } => Some(*node),
                Destination::Owner => self.slots.node(route.slot),
            };
            route.asking = matches!(destination, Destination::Asked { .. });
            let (slot, sequence) = (route.slot, route.sequence);
            let may_go =
                |node: &u32| self.slots.may_go(slot, *node) && !self.slots.waits_before(slot, sequence, &part.call);
            match node.filter(may_go) {
                Some(node) => self.send(part, node, destination),
                None => self.hold(part, destination, None),
            }
        }
    }

    /// Gives up what is past its deadline, and not with a connection, which does that itself.
    fn expire(&mut self, now: Instant) {
        if self.slots.is_overdue(now) {
            let connect_error = self.connect_error.clone();
            self.fail(|deadline| deadline <= now, &connect_error);
        }
        while let Some(&(deadline, index)) = self.waiting.first()
            && deadline <= now
        {
            self.waiting.pop_first();
            let SplitCall { request, sequence, deadline, .. } = self.calls.remove(index);
            self.order.give_up(&request.call, index);
            let pending = PendingCall::new(request, sequence, deadline);
            self.finished.push(pending.expire(self.config.command_timeout, None));
        }
    }

    /// Gives up what is held and has a deadline of this kind.
    fn fail(&mut self, over: impl Fn(Instant) -> bool, connect_error: &ConnectError) {
        for mut part in self.slots.take_out(over) {
            if let Some(PartState::Held(destination)) = self.state(&part).map(mem::take) {
                self.nodes.asked(destination);
            }
            let Some(route) = &mut part.route else { continue };
            let (deadline, error_reply) = (route.deadline, route.reason.take());
            let pending = PendingCall { error_reply, ..PendingCall::new(part, 0, deadline) };
            let finished = match connect_error {
                ConnectError::Fatal(error) => pending.fail(error.clone()),
                ConnectError::Transient(_) => pending.expire(self.config.command_timeout, Some(connect_error.error())),
            };
            let Finished { mut request, outcome, .. } = finished;
            let call = mem::replace(&mut request.call, Call::empty());
            let delivery = request.delivery;
            self.part_done(PartToken::unpack(request.token), call, (outcome, delivery, None));
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // The connections end as well: nothing comes back any more.
        self.calls.iter_mut().for_each(|(_, call)| call.forget_counts());
    }
}
