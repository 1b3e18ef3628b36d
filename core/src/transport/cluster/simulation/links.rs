//! The connections of nodes, at the level of what they give back to the router.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::servers::{self, Answer};
use super::world::{World, log};
use crate::store::server_features::{Refused, ServerFeatures};
use crate::store::{Call, ErrorReply, Reply};
use crate::transport::cluster::topology::NodeId;
use crate::transport::connection::refusal::{Refusal, decide};
use crate::transport::error::ConnectError;
use crate::transport::node_id::{ExpectedNode, are_related};
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::{Finished, Redirect, Request};

/// The connection of a node.
pub struct Link {
    /// The router's number.
    pub node: u32,
    /// The server whose address it leads to.
    pub server: usize,
    expected: ExpectedNode,
    state: State,
    /// Not sent.
    queue: Vec<PendingCall>,
    sent: VecDeque<Sent>,
    /// Sent over a connection that was lost, and carried out at this moment if no other one is made before.
    late: VecDeque<(Instant, Part)>,
    /// Nothing arrives before what was sent earlier.
    last: Instant,
    failures: u32,
    pub is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The attempt ends at this moment.
    Connecting(Instant),
    /// The next attempt begins at this moment.
    Pausing(Instant),
    Serving,
}

/// What arrives at a server.
#[derive(Clone)]
struct Part {
    sequence: u64,
    call: Call,
    asking: bool,
}

/// A part that was sent.
struct Sent {
    part: Part,
    /// `None` when it was given up.
    pending: Option<PendingCall>,
    way: Way,
}

enum Way {
    /// It arrives at this moment.
    There(Instant),
    /// The answer arrives at this moment.
    Back(Instant, Result<Reply, ErrorReply>, Rc<Cell<bool>>),
}

impl Sent {
    fn next_at(&self) -> Instant {
        match &self.way {
            Way::There(at) | Way::Back(at, ..) => *at,
        }
    }
}

impl Link {
    /// A connection that is being made.
    pub fn new(world: &mut World, node: u32, server: usize, expected: ExpectedNode) -> Self {
        let until = world.now + 2 * world.delay();
        Self {
            node,
            server,
            expected,
            state: State::Connecting(until),
            queue: Vec::new(),
            sent: VecDeque::new(),
            late: VecDeque::new(),
            last: world.now,
            failures: 0,
            is_closed: false,
        }
    }

    /// The router sends parts.
    pub fn send(&mut self, world: &mut World, parts: Vec<Request>) {
        let new = parts.into_iter().map(|part| PendingCall::new(part, 0, world.now));
        self.queue.extend(new);
        self.flush(world);
    }

    fn flush(&mut self, world: &mut World) {
        if self.state != State::Serving {
            return;
        }
        for mut pending in mem::take(&mut self.queue) {
            pending.request.delivery.sent();
            let asking = pending.request.route.as_ref().is_some_and(|route| route.asking);
            let part = Part { sequence: pending.sequence, call: pending.request.call.clone(), asking };
            self.last = self.last.max(world.now + world.delay());
            self.sent.push_back(Sent { part, pending: Some(pending), way: Way::There(self.last) });
        }
    }

    /// When something happens next.
    pub fn next_at(&self, world: &World) -> Option<Instant> {
        let state = match self.state {
            State::Connecting(at) | State::Pausing(at) => Some(at),
            State::Serving => None,
        };
        let is_still = world.nodes[self.server].paused_until.is_some();
        let moves = |sent: &&Sent| matches!(sent.way, Way::Back(..)) || !is_still;
        let arrives = self.sent.iter().filter(moves).map(Sent::next_at).min();
        let sent = self.sent.iter().filter_map(|sent| sent.pending.as_ref());
        let deadline = self.queue.iter().chain(sent).map(|pending| pending.deadline).min();
        let late = self.late.front().map(|(at, _)| *at).filter(|_| !is_still);
        [state, arrives, deadline, late].into_iter().flatten().min()
    }

    /// Does what is due. Whether there was any.
    pub fn progress(&mut self, world: &mut World) -> bool {
        let mut any = self.carry_out_late(world);
        any |= self.arrive(world);
        any |= self.expire(world);
        match self.state {
            State::Connecting(at) if at <= world.now => {
                self.connect(world);
                any = true;
            }
            State::Pausing(at) if at <= world.now => {
                self.state = State::Connecting(world.now + 2 * world.delay());
                any = true;
            }
            State::Connecting(_) | State::Pausing(_) | State::Serving => {}
        }
        any
    }

    fn connect(&mut self, world: &mut World) {
        let node = &world.nodes[self.server];
        let error = if node.stranger_until.is_some() {
            let stranger = NodeId::new("stranger");
            let is_taken = match self.expected.id.get() {
                Some(id) => *id == stranger,
                None => are_related(&[stranger], &self.expected.known),
            };
            assert!(!is_taken, "a server of another cluster is taken for one of this one");
            ConnectError::stranger(&node.address)
        } else if node.down_until.is_some() {
            ConnectError::dial(&std::io::ErrorKind::ConnectionRefused.into(), &node.address)
        } else if node.paused_until.is_some() {
            ConnectError::unresponsive(&node.address)
        } else if self.expected.id.get().is_some_and(|id| *id != node.id) {
            ConnectError::stranger(&node.address)
        } else {
            (self.state, self.failures) = (State::Serving, 0);
            // It has ended the connection before it.
            self.late.clear();
            log!(world, "node {} is connected to server {}", self.node, self.server);
            return self.flush(world);
        };
        self.failures += 1;
        let pause = Duration::from_millis(50 << self.failures.min(5));
        self.state = State::Pausing(world.now + pause);
        self.hand_back(world, &error);
    }

    /// What was not sent goes back.
    fn hand_back(&mut self, world: &mut World, error: &ConnectError) {
        let all = mem::take(&mut self.queue).into_iter();
        let lost = all.map(|pending| pending.hand_back(Redirect::Lost, error.error().clone()));
        world.returned.extend(lost);
    }

    /// The connection is lost. What was on its way may be carried out a little later, or never.
    pub fn lose(&mut self, world: &mut World) {
        if self.state != State::Serving {
            return;
        }
        log!(world, "node {} has lost its connection to server {}", self.node, self.server);
        let error = ConnectError::closed();
        let mut at = world.now;
        let mut arrives = true;
        let mut is_next = true;
        for Sent { part, pending, way } in mem::take(&mut self.sent) {
            if let Way::There(_) = way {
                arrives &= world.random.percent(60);
                at += world.random.millis(0, 200);
                if arrives && world.nodes[self.server].is_there() {
                    self.late.push_back((at, part));
                }
            }
            let Some(mut pending) = pending else { continue };
            pending.request.delivery.lost();
            pending.losses += u32::from(mem::take(&mut is_next));
            world.returned.push(pending.hand_back(Redirect::Lost, error.error().clone()));
        }
        self.hand_back(world, &error);
        self.state = State::Pausing(world.now + world.random.millis(0, 50));
    }

    /// The router wants back what it has sent for some slots. It is on its way all the same.
    pub fn recall(&mut self, world: &mut World, slots: &[u16]) {
        let error = ConnectError::unresponsive(&world.nodes[self.server].address);
        let is_meant =
            |pending: &mut PendingCall| pending.request.route.as_ref().is_some_and(|route| slots.contains(&route.slot));
        for sent in &mut self.sent {
            if let Some(mut pending) = sent.pending.take_if(is_meant) {
                pending.request.delivery.lost();
                world.returned.push(pending.hand_back(Redirect::Lost, error.error().clone()));
            }
        }
        let unsent = self.queue.extract_if(.., is_meant);
        world.returned.extend(unsent.map(|pending| pending.hand_back(Redirect::Lost, error.error().clone())));
    }

    /// The server ended: what was on its way is nowhere.
    pub fn forget_late(&mut self) {
        self.late.clear();
    }

    /// Whether an answer is on its way that tells of this being acknowledged.
    pub fn has_answers(&self) -> impl Iterator<Item = &Rc<Cell<bool>>> {
        self.sent.iter().filter_map(|sent| match &sent.way {
            Way::Back(_, _, acknowledged) => Some(acknowledged),
            Way::There(_) => None,
        })
    }

    /// The router closes the connection: what is on its way is carried out now or never, and everything comes back.
    pub fn close(&mut self, world: &mut World) {
        self.is_closed = true;
        self.lose(world);
        self.hand_back(world, &ConnectError::closed());
        if world.nodes[self.server].paused_until.is_none() {
            for (_, part) in mem::take(&mut self.late) {
                world.carry_out(self.server, &part.call, part.sequence, part.asking);
            }
        }
        self.late.clear();
    }

    fn carry_out_late(&mut self, world: &mut World) -> bool {
        let mut any = false;
        while world.nodes[self.server].paused_until.is_none()
            && let Some((_, part)) = self.late.pop_front_if(|(at, _)| *at <= world.now)
        {
            any = true;
            log!(world, "server {} gets late what node {} had sent", self.server, self.node);
            world.carry_out(self.server, &part.call, part.sequence, part.asking);
        }
        any
    }

    fn arrive(&mut self, world: &mut World) -> bool {
        let mut any = false;
        // The server takes what has come.
        for index in 0..self.sent.len() {
            if world.nodes[self.server].paused_until.is_some() {
                break;
            }
            let Sent { part, way: Way::There(at), .. } = &self.sent[index] else { continue };
            if *at > world.now {
                break;
            }
            any = true;
            let part = part.clone();
            let Answer { reply, acknowledged } = world.carry_out(self.server, &part.call, part.sequence, part.asking);
            self.last = self.last.max(world.now + world.delay());
            self.sent[index].way = Way::Back(self.last, reply, acknowledged);
        }
        // The router hears what has come back.
        while let Some(Sent { way: Way::Back(at, ..), .. }) = self.sent.front()
            && *at <= world.now
        {
            any = true;
            let Some(Sent { pending, way: Way::Back(_, reply, acknowledged), .. }) = self.sent.pop_front() else {
                break;
            };
            let Some(pending) = pending else { continue };
            match reply {
                Ok(reply) => {
                    acknowledged.set(true);
                    world.returned.push(pending.finish(Ok(reply)));
                }
                Err(error_reply) => self.refused(world, pending, error_reply),
            }
        }
        any
    }

    fn refused(&mut self, world: &mut World, pending: PendingCall, error_reply: ErrorReply) {
        let features = ServerFeatures::default();
        let refused = Refused { error_reply, at_first: false, sent_with: features };
        match decide(&pending, refused, &mut features.clone()) {
            Refusal::HandBack(redirect, error, scope) => {
                world.returned.push(pending.hand_back(redirect, error.clone()));
                if scope.is_some() {
                    let others = mem::take(&mut self.queue).into_iter();
                    world.returned.extend(others.map(|other| other.hand_back(Redirect::Later, error.clone())));
                }
            }
            Refusal::Report(error) => world.returned.push(pending.refuse(error)),
            other => panic!("a refusal that is not modelled: {other:?}"),
        }
    }

    fn expire(&mut self, world: &mut World) -> bool {
        let timeout = world.plan.command_timeout;
        let is_over = |pending: &mut PendingCall| pending.deadline <= world.now;
        let mut over: Vec<PendingCall> = self.queue.extract_if(.., is_over).collect();
        for sent in &mut self.sent {
            over.extend(sent.pending.take_if(|pending| pending.deadline <= world.now));
        }
        let any = !over.is_empty();
        let expired = over.into_iter().map(|pending| pending.expire(timeout, None));
        world.returned.extend(expired.collect::<Vec<Finished>>());
        any
    }
}

impl World {
    /// A server carries a part of a call out, or refuses it.
    fn carry_out(&mut self, server: usize, call: &Call, sequence: u64, asking: bool) -> Answer {
        let answer = servers::answer(&mut self.nodes, &self.moving, server, (call, asking), self.now, &mut self.random);
        log!(
            self,
            "server {server}: {:?} {:?} of call {sequence}, asking: {asking} -> {:?}",
            call.operation,
            call.only,
            answer.reply
        );
        if answer.reply.is_ok() {
            self.note_applied(sequence, call);
        }
        answer
    }
}
