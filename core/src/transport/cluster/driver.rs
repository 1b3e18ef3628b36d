//! Runs a router: carries calls, parts of calls, maps and time to and from the [`Router`] that decides what is done with them.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::effect::Effect;
use super::returns::Returns;
use super::router::{Belief, Config, Router};
use super::topology::{Map, fetch};
use crate::config::{Address, Settings, Topology};
use crate::transport::backoff::Backoff;
use crate::transport::closer::Closer;
use crate::transport::error::ConnectError;
use crate::transport::handover::{Handover, Learnt};
use crate::transport::inbox::{Idle, Inbox};
use crate::transport::node_id::ExpectedNode;
use crate::transport::observed::Observed;
use crate::transport::pending_calls::deliver;
use crate::transport::ping::Ping;
use crate::transport::request::Request;
use crate::transport::target::{Member, Target};
use crate::transport::timer::Timer;
use crate::transport::{connection, http, runtime};

/// Runs one cluster until its last handle is dropped and nothing is pending.
pub async fn route(target: Target, inbox: Arc<Inbox>) {
    let returns = Arc::<Returns>::default();
    let router = Router::new(config(&target, &returns), Backoff::default(), Instant::now());
    Driver::new(router, (target, Learnt::default()), inbox, returns).run().await;
}

/// Runs what is several shards behind one address, with the calls that were pending when that turned out.
pub async fn route_shards(handover: Handover, inbox: Arc<Inbox>) {
    let Handover { target, learnt, pending, next_sequence } = handover;
    let returns = Arc::<Returns>::default();
    let router = Router::of_shards(config(&target, &returns), pending, next_sequence);
    Driver::new(router, (target, learnt), inbox, returns).run().await;
}

fn config(target: &Target, returns: &Arc<Returns>) -> Config {
    Config {
        command_timeout: target.command_timeout,
        address: target.settings.address.clone(),
        returns: returns.clone(),
    }
}

type MapBeingRead = Pin<Box<dyn Future<Output = Result<(Map, Settings), ConnectError>> + Send>>;

struct Driver {
    router: Router,
    target: Target,
    /// What was learnt of shards behind one address.
    learnt: Learnt,
    /// The map was read with the target's settings, so that they are complete.
    proven: bool,
    inbox: Arc<Inbox>,
    /// What the connections hand back.
    returns: Arc<Returns>,
    connections: Connections,
    map: Option<MapBeingRead>,
    /// Those that wait for the map.
    pings: Vec<Ping>,
    /// The last handle was dropped.
    closed: bool,
    alarm: Timer,
}

impl Driver {
    fn new(router: Router, (target, learnt): (Target, Learnt), inbox: Arc<Inbox>, returns: Arc<Returns>) -> Self {
        let connections = Connections { inboxes: HashMap::new(), observed: inbox.observed.clone(), closer: None };
        let (pings, alarm) = (Vec::new(), Timer::new());
        Self {
            router,
            target,
            learnt,
            proven: false,
            inbox,
            returns,
            connections,
            map: None,
            pings,
            closed: false,
            alarm,
        }
    }

    async fn run(mut self) {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.drain_inbox(now);
                self.take_back(now);
                self.poll_map(cx, now);
                self.pass_pings(now);
                self.router.advance(now);
                self.carry_out();
                deliver(self.router.finished());
                if self.router.is_over() {
                    self.connections.closer = self.inbox.closer();
                    return Poll::Ready(());
                }
                // What has just begun to be read.
                if self.poll_map(cx, now) {
                    continue;
                }
                let moment = self.router.next_moment().into_iter().chain(self.ping_deadline()).min();
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
            self.router.call(request, deadline);
        }
        if self.closed {
            self.router.close();
        }
    }

    /// Takes what the servers' connections have handed back.
    fn take_back(&mut self, now: Instant) {
        let (returned, warnings) = self.returns.take();
        self.router.warned(warnings);
        self.router.finished().reserve(returned.len());
        returned.into_iter().for_each(|finished| self.router.returned(finished, now));
    }

    /// Goes on reading the map. True when it was read, or could not be.
    fn poll_map(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(Poll::Ready(read)) = self.map.as_mut().map(|map| map.as_mut().poll(cx)) else { return false };
        self.map = None;
        match read {
            Ok((map, settings)) => {
                if self.router.map_read(map, now) == Belief::Believed {
                    (self.target.settings, self.proven) = (settings, true);
                }
            }
            Err(error) => {
                self.inbox.observed.note_error(error.error());
                for ping in self.pings.drain(..) {
                    ping.answer(Err(error.error().clone()));
                }
                self.router.map_not_read(error);
            }
        }
        true
    }

    /// Passes pings on to all servers. Before there are any, they wait for the map.
    fn pass_pings(&mut self, now: Instant) {
        self.pings.extend(self.inbox.take_pings());
        for ping in mem::take(&mut self.pings) {
            if ping.deadline <= now {
                ping.expire(Some(self.router.connect_error().error()));
            } else if let Some(ping) = self.connections.ping(ping) {
                self.pings.push(ping);
                self.router.want_map();
            }
        }
    }

    /// When the first ping is given up that waits for the map.
    fn ping_deadline(&self) -> Option<Instant> {
        self.pings.iter().map(|ping| ping.deadline).min()
    }

    fn carry_out(&mut self) {
        for effect in self.router.effects().drain(..) {
            match effect {
                Effect::Open { node, address, expected } => {
                    self.connections.open(node, node_target(&self.target, &self.learnt, address, expected))
                }
                Effect::Send { node, parts } => self.connections.send(node, parts),
                Effect::Recall { node, slots } => self.connections.recall(node, slots),
                Effect::Close { node } => self.connections.close(node),
                Effect::ReadMap { addresses, known, discredited } => {
                    let map = fetch(self.target.clone(), self.proven, addresses, known, discredited);
                    self.map = Some(Box::pin(map));
                }
                Effect::Moved { from, to, told_by, slot } => self.inbox.observed.moved(from, to, told_by, slot),
                Effect::Warn { sink, warning } => sink.warn(warning),
            }
        }
    }

    /// Leaves word to be woken; false when something has come in the meantime.
    fn register_waker(&self, cx: &Context<'_>) -> bool {
        self.inbox.register_waker(self.closed, Idle::No, cx) && self.returns.register_waker(cx)
    }
}

/// The open connections, by the router's numbers.
struct Connections {
    inboxes: HashMap<u32, Arc<Inbox>>,
    observed: Arc<Observed>,
    /// Who waits for all of them to have ended.
    closer: Option<Arc<Closer>>,
}

impl Connections {
    fn open(&mut self, node: u32, target: Target) {
        let inbox = Inbox::new(self.observed.clone());
        let (task_inbox, abandoned) = (inbox.clone(), inbox.clone());
        // The thread runs: we are on it.
        let _ = runtime::spawn(move || serve(target.clone(), task_inbox.clone()), move || abandoned.abandon());
        self.inboxes.insert(node, inbox);
    }

    fn send(&self, node: u32, mut parts: Vec<Request>) {
        // Parts that are dropped come back by themselves.
        let Some(inbox) = self.inboxes.get(&node) else { return };
        inbox.change(|state| match state.requests.is_empty() {
            true => state.requests = mem::take(&mut parts),
            false => state.requests.append(&mut parts),
        });
    }

    /// Asks every server whether it is there. Without servers the ping comes back.
    fn ping(&self, ping: Ping) -> Option<Ping> {
        if self.inboxes.is_empty() {
            return Some(ping);
        }
        for (inbox, part) in self.inboxes.values().zip(ping.split(self.inboxes.len())) {
            inbox.change(|state| state.pings.push(part));
        }
        None
    }

    fn recall(&self, node: u32, slots: Vec<u16>) {
        if let Some(inbox) = self.inboxes.get(&node) {
            inbox.change(|state| state.recalled.extend(slots));
        }
    }

    fn close(&mut self, node: u32) {
        if let Some(inbox) = self.inboxes.remove(&node) {
            inbox.change(|state| state.closed = true);
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for inbox in self.inboxes.values() {
            inbox.change(|state| (state.closed, state.closer) = (true, self.closer.clone()));
        }
    }
}

/// What the connection of a node is made to.
fn node_target(target: &Target, learnt: &Learnt, address: Address, expected: ExpectedNode) -> Target {
    let mut node = target.clone();
    if let Topology::Cluster(_) = target.settings.topology {
        (node.settings.topology, node.settings.database) = (Topology::Single, 0);
        node.member = Member::Node(expected);
    } else {
        node.member = Member::Shards(learnt.clone());
    }
    node.settings.address = address;
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
