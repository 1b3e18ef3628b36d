//! The router, its callers, connections and servers, driven through simulated time as the driver drives the router through real
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::carried_out::says_maybe;
use super::faults::Event;
use super::links::Link;
use super::maps::Reading;
use super::plan::Plan;
use super::servers::{Moving, Node, View};
use crate::store::Operation;
use crate::store::keys::Role;
use crate::transport::backoff::Backoff;
use crate::transport::cluster::effect::Effect;
use crate::transport::cluster::router::{Config, Router};
use crate::transport::request::{CompletionSink, Finished, Request};
use crate::transport::result_budget::ResultBudget;
use crate::transport::simulation::callers::{self, OPERATIONS, Waiting, call_of};
use crate::transport::simulation::history::{History, Outcome, TASKS};
use crate::transport::simulation::random::Random;
use crate::transport::simulation::time::Timed;
use crate::transport::warning::Warning;

/// Times that the parts of one call may be sent in a second: every 50 ms four times, in three parts.
const MAX_SENT_IN_A_SECOND: u128 = 20 * 4 * 3;
/// After the faults, everything is well again within this time.
pub const RECOVERY: Duration = Duration::from_secs(12);

/// Everything.
pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub random: Random,
    pub plan: Plan,
    pub router: Router,
    pub nodes: Vec<Node>,
    /// Who has which slots, as all servers will have heard some time.
    pub truth: View,
    pub moving: Moving,
    /// What will happen.
    pub events: Vec<(Instant, Event)>,
    pub links: Vec<Link>,
    pub reading: Option<Reading>,
    /// When the map was read.
    pub readings: Vec<Instant>,
    /// What was read last was the map of another cluster.
    pub is_misled: bool,
    /// What the connections give back.
    pub returned: Vec<Finished>,
    pub history: History,
    /// Of each call, which parts were carried out.
    pub applied: BTreeSet<(u64, Option<Role>)>,
    /// How often parts of each call were sent.
    sent: BTreeMap<u64, u128>,
    pub waiting: Vec<Waiting>,
    pub next_fault: usize,
    pub closed: bool,
    pub is_healed: bool,
    pub log: Option<Vec<String>>,
    sink: Arc<Dropped>,
}

/// No part of a call is dropped.
struct Dropped;

impl CompletionSink for Dropped {
    fn deliver(&self, _: Vec<Finished>) {
        assert!(std::thread::panicking(), "a call or a part of one was dropped");
    }

    fn warn(&self, _: Warning) {}

    fn closed(&self, _: u32) {}

    fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
        None
    }
}

macro_rules! log {
    ($world:expr, $($argument:tt)*) => {
        if let Some(mut log) = $world.log.take() {
            let at = ($world.now - $world.start).as_secs_f64() * 1000.0;
            log.push(format!("{at:>10.3} ms  {}", format!($($argument)*)));
            $world.log = Some(log);
        }
    };
}
pub(super) use log;

impl World {
    /// The world of a seed, in which nothing has happened.
    pub fn new(seed: u64, start: Instant, logged: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random).with_slots_taken(&mut Random::new(!seed));
        let truth = View { version: 0, shares: (0..plan.shards).collect(), moved: BTreeMap::new() };
        let nodes: Vec<Node> = (0..2 * plan.shards).map(|number| Node::new(number, truth.clone())).collect();
        let sink = Arc::new(Dropped);
        let config =
            Config { command_timeout: plan.command_timeout, address: nodes[0].address.clone(), returns: sink.clone() };
        let waiting = callers::beginning(&plan.callers, start, &mut random);
        Self {
            start,
            now: start,
            router: Router::new(config, Backoff::default().seeded(random.next()), start),
            random,
            plan,
            nodes,
            truth,
            moving: Moving::new(),
            events: Vec::new(),
            links: Vec::new(),
            reading: None,
            readings: Vec::new(),
            is_misled: false,
            returned: Vec::new(),
            history: History::default(),
            applied: BTreeSet::new(),
            sent: BTreeMap::new(),
            waiting,
            next_fault: 0,
            closed: false,
            is_healed: false,
            log: logged.then(Vec::new),
            sink,
        }
    }

    /// How long something is on its way.
    pub fn delay(&mut self) -> Duration {
        self.random.millis(0, self.plan.latency)
    }

    fn progress_links(&mut self) -> bool {
        let mut any = false;
        let first = self.random.below(self.links.len() as u64) as usize;
        for offset in 0..self.links.len() {
            let index = (first + offset) % self.links.len();
            any |= self.with_link(index, Link::progress);
        }
        any
    }

    /// Does something with a connection.
    pub fn with_link<T>(&mut self, index: usize, change: impl FnOnce(&mut Link, &mut World) -> T) -> T {
        let mut link = self.links.swap_remove(index);
        let result = change(&mut link, self);
        self.links.push(link);
        let last = self.links.len() - 1;
        self.links.swap(index, last);
        result
    }

    fn give_back(&mut self) -> bool {
        let returned = std::mem::take(&mut self.returned);
        let any = !returned.is_empty();
        for finished in returned {
            self.router.returned(finished, self.now);
        }
        self.links.retain(|link| !link.is_closed);
        any
    }

    fn carry_out_effects(&mut self) -> bool {
        let effects = std::mem::take(self.router.effects());
        let any = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Open { node, address, expected } => {
                    let server = self.nodes.iter().position(|node| node.address == address).expect("a server");
                    log!(self, "node {node} is server {server}, or should be");
                    let link = Link::new(self, node, server, expected);
                    self.links.push(link);
                }
                Effect::Send { node, parts } => {
                    for part in &parts {
                        self.count(part);
                    }
                    let index = self.links.iter().position(|link| link.node == node).expect("an open connection");
                    self.with_link(index, |link, world| link.send(world, parts));
                }
                // Only told to who watches.
                Effect::Moved { .. } => {}
                Effect::Recall { node, slots } => {
                    log!(self, "what node {node} was sent for slots {slots:?} is to come back");
                    let index = self.links.iter().position(|link| link.node == node).expect("an open connection");
                    self.with_link(index, |link, world| link.recall(world, &slots));
                }
                Effect::Close { node } => {
                    log!(self, "node {node} is let go");
                    let index = self.links.iter().position(|link| link.node == node).expect("an open connection");
                    self.with_link(index, Link::close);
                }
                Effect::ReadMap { addresses, known, discredited } => {
                    log!(self, "the map is to be read");
                    assert!(self.reading.is_none(), "the map is being read already");
                    self.readings.push(self.now);
                    self.reading = Some(Reading::new(self, &addresses, known, discredited));
                }
                Effect::Warn { .. } => {}
            }
        }
        any
    }

    /// No call is sent too often.
    fn count(&mut self, part: &Request) {
        let Some(route) = &part.route else { return };
        let sent = self.sent.entry(route.sequence).or_default();
        *sent += 1;
        let most = (self.plan.command_timeout.as_millis() / 1000 + 1) * MAX_SENT_IN_A_SECOND;
        assert!(*sent <= most, "parts of call {} were sent {sent} times", route.sequence);
    }

    /// Makes the calls that are due.
    fn call(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.waiting.len() {
            let Waiting { caller, at, .. } = self.waiting[index];
            if at.is_none_or(|at| at > self.now) {
                continue;
            }
            self.waiting[index].at = None;
            if self.closed || self.history.records.len() >= self.plan.calls {
                continue;
            }
            any = true;
            for _ in 0..caller.burst {
                let operation = self.random.pick(&OPERATIONS);
                let token = self.make(caller.execution, operation);
                self.waiting[index].tokens.push(token);
            }
        }
        any
    }

    /// Makes one call.
    pub fn make(&mut self, execution: usize, operation: Operation) -> u32 {
        let task = self.random.below(TASKS as u64) as usize;
        let part = if self.plan.ragged && !self.is_healed { self.random.within(10, 100) } else { 100 };
        let deadline = self.now + self.plan.command_timeout * part as u32 / 100;
        let token = self.history.call(execution, operation, task, self.now, deadline);
        let record = &self.history.records[token as usize];
        let value = record.value;
        let call = call_of(record, self.plan.executions[execution].clone());
        log!(self, "call {token}: {operation:?} of execution {execution}, task {task}, value {value}");
        self.router.call(Request::new(call, token, self.sink.clone()), deadline);
        token
    }

    fn finish(&mut self) -> bool {
        let finished = std::mem::take(self.router.finished());
        let any = !finished.is_empty();
        for Finished { request, outcome, .. } in finished {
            let token = request.token;
            let outcome = match outcome {
                Ok(reply) => Outcome::Done(reply),
                Err(error) => Outcome::Failed { maybe: says_maybe(&error.message), message: error.message },
            };
            log!(self, "call {token} is over: {outcome:?}");
            self.check_applied(token, &request.call, &outcome);
            self.history.settle(token, outcome, self.now);
            callers::settled(&mut self.waiting, token, self.now, &mut self.random);
        }
        any
    }

    /// Drops the last handle.
    pub fn close(&mut self) {
        log!(self, "the last handle is dropped");
        self.closed = true;
        self.router.close();
    }

    /// The faults that are due, and what follows from earlier ones.
    fn events(&mut self) -> bool {
        let mut any = false;
        if self.plan.close_at.is_some_and(|at| self.start + at <= self.now) && !self.closed {
            self.close();
            any = true;
        }
        while !self.is_healed
            && let Some((at, fault)) = self.plan.faults.get(self.next_fault).copied()
            && self.start + at <= self.now
        {
            self.next_fault += 1;
            any = true;
            log!(self, "fault: {fault:?}");
            self.fault(fault);
        }
        while let Some(index) = self.events.iter().position(|(at, _)| *at <= self.now) {
            any = true;
            let (_, event) = self.events.remove(index);
            self.event(event);
        }
        any
    }
}

impl Timed for World {
    const MAX_MOMENTS: usize = 100_000;

    fn now(&mut self) -> &mut Instant {
        &mut self.now
    }

    fn round(&mut self) -> bool {
        let mut any = self.events();
        any |= self.call();
        any |= self.progress_links();
        any |= self.give_back();
        any |= self.read_map();
        self.router.advance(self.now);
        any |= self.carry_out_effects();
        any |= self.finish();
        any
    }

    fn check_moment(&mut self) {
        self.history.check_deadlines(self.now);
        if let Some(next) = self.router.next_moment() {
            assert!(next > self.now, "the router wants to be woken in the past, {:?} ago", self.now - next);
        }
        let open = self.links.iter().filter(|link| !link.is_closed).count();
        assert!(open <= 2 * self.nodes.len(), "{open} connections to {} servers", self.nodes.len());
    }

    fn next_moment(&mut self) -> Option<Instant> {
        let mut moments: Vec<Instant> = self.router.next_moment().into_iter().collect();
        moments.extend(self.links.iter().filter_map(|link| link.next_at(self)));
        moments.extend(self.reading.as_ref().and_then(Reading::next_at));
        moments
            .extend(self.plan.faults.get(self.next_fault).filter(|_| !self.is_healed).map(|(at, _)| self.start + *at));
        moments.extend(self.waiting.iter().filter_map(|waiting| waiting.at));
        moments.extend(self.events.iter().map(|(at, _)| *at));
        moments.extend(self.plan.close_at.filter(|_| !self.closed).map(|at| self.start + at));
        moments.into_iter().filter(|at| *at > self.now).min()
    }
}
