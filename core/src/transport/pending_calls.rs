//! A call that has no answer yet, and the ways in which it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checker::take_unchecked;
use super::request::{Finished, Redirect, Request, RequestFields};
use crate::error::StoreError;
use crate::error_texts::calls as texts;
use crate::store::Reply;

/// A call's place in the order in which calls are sent: its store's turn, and among equals that in which the calls came.
pub type Rank = (u64, u64);

/// A request and what has happened to it.
pub struct PendingCall {
    /// The request.
    pub request: Request,
    /// When it came, in numbers: the order in which it is sent, again and again.
    pub sequence: u64,
    /// Its store's turn, see [`super::ranks`].
    pub turn: u64,
    /// When it is given up.
    pub deadline: Instant,
    /// What the server said when it last refused it for now.
    pub error_reply: Option<Box<StoreError>>,
    /// How many connections ended while its answer was the next to come.
    pub losses: u32,
}

impl PendingCall {
    /// A call that has just come. Part of a call to a cluster has a sequence number and a deadline of its own, those of its call.
    pub fn new(request: Request, sequence: u64, deadline: Instant) -> Self {
        let own = request.route.as_ref().map(|route| (route.sequence, route.deadline, route.losses));
        let (sequence, deadline, losses) = own.unwrap_or((sequence, deadline, 0));
        Self { request, sequence, turn: 0, deadline, error_reply: None, losses }
    }

    /// Its place in the order in which calls are sent.
    pub fn rank(&self) -> Rank {
        (self.turn, self.sequence)
    }

    /// Answers the call.
    pub fn finish(self, outcome: Result<Reply, StoreError>) -> Finished {
        self.request.finish(outcome.map_err(Box::new))
    }

    /// Hands part of a call to a cluster back, to be sent again.
    pub fn hand_back(mut self, redirect: Redirect, error: StoreError) -> Finished {
        match (&redirect, &mut self.request.route) {
            (Redirect::Lost, Some(route)) => route.losses = self.losses,
            _ => self.request.delivery.postponed(),
        }
        Finished { redirect: Some(redirect), ..self.finish(Err(error)) }
    }

    /// Gives the call up because its time is over.
    pub fn expire(self, timeout: Duration, reason: Option<&StoreError>) -> Finished {
        let reported = self.error_reply.as_deref().or(reason);
        let reason = reported.map_or(texts::SERVER_DID_NOT_ANSWER, |error| &error.message);
        let text = texts::given_up(self.request.call.operation.name(), timeout.as_millis(), reason);
        let error = match reported {
            None => text.error(),
            Some(error) => StoreError { message: text.into_message(), ..error.clone() },
        };
        self.fail(error)
    }

    /// Gives the call up because its answer is more than a program can use.
    pub fn fail_too_large(self) -> Finished {
        let call = &self.request.call;
        let key = call.key(call.operation.role()).to_bytes();
        self.fail(texts::reply_too_large(String::from_utf8_lossy(&key)).error())
    }

    /// Gives the call up, and says whether a write may have happened all the same.
    pub fn fail(self, error: StoreError) -> Finished {
        self.request.fail(error)
    }

    /// The server refused the call. Says that a write may have happened if it was sent before, and not answered.
    pub fn refuse(mut self, error: StoreError) -> Finished {
        self.request.delivery.refused();
        self.request.fail(error)
    }
}

/// Hands finished calls to their sinks, one delivery for the calls of each store.
pub fn deliver(finished: &mut Vec<Finished>) {
    take_unchecked(finished);
    if finished.is_empty() {
        return;
    }
    // The next ones are about as many.
    let next = Vec::with_capacity(finished.len());
    let all = std::mem::replace(finished, next);
    let Some(first) = all.first() else { return };
    let (sink, first) = (first.request.sink.clone(), lane_of(first));
    // Nearly always: nothing has to be moved.
    if all.iter().all(|one| lane_of(one) == first) {
        return sink.deliver(all);
    }
    let mut lanes: Vec<(Lane, Vec<Finished>)> = Vec::new();
    for next in all {
        let lane = lane_of(&next);
        match lanes.iter_mut().find(|(other, _)| *other == lane) {
            Some((_, calls)) => calls.push(next),
            None => lanes.push((lane, vec![next])),
        }
    }
    for (_, calls) in lanes {
        if let Some(sink) = calls.first().map(|first| first.request.sink.clone()) {
            sink.deliver(calls);
        }
    }
}

/// What tells the sink of a call from others, and its store, unless it goes back to a router.
type Lane = (*const (), usize);

fn lane_of(finished: &Finished) -> Lane {
    let RequestFields { sink, call, route, .. } = &*finished.request;
    let store = if route.is_some() { 0 } else { Arc::as_ptr(&call.key_options).addr() };
    (Arc::as_ptr(sink).cast(), store)
}
