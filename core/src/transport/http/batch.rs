//! One request under way: its calls, the future of its answer, and what becomes of each call when that is there.

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;

use super::admission::{Admission, ExecutionsInFlight};
use super::client::{Client, Failure, Response};
use super::decode;
use super::decode::Answer;
use super::encode::{Body, Path, ReplyShape};
use crate::store::ErrorReply;
use crate::store::server_features::ServerFeatures;
use crate::store::{Position, reply};
use crate::transport::applied::Delivery;
use crate::transport::batch_slots::BatchSlots;
use crate::transport::connection_id::next_connection_id;
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::Finished;

/// Calls in one request: large enough to amortise its cost, small enough that answers do not wait for other calls.
const MAX_CALLS: usize = 512;
/// Bytes of arguments in one request, unless a single call is larger: well below what any plan of Upstash takes.
const MAX_BYTES: usize = 256 * 1024;

/// One request under way.
pub struct HttpBatch {
    /// The commands of one request are carried out in their order, and requests in none: each counts as a connection.
    id: NonZeroU64,
    answer: Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>,
    slots: BatchSlots<OwnReplies>,
    path: Path,
    commands: usize,
    /// What the server was taken to understand.
    pub features: ServerFeatures,
    /// When it was sent.
    pub sent_at: Instant,
    /// Whether any of its calls writes.
    pub writes: bool,
    /// Whether its call has to travel alone.
    pub alone: bool,
}

/// The replies to one call, and what it was sent as.
struct OwnReplies {
    execution: Vec<u8>,
    writes: bool,
    shapes: Vec<ReplyShape>,
    /// What was known of its delivery before this attempt.
    before: Delivery,
}

/// What became of a request that has no answer of its own for each call.
#[derive(Clone, Copy)]
pub enum Attempt {
    /// There was no connection.
    NotSent,
    /// The server refused it as a whole: nothing in it was carried out.
    Postponed,
    /// It may have been carried out.
    Lost,
}

/// What was answered to one call, and the answer's position.
pub type Outcome = (PendingCall, Result<reply::Reply, ErrorReply>, Position);

impl HttpBatch {
    /// Takes what may go now off a queue and sends it as one request. With `alone`, one call only.
    pub fn send(
        queue: &mut VecDeque<PendingCall>,
        alone: bool,
        admission: &mut Admission<'_>,
        features: ServerFeatures,
        (client, sync_token): (&Client, Option<&HeaderValue>),
        now: Instant,
    ) -> Option<Self> {
        let mut slots = BatchSlots::with_capacity(0);
        let mut left = VecDeque::new();
        let (mut body, mut bytes) = (Body::default(), 0);
        let most = if alone { 1 } else { MAX_CALLS };
        while slots.len() < most && bytes < MAX_BYTES {
            let Some(mut pending) = queue.pop_front() else { break };
            let (execution, writes) = (pending.request.call.execution_key(), pending.request.call.operation.writes());
            let size = pending.request.call.size();
            if !admission.admits(&execution, writes) {
                left.push_back(pending);
                continue;
            }
            // A request with a transaction in it is one as a whole, and that may not use keys of different slots.
            let is_alone = !features.cross_slot && pending.request.call.is_transaction();
            if !slots.is_empty() && (bytes + size > MAX_BYTES || is_alone) {
                left.push_back(pending);
                break;
            }
            bytes += size;
            let shapes = body.add(&pending.request.call, features);
            let before = pending.request.delivery;
            pending.request.delivery.sent();
            slots.push(pending, OwnReplies { execution, writes, shapes, before });
            if is_alone {
                break;
            }
        }
        left.append(queue);
        *queue = left;
        if slots.is_empty() {
            return None;
        }
        admission.enter(slots.iter().map(|slot| (&slot.replies.execution, slot.replies.writes)));
        let (path, bytes, commands) = body.finish();
        let writes = slots.iter().any(|slot| slot.replies.writes);
        let answer = Box::pin(client.send(path, bytes, sync_token));
        let id = next_connection_id();
        Some(Self { id, answer, slots, path, commands, features, sent_at: now, writes, alone })
    }

    /// Whether the answer is there.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Failure>> {
        self.answer.as_mut().poll(cx)
    }

    /// Whether it could be sent in smaller pieces: one by one, or without the reads that a call only carries.
    pub fn is_divisible(&self) -> bool {
        self.slots.len() > 1 || self.slots.iter().any(|slot| slot.replies.shapes.len() > 1)
    }

    /// The earliest deadline in it.
    pub fn deadline(&self) -> Option<Instant> {
        self.slots.deadline()
    }

    /// Gives up what is past its deadline; true when that was all of it.
    pub fn expire(&mut self, now: Instant, timeout: Duration, finished: &mut Vec<Finished>) -> bool {
        self.slots.expire(now, timeout, finished);
        self.slots.are_given_up()
    }

    /// It is not under way any more.
    pub fn leave(&self, in_flight: &mut ExecutionsInFlight) {
        for OwnReplies { execution, writes, .. } in self.slots.iter().map(|slot| &slot.replies) {
            in_flight.leave(execution, *writes);
        }
    }

    /// Reads the body of an answer. `None` when it does not answer the request.
    pub fn read(&self, body: &[u8]) -> Option<Answer> {
        decode::read(body, self.commands, self.path != Path::Single)
    }

    /// Matches replies to calls.
    pub fn outcomes(self, replies: Vec<redis::Value>) -> Vec<Outcome> {
        let mut replies = replies.into_iter();
        let mut outcomes = Vec::with_capacity(self.slots.len());
        for (slot, number) in self.slots.into_iter().zip(0..) {
            let mut own = decode::gather(&slot.replies.shapes, &mut replies);
            let Some(pending) = slot.pending else { continue };
            let outcome = reply::read(&pending.request.call, &mut own);
            outcomes.push((pending, outcome, Position { connection: self.id, number }));
        }
        outcomes
    }

    /// The calls that have no answer, oldest first, with a note of what became of this attempt.
    pub fn into_unanswered(self, attempt: Attempt) -> impl Iterator<Item = PendingCall> {
        self.slots.into_iter().filter_map(move |slot| {
            let mut pending = slot.pending?;
            let delivery = &mut pending.request.delivery;
            match attempt {
                Attempt::NotSent => *delivery = slot.replies.before,
                Attempt::Postponed => delivery.postponed(),
                Attempt::Lost => delivery.lost(),
            }
            Some(pending)
        })
    }
}
