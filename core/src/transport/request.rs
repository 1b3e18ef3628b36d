//! Calls on their way through the transport, and where they go when they are finished.

use std::sync::Arc;
use std::time::Instant;

use super::warning::Warning;
use crate::error::StoreError;
use crate::error_texts::calls as texts;
use crate::store::{Call, Position, Reply};

/// Where finished calls go. One per JavaScript environment.
pub trait CompletionSink: Send + Sync {
    /// Takes a batch of finished calls. Called on the I/O thread; must not block.
    fn deliver(&self, batch: Vec<Finished>);

    /// Tells of something that works and is likely wrong. Called on the I/O thread; must not block.
    fn warn(&self, warning: Warning);
}

/// Takes what tests have no use for.
#[cfg(test)]
pub(super) struct Nowhere;

#[cfg(test)]
impl CompletionSink for Nowhere {
    fn deliver(&self, _: Vec<Finished>) {}

    fn warn(&self, _: Warning) {}
}

/// A call on its way, with what is needed to hand its answer back. Dropping it unanswered answers it with an error.
pub struct Request {
    /// The call.
    pub call: Call,
    /// The sender's own name for the call.
    pub token: u32,
    pub(super) sink: Arc<dyn CompletionSink>,
    pub(super) answered: bool,
    /// Present when it is part of a call to a cluster.
    pub(super) route: Option<ClusterRoute>,
}

/// How a part of a call travels through a cluster.
#[derive(Clone)]
pub(super) struct ClusterRoute {
    /// The place of its call in the order in which the calls came.
    pub(super) sequence: u64,
    /// When it is given up.
    pub(super) deadline: Instant,
    /// The slot of its key.
    pub(super) slot: u16,
    /// All slots are behind one address, so that there is nowhere else to send it.
    pub(super) sharded: bool,
    /// The server it was last sent to.
    pub(super) node: u32,
    /// The server that needs `ASKING` first, because the slot is being migrated to it.
    pub(super) asking: Option<u32>,
    /// Whether it, or an earlier part of its call, may have been applied.
    pub(super) sent: bool,
    /// How often it was sent on.
    pub(super) moves: u32,
    /// How many connections ended while its answer was the next to come.
    pub(super) losses: u32,
    /// Why it came back last.
    pub(super) reason: Option<Box<StoreError>>,
}

/// Why a part of a call comes back from a server undone, to be sent again, perhaps to another one.
pub(super) enum Redirect {
    /// The slot belongs to another server, for good or (`ask`) for this key only.
    Elsewhere { ask: bool, detail: String },
    /// The cluster cannot serve the slot just now.
    Later,
    /// There is no connection.
    Lost,
}

impl Request {
    /// A request whose answer goes to `sink` under `token`.
    pub fn new(call: Call, token: u32, sink: Arc<dyn CompletionSink>) -> Self {
        Self { call, token, sink, answered: false, route: None }
    }

    pub(super) fn finish(mut self, outcome: Result<Reply, Box<StoreError>>) -> Finished {
        self.answered = true;
        Finished { request: self, outcome, position: None, redirect: None }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.answered {
            let error = texts::shut_down().error();
            let mut request = Request::new(self.call.clone(), self.token, self.sink.clone());
            request.route = self.route.take();
            self.sink.deliver(vec![request.finish(Err(Box::new(error)))]);
        }
    }
}

/// A call that is over.
pub struct Finished {
    /// What was asked.
    pub request: Request,
    /// What came of it.
    pub outcome: Result<Reply, Box<StoreError>>,
    /// The position of the answer; `None` where several connections have a part in it, or there is none.
    pub position: Option<Position>,
    /// Set when it has to be sent again.
    pub(super) redirect: Option<Redirect>,
}

impl Finished {
    /// The same, with the position of its answer.
    pub(super) fn at(self, position: Option<Position>) -> Self {
        Self { position, ..self }
    }

    /// Whether it brought more than its own answer.
    pub fn has_snapshot(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|reply| reply.snapshot.is_some())
    }
}
