//! Calls on their way through the transport, and where they go when they are finished.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::applied::Delivery;
use super::event::Event;
use super::result_budget::{Charge, ResultBudget};
use super::warning::Warning;
use crate::error::StoreError;
use crate::error_texts::{append, calls as texts};
use crate::store::{Call, Position, Reply};

/// What is left at least of a call's time when it is queued.
const LATE_CHANCE: Duration = Duration::from_secs(1);

/// Where finished calls go. One per JavaScript environment.
pub trait CompletionSink: Send + Sync {
    /// Takes a batch of finished calls. Called on the I/O thread, or by whoever sends calls, while it does; must not block.
    fn deliver(&self, batch: Vec<Finished>);

    /// Tells of something that works and is likely wrong. Called on the I/O thread; must not block.
    fn warn(&self, warning: Warning);

    /// Tells what happened to a connection. Called on the I/O thread; must not block.
    fn event(&self, _: &Event) {}

    /// A connection that was closed under this token has ended.
    fn closed(&self, token: u32);

    /// How much its calls may bring before it takes it; `None` where that is not counted.
    fn result_budget(&self) -> Option<&Arc<ResultBudget>>;
}

/// Takes what tests have no use for.
#[cfg(test)]
pub(super) struct Nowhere;

#[cfg(test)]
impl CompletionSink for Nowhere {
    fn deliver(&self, _: Vec<Finished>) {}

    fn warn(&self, _: Warning) {}

    fn closed(&self, _: u32) {}

    fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
        None
    }
}

/// A call on its way, with what is needed to hand its answer back. Dropping it unanswered answers it with an error. It goes through
/// a dozen queues, so it is a box: what moves is a pointer.
pub struct Request(Box<RequestFields>);

/// What a [`Request`] consists of.
pub struct RequestFields {
    /// The call.
    pub call: Call,
    /// The sender's own name for the call.
    pub token: u32,
    /// When the call was made, on the sender's thread: its deadline counts from here.
    pub made_at: Instant,
    pub(super) sink: Arc<dyn CompletionSink>,
    pub(super) answered: bool,
    /// The times it was sent.
    pub(super) delivery: Delivery,
    /// When it was sent first.
    pub(super) sent_at: Option<Instant>,
    /// What its result takes of the environment's budget, if it is large.
    pub(super) charge: Option<Charge>,
    /// Present when it is part of a call to a cluster.
    pub(super) route: Option<ClusterRoute>,
}

/// How a part of a call travels through a cluster.
pub(super) struct ClusterRoute {
    /// What the call itself goes back to.
    pub(super) environment: Arc<dyn CompletionSink>,
    /// The place of its call in the order in which the calls came.
    pub(super) sequence: u64,
    /// When it is given up.
    pub(super) deadline: Instant,
    /// The slot of its key.
    pub(super) slot: u16,
    /// All slots are behind one address, so that there is nowhere else to send it.
    pub(super) sharded: bool,
    /// It is sent to a server that needs `ASKING` first, because the slot is being migrated to it.
    pub(super) asking: bool,
    /// How often it was sent on.
    pub(super) moves: u32,
    /// How often that was to an address that there was no connection to.
    pub(super) detours: u32,
    /// How many connections ended while its answer was the next to come.
    pub(super) losses: u32,
    /// How often servers have refused it in a row for now.
    pub(super) refusals: u32,
    /// Why it came back last.
    pub(super) reason: Option<Box<StoreError>>,
}

/// Why a part of a call comes back from a server undone, to be sent again, perhaps to another one.
#[derive(Debug)]
pub(super) enum Redirect {
    /// The slot belongs to another server, for good or (`ask`) for this key only.
    Elsewhere { ask: bool, detail: String },
    /// The cluster cannot serve the slot just now.
    Later,
    /// There is no connection.
    Lost,
}

impl Request {
    /// A request that is made now and whose answer goes to `sink` under `token`.
    pub fn new(call: Call, token: u32, sink: Arc<dyn CompletionSink>) -> Self {
        Self::made(Instant::now(), call, token, sink)
    }

    /// One that was made at this moment.
    pub(super) fn made(made_at: Instant, call: Call, token: u32, sink: Arc<dyn CompletionSink>) -> Self {
        let delivery = Delivery::default();
        let (answered, sent_at, charge, route) = (false, None, None, None);
        Self(Box::new(RequestFields { call, token, made_at, sink, answered, delivery, sent_at, charge, route }))
    }

    /// How often it was sent; in a cluster, the part of it that was sent most often.
    pub fn attempts(&self) -> u32 {
        self.delivery.attempts()
    }

    /// How long it waited before it was sent first.
    pub fn queued(&self) -> Option<Duration> {
        self.sent_at.map(|sent_at| sent_at.saturating_duration_since(self.made_at))
    }

    /// What the environment's calls may bring before it takes it.
    pub(super) fn budget(&self) -> Option<&Arc<ResultBudget>> {
        self.route.as_ref().map_or(&self.sink, |route| &route.environment).result_budget()
    }

    /// The budget that the answer counts against, if it may be large.
    pub(super) fn counted_by(&self) -> Option<&Arc<ResultBudget>> {
        self.budget().filter(|_| self.call.operation.reads_results())
    }

    /// Whether its answer may be asked for now.
    pub(super) fn is_within_budget(&self) -> bool {
        let expected = self.charge.as_ref().map_or(0, Charge::expected);
        self.counted_by().is_none_or(|budget| budget.admits(expected))
    }

    /// What the answer takes of the budget, if it counts.
    pub(super) fn charge(&mut self) -> Option<&mut Charge> {
        if self.charge.is_none() {
            self.charge = Some(Charge::new(self.counted_by()?.clone()));
        }
        self.charge.as_mut()
    }

    /// When the call is given up. It counts from when the call was made; one that was queued late, because its thread had no
    /// time, still gets a chance.
    pub(super) fn deadline(&self, timeout: Duration, now: Instant) -> Instant {
        (self.made_at + timeout).max(now + timeout.min(LATE_CHANCE))
    }

    /// Fails the call. The error of a write says whether it may have been applied; for part of a call, whoever puts the
    /// parts together says it.
    pub(super) fn fail(self, mut error: StoreError) -> Finished {
        if self.call.operation.writes()
            && self.route.is_none()
            && let Some(sentence) = self.delivery.sentence()
        {
            append(&mut error.message, sentence);
        }
        self.finish(Err(Box::new(error)))
    }

    pub(super) fn finish(mut self, outcome: Result<Reply, Box<StoreError>>) -> Finished {
        self.answered = true;
        if outcome.is_err() {
            self.charge = None;
        }
        Finished { request: self, outcome, position: None, redirect: None }
    }
}

impl Deref for Request {
    type Target = RequestFields;

    fn deref(&self) -> &RequestFields {
        &self.0
    }
}

impl DerefMut for Request {
    fn deref_mut(&mut self) -> &mut RequestFields {
        &mut self.0
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.answered {
            let error = texts::shut_down().error();
            let mut request = Request::new(self.call.clone(), self.token, self.sink.clone());
            (request.delivery, request.route) = (self.delivery, self.route.take());
            self.sink.deliver(vec![request.fail(error)]);
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::Operation;

    #[derive(Default)]
    struct Messages(Mutex<Vec<String>>);

    impl CompletionSink for Messages {
        fn deliver(&self, batch: Vec<Finished>) {
            let messages = batch.into_iter().filter_map(|finished| finished.outcome.err()).map(|error| error.message);
            self.0.lock().unwrap().extend(messages);
        }

        fn warn(&self, _: Warning) {}

        fn closed(&self, _: u32) {}

        fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
            None
        }
    }

    #[test]
    fn a_write_that_is_dropped_says_whether_it_had_been_sent() {
        let sink = Arc::new(Messages::default());
        let request =
            |operation| Request::new(Call::new(operation, Arc::default(), b"runtask1".into(), 3, 7), 0, sink.clone());
        drop(request(Operation::CommitResult));
        for operation in [Operation::CommitResult, Operation::GetResult] {
            let mut sent = request(operation);
            sent.delivery.sent();
            drop(sent);
        }
        let messages = sink.0.lock().unwrap();
        assert!(messages[0].ends_with("had not been sent, so it was not applied."), "{messages:?}");
        assert!(messages[1].ends_with("had been sent, so it may have been applied."), "{messages:?}");
        assert!(messages[2].ends_with("before the call was answered"), "{messages:?}");
    }
}
