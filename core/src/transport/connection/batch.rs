//! One pipeline in flight: its calls, the future of its replies, and what becomes of each call when they are there.

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use redis::{Pipeline, RedisResult, Value};
use tokio::task::coop::unconstrained;

use super::connect::ReadyConnection;
use crate::store::ErrorReply;
use crate::store::server_features::ServerFeatures;
use crate::store::slot::spans_slots;
use crate::store::{Position, reply};
use crate::transport::batch_slots::{BatchSlots, Slot};
use crate::transport::error::ConnectError;
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::{Finished, Redirect, Request};
use crate::transport::resend_order::Redo;
use crate::transport::retry_policy::{RetryDecision, refused, retry_decision};

/// Calls in one pipeline: large enough to amortise its cost, small enough that answers do not wait for other calls.
const MAX_CALLS: usize = 512;
/// Bytes of arguments in one pipeline, unless a single call is larger.
const MAX_BYTES: usize = 256 * 1024;

type Replies = Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + Send>>;

/// One pipeline in flight.
pub struct Batch {
    replies: Replies,
    slots: BatchSlots<OwnReplies>,
    connection: NonZeroU64,
    /// The number of its first reply on the connection.
    first_reply: u64,
    /// What the server was taken to understand.
    features: ServerFeatures,
    /// When it was handed to the connection.
    pub sent_at: Instant,
    /// Bytes of arguments in it.
    pub bytes: usize,
}

/// The replies to one call.
struct OwnReplies {
    count: usize,
    /// The first reply is that to ASKING.
    asked: bool,
}

/// A call that the server did not do and that is worth another try.
pub struct Refused {
    /// The call.
    pub pending: PendingCall,
    /// Whether to pause before it.
    pub pause: bool,
    /// Set when the connection has to be replaced first.
    pub connect_error: Option<ConnectError>,
}

impl Batch {
    /// Takes calls off the queue, up to the first that the connection does not take yet, and sends them as one pipeline.
    pub fn send(
        queue: &mut VecDeque<PendingCall>,
        features: ServerFeatures,
        ready: &ReadyConnection,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Self {
        let capacity = queue.len().min(MAX_CALLS);
        let mut slots = BatchSlots::with_capacity(capacity);
        let mut pipeline = Pipeline::with_capacity(capacity);
        let mut bytes = 0;
        while slots.len() < MAX_CALLS && bytes < MAX_BYTES {
            if queue.front().is_some_and(|next| !ready.takes(next)) {
                break;
            }
            let Some(mut pending) = queue.pop_front() else { break };
            pending.request.delivery.sent();
            bytes += pending.request.call.size();
            let asked = pending.request.route.as_ref().is_some_and(|route| route.asking.is_some());
            if asked {
                pipeline.cmd("ASKING");
            }
            let count = pending.request.call.append(features, &mut pipeline) + usize::from(asked);
            slots.push(pending, OwnReplies { count, asked });
        }
        let commands = pipeline.len();
        let first_reply = ready.expected_replies.ask(commands);
        let mut connection = ready.connection.clone();
        // Outside tokio's cooperative budget: the first poll must always reach the driver's queue, or batches would
        // overtake each other.
        let mut replies: Replies =
            Box::pin(unconstrained(async move { connection.send_packed_commands(&pipeline, 0, commands).await }));
        let first = replies.as_mut().poll(cx);
        if let Poll::Ready(result) = first {
            replies = Box::pin(std::future::ready(result));
        }
        Self { replies, slots, connection: ready.id, first_reply, features, sent_at: now, bytes }
    }

    /// The number of calls.
    pub fn calls(&self) -> usize {
        self.slots.len()
    }

    /// Whether every call in it was given up.
    pub fn is_settled(&self) -> bool {
        self.slots.are_given_up()
    }

    /// The earliest deadline in it.
    pub fn deadline(&self) -> Option<Instant> {
        self.slots.deadline()
    }

    /// Whether the replies are there.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RedisResult<Vec<Value>>> {
        self.replies.as_mut().poll(cx)
    }

    /// Gives up what is past its deadline.
    pub fn expire(&mut self, now: Instant, timeout: Duration, finished: &mut Vec<Finished>) {
        self.slots.expire(now, timeout, finished);
    }

    /// Matches replies to calls: most are finished, and what was refused for now is returned. So is what was asked after it
    /// for the same execution, though it may have been done: otherwise what was refused would come after it.
    pub fn settle(
        self,
        mut replies: Vec<Value>,
        redo: &mut Redo,
        features: &mut ServerFeatures,
        finished: &mut Vec<Finished>,
    ) -> Vec<Refused> {
        let mut rest = replies.as_mut_slice();
        let mut refused = Vec::new();
        let mut next = self.first_reply;
        finished.reserve(self.slots.len());
        for Slot { pending, replies } in self.slots {
            let (own, others) = rest.split_at_mut(replies.count.min(rest.len()));
            rest = others;
            let position = Position { connection: self.connection, number: next };
            next += replies.count as u64;
            let Some(mut pending) = pending else { continue };
            if redo.is_overtaken_by(&pending) {
                redo.note(&pending);
                pending.request.delivery.repeated();
                refused.push(Refused { pending, pause: false, connect_error: None });
                continue;
            }
            let own = if replies.asked { own.split_at_mut(own.len().min(1)).1 } else { own };
            redo.end(&pending);
            let outcome = reply::read(&pending.request.call, own);
            if outcome.is_err() && reply::is_partly_done(&pending.request.call, own) {
                pending.request.delivery.partly_done();
            }
            match outcome {
                Ok(reply) => finished.push(pending.finish(Ok(reply)).at(Some(position))),
                Err(error_reply) => match refuse(pending, error_reply, self.features, features) {
                    Ok(over) => finished.push(over),
                    Err(redirect) => {
                        redo.note(&redirect.pending);
                        refused.push(*redirect);
                    }
                },
            }
        }
        refused
    }

    /// Takes out the call whose reply has this number and ended the connection; a call that only carried the read that
    /// brought it stays, and carries nothing any more.
    pub fn take_poison_call(&mut self, number: u64, end: impl FnOnce(PendingCall) -> Finished) -> Option<Finished> {
        let slot = self.slot_of(number)?;
        let mut pending = slot.pending.take()?;
        if pending.request.call.drop_prefetch() {
            slot.pending = Some(pending);
            return None;
        }
        Some(end(pending))
    }

    /// The call that this reply is for.
    pub fn pending_at(&mut self, number: u64) -> Option<&mut PendingCall> {
        self.slot_of(number)?.pending.as_mut()
    }

    fn slot_of(&mut self, number: u64) -> Option<&mut Slot<OwnReplies>> {
        let mut next = self.first_reply;
        self.slots.iter_mut().find(|slot| {
            next += slot.replies.count as u64;
            (self.first_reply..next).contains(&number)
        })
    }

    /// The calls that have no answer, oldest first.
    pub fn into_unanswered(self) -> impl Iterator<Item = PendingCall> {
        self.slots.into_iter().filter_map(|slot| slot.pending).map(|mut pending| {
            pending.request.delivery.lost();
            pending
        })
    }
}

/// What becomes of a refused call: it is over, or worth another try.
pub fn refuse(
    mut pending: PendingCall,
    error_reply: ErrorReply,
    sent_with: ServerFeatures,
    features: &mut ServerFeatures,
) -> Result<Finished, Box<Refused>> {
    let Request { call, route, .. } = &pending.request;
    if features.learn(&error_reply, call.operation, sent_with, || route.is_none() && spans_slots(call)) {
        pending.request.delivery.postponed();
        return Err(Box::new(Refused { pending, pause: false, connect_error: None }));
    }
    let redirect = match error_reply.code.as_str() {
        _ if pending.request.route.as_ref().is_none_or(|route| route.sharded) => None,
        code @ ("MOVED" | "ASK") => {
            Some(Redirect::Elsewhere { ask: code == "ASK", detail: error_reply.detail.clone() })
        }
        "TRYAGAIN" | "CLUSTERDOWN" | "READONLY" | "MASTERDOWN" => Some(Redirect::Later),
        _ => None,
    };
    if let Some(redirect) = redirect {
        return Ok(pending.hand_back(redirect, refused(error_reply)));
    }
    let decision = retry_decision(&error_reply);
    let error = refused(error_reply);
    if decision == RetryDecision::Report {
        return Ok(pending.refuse(error));
    }
    let connect_error = (decision == RetryDecision::Reconnect).then(|| ConnectError::Transient(error.clone()));
    pending.request.delivery.postponed();
    let pending = PendingCall { error_reply: Some(Box::new(error)), ..pending };
    Err(Box::new(Refused { pending, pause: true, connect_error }))
}
