//! One direction of a connection: bytes that arrive later, in pieces, in their order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::transport::simulation::random::Random;

/// What a network does to bytes.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// How long bytes are on their way at least.
    pub latency: Duration,
    /// And how much longer at most.
    pub jitter: Duration,
    /// Of a hundred pieces, how many are cut into smaller ones.
    pub cuts: u64,
    /// Bytes that a sender may have on their way.
    pub window: usize,
}

/// Bytes on their way in one direction.
pub struct Pipe {
    /// When each piece arrives. An empty one is the end.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    last: Instant,
    /// Nothing arrives before this moment.
    stalled_until: Instant,
    bytes: usize,
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The other side has closed.
    End,
}

impl Pipe {
    /// With nothing on its way.
    pub fn new(now: Instant) -> Self {
        Self { pieces: VecDeque::new(), last: now, stalled_until: now, bytes: 0 }
    }

    /// Bytes on their way.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Sends bytes.
    pub fn push(&mut self, mut bytes: &[u8], now: Instant, conditions: &Conditions, random: &mut Random) {
        self.bytes += bytes.len();
        while !bytes.is_empty() {
            let mut length = bytes.len();
            if random.percent(conditions.cuts) {
                length = 1 + random.below(length.min(200) as u64) as usize;
            }
            let delay = conditions.latency + conditions.jitter.mul_f64(random.below(1000) as f64 / 1000.0);
            self.last = self.last.max(now + delay);
            self.pieces.push_back((self.last, bytes[..length].to_vec()));
            bytes = &bytes[length..];
        }
    }

    /// Closes it behind what is on its way.
    pub fn end(&mut self, now: Instant, conditions: &Conditions) {
        self.last = self.last.max(now + conditions.latency);
        self.pieces.push_back((self.last, Vec::new()));
    }

    /// Nothing arrives before this moment.
    pub fn stall(&mut self, until: Instant) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// What is on its way is lost.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
    }

    /// When the next piece arrives.
    pub fn next_at(&self) -> Option<Instant> {
        self.pieces.front().map(|(at, _)| (*at).max(self.stalled_until))
    }

    /// The next piece, if it has arrived.
    pub fn pop(&mut self, now: Instant) -> Option<Arrival> {
        self.next_at().filter(|at| *at <= now)?;
        let (_, piece) = self.pieces.pop_front()?;
        self.bytes -= piece.len();
        Some(if piece.is_empty() { Arrival::End } else { Arrival::Bytes(piece) })
    }
}
