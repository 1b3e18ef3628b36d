//! A Redis Cluster: a router that sends each call to the server that has its slot, over one batched connection per server.
//! And shards behind one address, to which it sends the parts of calls as to a cluster of one server.
//!
//! What a server cannot answer comes back and is sent again: where it was redirected to, or to the node that has the slot when
//! the map has been read anew. Until everything that is under way for a slot has come back, what follows for the same
//! slot waits, so that the order per key is kept.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use slab::Slab;

use super::credit::Credit;
use super::nodes::Nodes;
use super::slot_table::SlotTable;
use super::split_call::{Returns, SplitCall};
use super::topology::{Map, Owner, Range, fetch, read_redirect};
use crate::config::Address;
use crate::error::StoreError;
use crate::error_texts::connections as texts;
use crate::store::cluster_steps::steps;
use crate::store::execution_order::Order;
use crate::store::keys::Role;
use crate::store::slot::{SLOTS, slot_of, tag_of};
use crate::store::{Call, Position, Reply};
use crate::transport::applied::{Applied, Delivery};
use crate::transport::backoff::Backoff;
use crate::transport::error::ConnectError;
use crate::transport::handover::{Handover, Learnt};
use crate::transport::inbox::Inbox;
use crate::transport::node_id::NodeId;
use crate::transport::pending_calls::{PendingCall, deliver};
use crate::transport::request::{ClusterRoute, Finished, Redirect, Request};
use crate::transport::retry_policy::poison_pause;
use crate::transport::target::Target;
use crate::transport::timer::Timer;
use crate::transport::warning::Warning;

/// The pause before something is sent again that no server could take.
const PAUSE: Duration = Duration::from_millis(50);
/// Redirections in a row after which there is a pause before the next one.
const MOVES_WITHOUT_PAUSE: u32 = 4;
/// The shortest time between two readings of the map.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
/// And the longest while something is amiss.
const MAX_INTERVAL: Duration = Duration::from_millis(400);

/// The parts of a call, as the lowest bits of a token.
const ROLES: [Role; 3] = [Role::Execution, Role::Transactions, Role::Results];
const WHOLE: usize = ROLES.len();

/// How long a map is not believed that names no node that was known before. Then there is no other: the cluster was set up
/// anew.
const STALE_EPOCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs one cluster until its last handle is dropped and nothing is pending.
pub async fn route(target: Target, inbox: Arc<Inbox>) {
    Router::new(target, inbox).run().await;
}

/// Runs what is several shards behind one address, with the calls that were pending when that turned out.
pub async fn route_shards(handover: Handover, inbox: Arc<Inbox>) {
    let Handover { target, learnt, pending, next_sequence } = handover;
    let address = target.settings.address.clone();
    let nodes = Nodes::new(&target, &learnt);
    let mut router = Router { sharded: true, map_wanted: false, next_sequence, nodes, ..Router::new(target, inbox) };
    let node = router.nodes.at(Owner { address, id: None });
    router.slots.give(0, (SLOTS - 1) as u16, node);
    let now = Instant::now();
    for PendingCall { request, sequence, deadline, .. } in pending {
        let index = router.calls.insert(SplitCall::new(request, sequence, deadline));
        router.start(index, now);
    }
    router.run().await;
}

type MapBeingRead = Pin<Box<dyn Future<Output = Result<Map, ConnectError>> + Send>>;

/// What became of a part of a call, the times it was sent, and the position of its answer.
type PartOutcome = (Result<Reply, Box<StoreError>>, Delivery, Option<Position>);

struct Router {
    target: Target,
    inbox: Arc<Inbox>,
    /// What the servers' connections hand back.
    returns: Arc<Returns>,
    calls: Slab<SplitCall>,
    slots: SlotTable,
    order: Order,
    nodes: Nodes,
    /// All slots are at one address: there is no map.
    sharded: bool,
    /// The map is being read.
    map: Option<MapBeingRead>,
    map_wanted: bool,
    /// The nodes that the last map named.
    known: Arc<[NodeId]>,
    /// Since when there is only a map of nodes that were not known before.
    foreign_since: Option<Instant>,
    credit: Credit,
    map_not_before: Instant,
    backoff: Backoff,
    /// The map was read with the target's settings, so that they are complete.
    proven: bool,
    connect_error: ConnectError,
    finished: Vec<Finished>,
    /// Warnings of the servers' connections, until there is a call whose sink takes them.
    warnings: Vec<Warning>,
    closed: bool,
    next_sequence: u64,
    /// Scratch.
    key: Vec<u8>,
    alarm: Timer,
}

impl Router {
    fn new(target: Target, inbox: Arc<Inbox>) -> Self {
        Self {
            connect_error: ConnectError::connecting(&target.settings.address),
            nodes: Nodes::new(&target, &Learnt::default()),
            target,
            inbox,
            returns: Arc::default(),
            calls: Slab::new(),
            slots: SlotTable::new(),
            order: Order::default(),
            sharded: false,
            map: None,
            map_wanted: true,
            known: Arc::default(),
            foreign_since: None,
            credit: Credit::default(),
            map_not_before: Instant::now(),
            backoff: Backoff::default(),
            proven: false,
            finished: Vec::new(),
            warnings: Vec::new(),
            closed: false,
            next_sequence: 0,
            key: Vec::new(),
            alarm: Timer::new(),
        }
    }

    async fn run(&mut self) {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.drain_inbox(now);
                self.take_back(now);
                self.read_map(cx, now);
                self.release(now);
                self.expire(now);
                self.nodes.flush();
                deliver(&mut self.finished);
                if self.closed && self.calls.is_empty() {
                    self.nodes.closer = self.inbox.closer();
                    return Poll::Ready(());
                }
                let map_at = (self.map_wanted && self.map.is_none()).then_some(self.map_not_before);
                let moment = self.slots.next_moment().into_iter().chain(map_at).min();
                if self.alarm.sleep_until(cx, moment) && self.register_waker(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Takes the calls that have arrived.
    fn drain_inbox(&mut self, now: Instant) {
        for request in self.inbox.take(&mut self.closed) {
            let deadline = request.deadline(self.target.command_timeout, now);
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            let index = self.calls.insert(SplitCall::new(request, sequence, deadline));
            self.start(index, now);
        }
    }

    /// The slot of one of a call's keys.
    fn slot(&mut self, call: &Call, role: Role) -> u16 {
        self.key.clear();
        call.key(role).append_to(&mut self.key);
        slot_of(&self.key)
    }

    /// Sends a call, whole if a tag keeps its keys together: an execution's keys have the same one, or none.
    fn start(&mut self, index: usize, now: Instant) {
        let entry = &mut self.calls[index];
        if self.order.waits(&entry.request.call, index) {
            return;
        }
        let mut call = mem::replace(&mut entry.request.call, Call::empty());
        let slot = self.slot(&call, call.operation.role());
        if tag_of(&self.key).is_none() {
            call.drop_prefetch();
            if let Some(steps) = steps(&call) {
                let staged = steps.len() > 1;
                if staged {
                    self.order.begin(&call);
                }
                let entry = &mut self.calls[index];
                (entry.request.call, entry.staged, entry.steps) = (call, staged, steps);
                self.step(index, now);
                return;
            }
        }
        let part = self.part(index, call, WHOLE, slot);
        self.calls[index].left = 1;
        self.dispatch(part, now);
    }

    /// Sends the next parts of a call that is taken apart.
    fn step(&mut self, index: usize, now: Instant) {
        let Some((step, rest)) = self.calls[index].steps.split_first() else { return };
        (self.calls[index].steps, self.calls[index].left) = (rest, step.len());
        for role in *step {
            let call = self.calls[index].request.call.part(*role);
            let slot = self.slot(&call, *role);
            let part = self.part(index, call, *role as usize, slot);
            self.dispatch(part, now);
        }
        if rest.is_empty() {
            self.unstage(index, now);
        }
    }

    fn part(&mut self, index: usize, call: Call, which: usize, slot: u16) -> Request {
        let entry = &mut self.calls[index];
        entry.request.delivery.sent();
        let SplitCall { sequence, deadline, before, .. } = *entry;
        let environment = entry.request.sink.clone();
        let mut request = Request::new(call, (index << 2 | which) as u32, self.returns.clone());
        request.delivery = before;
        let sharded = self.sharded;
        request.route = Some(ClusterRoute {
            environment,
            sequence,
            deadline,
            slot,
            sharded,
            node: 0,
            asking: None,
            moves: 0,
            losses: 0,
            reason: None,
        });
        request
    }

    /// Lets go what waited for a commit's second step.
    fn unstage(&mut self, index: usize, now: Instant) {
        if !mem::take(&mut self.calls[index].staged) {
            return;
        }
        for held in self.order.end(&self.calls[index].request.call) {
            self.start(held, now);
        }
    }

    /// Sends a part, or holds it while its slot is unsettled.
    fn dispatch(&mut self, part: Request, now: Instant) {
        let Some(slot) = part.route.as_ref().map(|route| route.slot) else { return };
        match self.slots.node(slot) {
            Some(node) if !self.slots.is_held(slot) => return self.send(part, node, now),
            Some(_) => {}
            None => self.map_wanted = true,
        }
        self.slots.hold(part, now);
    }

    fn send(&mut self, mut part: Request, node: u32, now: Instant) {
        let Some(route) = &mut part.route else { return };
        if !self.nodes.has(node) {
            // It was to be asked for a key on its way, and has left the cluster since.
            (route.asking, self.map_wanted) = (None, true);
            return self.slots.hold(part, now + PAUSE);
        }
        route.node = node;
        self.slots.sent(route.slot);
        self.nodes.send(part);
    }

    /// Sends what was held for slots that are at rest.
    fn release(&mut self, now: Instant) {
        for part in self.slots.release(now) {
            let Some(route) = &part.route else { continue };
            if let Some(node) = route.asking.or(self.slots.node(route.slot)) {
                self.send(part, node, now);
            }
        }
    }

    /// Takes what the servers' connections have handed back.
    fn take_back(&mut self, now: Instant) {
        let (returned, warnings) = self.returns.take();
        self.warnings.extend(warnings);
        if let Some((_, entry)) = self.calls.iter().next().filter(|_| !self.warnings.is_empty()) {
            self.warnings.drain(..).for_each(|warning| entry.request.sink.warn(warning));
        }
        self.finished.reserve(returned.len());
        for Finished { mut request, outcome, position, redirect } in returned {
            let call = mem::replace(&mut request.call, Call::empty());
            let Some(mut route) = request.route.take() else { continue };
            self.slots.came_back(route.slot);
            self.nodes.came_back(&route);
            self.nodes.note_outcome(&route, matches!(redirect, Some(Redirect::Lost)));
            route.asking = None;
            let mut not_before = now;
            match redirect {
                None => self.credit.led_somewhere(),
                Some(_) => self.credit.led_nowhere(),
            }
            match redirect {
                // Done, but before something that was asked earlier for the same execution: it is done again behind that.
                None if self.slots.waits_before(route.slot, route.sequence, &call) => request.delivery.repeated(),
                None => {
                    self.take_charge(&mut request);
                    self.part_done(request.token, call, (outcome, request.delivery, position), now);
                    continue;
                }
                Some(Redirect::Elsewhere { ask, detail }) => {
                    let asked = self.nodes.address(route.node);
                    let node = asked
                        .and_then(|asked| read_redirect(&detail, &asked))
                        .map(|address| self.nodes.at(Owner { address, id: None }));
                    match (ask, node) {
                        (true, node) => route.asking = node,
                        (false, Some(node)) => self.slots.give(route.slot, route.slot, node),
                        (false, None) => {}
                    }
                    self.map_wanted |= !ask;
                    route.moves += 1;
                    if node.is_none() || route.moves % MOVES_WITHOUT_PAUSE == 0 {
                        not_before = now + PAUSE;
                    }
                }
                Some(Redirect::Later | Redirect::Lost) => {
                    self.map_wanted = true;
                    not_before = now + poison_pause(route.losses).unwrap_or(PAUSE);
                }
            }
            if let Err(error) = outcome {
                self.connect_error = ConnectError::Transient((*error).clone());
                route.reason = Some(error);
            }
            let mut part = Request::new(call, request.token, self.returns.clone());
            if let Some(node) = route.asking {
                self.nodes.asks(node);
            }
            (part.delivery, part.route) = (request.delivery, Some(route));
            self.slots.hold(part, not_before);
        }
    }

    /// The result of a part is the call's.
    fn take_charge(&mut self, part: &mut Request) {
        if let Some(entry) = self.calls.get_mut(part.token as usize >> 2) {
            entry.request.charge = part.charge.take().or(entry.request.charge.take());
        }
    }

    /// Notes what became of a part; when it was the last one, the call goes on or is over.
    fn part_done(&mut self, token: u32, call: Call, (outcome, delivery, position): PartOutcome, now: Instant) {
        let (index, which) = (token as usize >> 2, token as usize & 3);
        let Some(entry) = self.calls.get_mut(index) else { return };
        if which == WHOLE {
            (entry.request.call, entry.position) = (call, position);
        }
        entry.applied = entry.applied.max(match &outcome {
            Ok(_) => Applied::InPart,
            Err(_) => delivery.applied(),
        });
        match outcome {
            Ok(reply) if which == WHOLE || ROLES[which] == entry.request.call.operation.role() => {
                entry.reply = Some(reply)
            }
            Ok(_) => {}
            Err(error) => entry.failure = entry.failure.take().or(Some((error, delivery))),
        }
        entry.left -= 1;
        if entry.left > 0 {
            return;
        }
        if entry.failure.is_none() && !entry.steps.is_empty() {
            self.step(index, now);
            return;
        }
        self.unstage(index, now);
        let SplitCall { mut request, failure, reply, position, applied, .. } = self.calls.remove(index);
        let finished = match (failure, reply) {
            (None, Some(reply)) => request.finish(Ok(reply)).at(position),
            (Some((error, delivery)), _) => {
                request.delivery = Delivery::of_parts(delivery, applied);
                request.fail(*error)
            }
            (None, None) => request.fail(self.connect_error.error().clone()),
        };
        self.finished.push(finished);
    }

    /// Gives up what was held beyond its deadline.
    fn expire(&mut self, now: Instant) {
        if self.slots.is_overdue(now) {
            let connect_error = self.connect_error.clone();
            self.fail(|deadline| deadline <= now, &connect_error, now);
        }
    }

    /// Gives up what is held and has a deadline of this kind.
    fn fail(&mut self, over: impl Fn(Instant) -> bool, connect_error: &ConnectError, now: Instant) {
        for (mut request, route) in self.slots.take_out(over) {
            self.nodes.came_back(&route);
            request.route = Some(route.clone());
            let ClusterRoute { sequence, deadline, losses, reason, .. } = route;
            let pending = PendingCall { request, sequence, deadline, error_reply: reason, losses };
            let mut finished = match connect_error {
                ConnectError::Fatal(error) => pending.fail(error.clone()),
                ConnectError::Transient(_) => pending.expire(self.target.command_timeout, Some(connect_error.error())),
            };
            let call = mem::replace(&mut finished.request.call, Call::empty());
            let delivery = finished.request.delivery;
            self.part_done(finished.request.token, call, (finished.outcome, delivery, None), now);
        }
    }

    /// Reads the map when it is wanted, in the background and not too often.
    fn read_map(&mut self, cx: &mut Context<'_>, now: Instant) {
        if self.sharded {
            self.map_wanted = false;
            return;
        }
        if self.map.is_none() && self.map_wanted && self.map_not_before <= now {
            self.map_not_before = now + self.backoff.next().clamp(MIN_INTERVAL, MAX_INTERVAL);
            let (addresses, known) = (self.nodes.addresses(), self.known.clone());
            let discredited = self.credit.discredited();
            self.map = Some(Box::pin(fetch(self.target.clone(), self.proven, addresses, known, discredited)));
        }
        let Some(Poll::Ready(map)) = self.map.as_mut().map(|map| map.as_mut().poll(cx)) else { return };
        self.map = None;
        match map {
            Ok(map) if map.is_foreign && now < *self.foreign_since.get_or_insert(now) + STALE_EPOCH_TIMEOUT => {
                self.connect_error = ConnectError::Transient(texts::another_cluster().error());
            }
            Ok(Map { ranges, nodes, settings, source, .. }) => {
                self.foreign_since = None;
                self.credit.taken(source);
                self.known = nodes.into();
                (self.target.settings, self.proven) = (settings, true);
                self.draw(ranges);
                // While a server that has slots does not answer, somebody may be about to take its place; and somebody has
                // to get the slots that no node has.
                self.map_wanted = self.nodes.any_is_down() || self.slots.any_is_unserved();
                if !self.map_wanted {
                    self.backoff.reset();
                }
            }
            Err(connect_error) => {
                if matches!(connect_error, ConnectError::Fatal(_)) {
                    self.map_wanted = false;
                    self.fail(|_| true, &connect_error, now);
                }
                self.connect_error = connect_error;
            }
        }
    }

    fn draw(&mut self, ranges: Vec<Range>) {
        self.nodes.settings(&self.target, self.known.clone());
        self.slots.clear();
        let mut owners = Vec::new();
        for (first, last, owner) in ranges {
            // A node whose address the cluster does not name now is tried at its last one.
            let lost = matches!(owner.address, Address::Tcp(_, 0));
            let node = if lost { owner.id.and_then(|id| self.nodes.find(&id)) } else { Some(self.nodes.at(owner)) };
            let Some(node) = node else { continue };
            owners.push(node);
            self.slots.give(first, last, node);
        }
        self.nodes.keep(&owners);
    }

    /// Leaves word to be woken; false when something has come in the meantime.
    fn register_waker(&self, cx: &Context<'_>) -> bool {
        self.inbox.register_waker(self.closed, cx) && self.returns.register_waker(cx)
    }
}

#[cfg(test)]
mod tests;
