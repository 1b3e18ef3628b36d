//! An attempt to connect: dialled, and shaken hands with in the real handshake's words.

use std::time::Instant;

use redis::Value;

use super::network::Arrival;
use super::plan::Dial;
use super::world::World;
use crate::transport::connection::handshake::{Fences, Handshake, Name};
use crate::transport::connection::session::Opening;
use crate::transport::error::ConnectError;
use crate::transport::protocol::decode::Decoder;
use crate::transport::protocol::encode::Encoder;
use crate::transport::protocol::value_visitor::ValueVisitor;
use crate::transport::protocol::violation::ProtocolViolation;

/// An attempt that is under way.
pub struct Attempt {
    /// The connection, once there is one.
    pub connection: Option<u64>,
    /// When it is there, or refused; `None` when nobody ever answers.
    dialled_at: Option<Instant>,
    dial: Option<Dial>,
    deadline: Instant,
    handshake: Option<Handshake>,
    /// What is fenced off once the server has answered, because one of the connections is still listened to.
    fences: Option<Fences>,
    /// That is under way; the handshake brought this name.
    fencing: Option<Name>,
    decoder: Decoder,
    values: ValueVisitor,
    replies: Vec<Value>,
}

/// What has come of it.
pub enum Progress {
    /// Nothing has happened.
    None,
    /// Something has.
    Some,
    Failed(ConnectError),
    Connected(Opening),
}

impl Attempt {
    /// A new attempt, which fences off what has to be fenced off now.
    pub fn new(world: &mut World) -> Self {
        let dial = world.dial.map(|(dial, _)| dial);
        let latency = 2 * world.plan.conditions.latency;
        let dialled_at = match dial {
            Some(Dial::Lost) => None,
            Some(Dial::Slow) => Some(world.now + latency + world.random.millis(100, 4000)),
            _ => Some(world.now + latency),
        };
        let fences = world.machine.to_fence();
        let (at_once, fences) = if fences.one_is_used { (Vec::new(), Some(fences)) } else { (fences.identities, None) };
        Self {
            connection: None,
            dialled_at,
            dial,
            deadline: world.now + world.plan.connect_timeout,
            handshake: Some(Handshake::new(&world.target, &world.target.settings, &at_once)),
            fences,
            fencing: None,
            decoder: Decoder::new(),
            values: ValueVisitor::default(),
            replies: Vec::new(),
        }
    }

    /// When something happens to it, besides bytes.
    pub fn next_at(&self) -> Instant {
        let dialled_at = self.dialled_at.filter(|_| self.connection.is_none());
        dialled_at.map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// Goes on with it.
    pub fn progress(&mut self, world: &mut World) -> Progress {
        let lost = |violation: ProtocolViolation| Progress::Failed(ConnectError::lost(&violation.to_string()));
        let mut any = false;
        match self.connection {
            None if self.dialled_at.is_some_and(|at| at <= world.now) => {
                if self.dial == Some(Dial::Refused) || world.down_until.is_some() {
                    let refused = std::io::ErrorKind::ConnectionRefused.into();
                    return Progress::Failed(ConnectError::dial(&refused, &world.target.settings.address));
                }
                let id = world.accept();
                self.connection = Some(id);
                let (now, conditions) = (world.now, world.plan.conditions);
                if self.dial == Some(Dial::MaxClients) {
                    let words = b"-ERR max number of clients reached\r\n";
                    let World { connections, random, .. } = world;
                    if let Some(connection) = connections.last_mut() {
                        connection.to_client.push(words, now, &conditions, random);
                        connection.to_client.end(now, &conditions);
                        connection.server_open = false;
                    }
                }
                if let Some(handshake) =
                    self.handshake.take_if(|handshake| self.fences.is_none() && !handshake.comes_first())
                {
                    return Progress::Connected(Opening::Pipelined(handshake.pipeline));
                }
                let mut encoder = Encoder::default();
                encoder.pipeline(&self.handshake.as_ref().expect("it is there until it is over").pipeline);
                world.send(id, &encoder.bytes);
                any = true;
            }
            _ => {}
        }
        while let Some(id) = self.connection
            && let now = world.now
            && let Some(arrival) = world.connection(id).and_then(|connection| connection.to_client.pop(now))
        {
            let Arrival::Bytes(bytes) = arrival else { return Progress::Failed(ConnectError::closed()) };
            any = true;
            *world.heard.entry(id).or_default() += bytes.len() as u64;
            let handshake = self.handshake.as_ref().expect("it is there until it is over");
            let expected = match (&self.fencing, &self.fences) {
                (Some(_), Some(fences)) => fences.identities.len(),
                _ => handshake.pipeline.len(),
            };
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                if self.replies.len() == expected {
                    return lost(ProtocolViolation::Unsolicited);
                }
                match self.decoder.read(rest, &mut self.values) {
                    Err(violation) => return lost(violation),
                    Ok(progress) => {
                        rest = &rest[progress.used..];
                        self.replies.extend(self.values.take().filter(|_| progress.complete));
                    }
                }
            }
            if self.replies.len() < expected {
                continue;
            }
            let replies = std::mem::take(&mut self.replies);
            if let Some(name) = self.fencing.take() {
                return match Fences::read(&replies) {
                    Ok(()) => Progress::Connected(Opening::Greeted(name)),
                    Err(error) => Progress::Failed(error),
                };
            }
            match (handshake.read(&replies), &self.fences) {
                (Err(error), _) => return Progress::Failed(error),
                (Ok(greeted), Some(fences)) if !fences.identities.is_empty() => {
                    let mut encoder = Encoder::default();
                    encoder.pipeline(&fences.pipeline());
                    world.send(id, &encoder.bytes);
                    self.fencing = Some(greeted.name);
                }
                (Ok(greeted), _) => return Progress::Connected(Opening::Greeted(greeted.name)),
            }
        }
        if self.deadline <= world.now {
            return Progress::Failed(ConnectError::unresponsive(&world.target.settings.address));
        }
        if any { Progress::Some } else { Progress::None }
    }
}
