//! One request under way: its calls, the answer as it arrives, and what becomes of each call when its part is there.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::mem;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use redis::Value;

use super::client::{Client, Failure, Head, Response};
use super::decode;
use super::decode::{AnswerReader, Malformed, Part};
use super::encode::{Body, Path, ReplyShape};
use super::waiting::{Pass, WaitingCalls, Whose};
use crate::moment::Moment;
use crate::store::ErrorReply;
use crate::store::server_features::ServerFeatures;
use crate::store::{Position, Prefetch, reply};
use crate::transport::applied::Delivery;
use crate::transport::connection_id::next_connection_id;
use crate::transport::observed::Counts;
use crate::transport::pending_calls::PendingCall;
use crate::transport::request::{CompletionSink, Finished};
use crate::transport::result_budget::Blocked;

/// Calls in one request: large enough to amortise its cost, small enough that answers do not wait for other calls.
const MAX_CALLS: usize = 512;
/// How much of a refusal's body is read: it is for the error's sentence only.
const MAX_REFUSAL_BYTES: usize = 1024 * 1024;
/// How long the rest of a refusal is waited for whose status says what is to be done.
const MAX_REST_WAIT: Duration = Duration::from_secs(1);
/// Requests among which the calls are shared whose common answer was too large, at most.
const TOO_LARGE_SHARES: usize = 8;
/// Bytes of arguments in one request, unless a single call is larger: well below what any plan of Upstash takes.
const MAX_BYTES: usize = 256 * 1024;

/// One request under way.
pub struct HttpBatch {
    /// The commands of one request are carried out in their order, and requests in none: each counts as a connection.
    id: NonZeroU64,
    exchange: Exchange,
    calls: Calls,
    /// Executions of which a call in this request is sent again.
    deferred: HashSet<Vec<u8>>,
    /// What the server was taken to understand.
    pub features: ServerFeatures,
    /// When it was sent.
    pub sent_at: Instant,
    written_at: Moment,
    /// When something of the answer came last.
    heard_at: Instant,
    /// Whether any of its calls writes.
    pub writes: bool,
    /// How many calls may be in a request with its calls.
    pub company: usize,
    /// Whether any of its calls is a transaction for the sake of the reads that it carries.
    pub isolates: bool,
    /// What was counted when it was sent.
    counts: Counts,
    /// Bytes of the answer that have come and were not counted.
    bytes_read: u64,
    /// Whether any of them carries the names of tasks.
    pub has_task_names: bool,
    /// Whether it is sent as one transaction.
    pub is_transaction: bool,
    /// Who made a write in it whose expiry is a step of its own, and is to be warned of that.
    pub expiries_apart: Option<Arc<dyn CompletionSink>>,
}

/// The calls of a request that have no answer yet, in their order. Those that were given up stay, because they are still
/// under way.
#[derive(Default)]
struct Calls {
    slots: VecDeque<Slot>,
    /// How many of them are of calls that were given up.
    given_up: usize,
    /// No call is given up before.
    earliest: Option<Instant>,
    /// The number of the first slot in the request.
    first: u64,
    /// Replies that belong to the first slots.
    replies: VecDeque<Value>,
}

/// How far the request has come.
enum Exchange {
    /// It was sent, and there is no answer.
    Sent(Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>, AnswerReader),
    /// The answer arrives.
    Answered(Response, AnswerReader),
    /// A refusal arrives since this moment: an answer with a status that is no success.
    Refused(Response, Vec<u8>, Instant),
}

/// A call's place in the request.
struct Slot {
    /// `None` once it was given up; its replies are still expected and are then thrown away.
    pending: Option<PendingCall>,
    shapes: Vec<ReplyShape>,
    /// What was known of its delivery before this attempt.
    before: Delivery,
    /// Its leave to be under way, given back with the slot.
    _pass: Pass,
}

/// What happened to a request.
pub enum Event {
    /// Some of its calls are answered.
    Replies(Vec<Outcome>),
    /// It is over, and so are its calls unless they were refused with it.
    End(End),
}

/// How a request ended.
pub enum End {
    /// Every call is answered, and the answer is over.
    Complete,
    /// Every call is answered, but the answer has not ended: what is left of it says nothing.
    Answered,
    /// There is no answer, or only part of it.
    Failed(Failure),
    /// The answer has a status that is no success, and this body.
    Status(Head, Vec<u8>),
    /// The request as a whole was answered with an error.
    Refused(String),
    /// What was answered does not answer the request.
    Malformed,
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

/// What was answered to one call, of a refusal whether it is that of its first command, and the answer's position.
pub type Outcome = (PendingCall, Result<reply::Reply, (ErrorReply, bool)>, Position);

/// Whether a status is that of a refusal which passes, whatever its body says.
fn passes(status: u16) -> bool {
    status == 429 || status >= 500
}

impl HttpBatch {
    /// Sends what may go now as one request, of all stores or some, at most so many calls and so many writes, and no more than each of
    /// them may have for company.
    pub fn send(
        waiting: &mut WaitingCalls,
        blocked: &mut Vec<Blocked>,
        (whose, most, most_writes): (Whose, usize, usize),
        features: ServerFeatures,
        (client, sync_token): (&Client, Option<&HeaderValue>),
        now: Instant,
    ) -> Option<Self> {
        let mut slots = VecDeque::new();
        // Where keys may be on different shards, a transaction would have to travel alone.
        let features = ServerFeatures { isolates: features.isolates && features.cross_slot, ..features };
        let (mut isolates, mut has_task_names) = (false, false);
        let (mut body, mut bytes) = (Body::default(), 0);
        let mut writes = false;
        let (mut most, mut company) = (most.min(MAX_CALLS), usize::MAX);
        let mut counts = Counts { round_trips: 1, ..Counts::default() };
        let mut expiries_apart = None;
        let mut admission = waiting.admit(whose, most_writes);
        while slots.len() < most
            && let Some(next) = admission.peek()
        {
            if !Blocked::admits(blocked, &next.pending.request) {
                admission.skip();
                continue;
            }
            let call = &next.pending.request.call;
            let size = call.size();
            // A request with a transaction in it is one as a whole, and that may not use keys of different slots.
            let is_whole = !features.cross_slot && call.is_transaction(features);
            let room = if is_whole { 1 } else { next.company };
            if !slots.is_empty() && (slots.len() >= room || bytes + size > MAX_BYTES) {
                admission.skip();
                if room == 1 {
                    continue;
                }
                break;
            }
            (most, company) = (most.min(room), company.min(next.company));
            let Some((mut pending, pass)) = admission.take() else { break };
            bytes += size;
            writes |= pending.request.call.operation.writes();
            let call = &pending.request.call;
            isolates |= call.is_isolated(features);
            has_task_names |= call.prefetch == Prefetch::Tasks;
            if !features.multi && call.expires_apart() && !call.key_options.quiet {
                expiries_apart.get_or_insert_with(|| pending.request.sink.clone());
            }
            let shapes = body.add(&pending.request.call, features);
            let before = pending.request.delivery;
            pending.request.delivery.sent();
            counts.retries += u64::from(pending.request.attempts() > 1);
            pending.request.sent_at = pending.request.sent_at.or(Some(now));
            slots.push_back(Slot { pending: Some(pending), shapes, before, _pass: pass });
            if bytes >= MAX_BYTES {
                break;
            }
        }
        drop(admission);
        if slots.is_empty() {
            return None;
        }
        let (path, bytes, commands) = body.finish();
        counts.bytes_written = bytes.len() as u64;
        let reader = AnswerReader::new(commands, path != Path::Single);
        Some(Self {
            id: next_connection_id(),
            exchange: Exchange::Sent(Box::pin(client.send(path, bytes, sync_token)), reader),
            calls: Calls::new(slots),
            deferred: HashSet::new(),
            features,
            sent_at: now,
            written_at: Moment::now(),
            heard_at: now,
            writes,
            company,
            isolates,
            counts,
            bytes_read: 0,
            has_task_names,
            is_transaction: path == Path::Transaction,
            expiries_apart,
        })
    }

    /// What has happened since, if anything. Nothing more does after the end.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Event> {
        loop {
            match &mut self.exchange {
                Exchange::Sent(answer, reader) => match ready!(answer.as_mut().poll(cx)) {
                    Ok(response) if (200..300).contains(&response.head.status) => {
                        self.exchange = Exchange::Answered(response, mem::take(reader));
                    }
                    Ok(response) => self.exchange = Exchange::Refused(response, Vec::new(), now),
                    Err(failure) => return Poll::Ready(Event::End(End::Failed(failure))),
                },
                Exchange::Answered(response, reader) => {
                    loop {
                        match reader.next() {
                            Ok(Some(Part::Reply(reply))) => self.calls.replies.push_back(reply),
                            Ok(Some(Part::Refused(words))) => return Poll::Ready(Event::End(End::Refused(words))),
                            Ok(None) => break,
                            Err(Malformed) => return Poll::Ready(Event::End(End::Malformed)),
                        }
                    }
                    let outcomes =
                        self.calls.take_answered(self.id, self.written_at, self.features, reader.is_complete());
                    if !outcomes.is_empty() {
                        return Poll::Ready(Event::Replies(outcomes));
                    }
                    match response.poll_body(cx) {
                        Poll::Ready(Some(Ok(bytes))) => {
                            self.bytes_read += bytes.len() as u64;
                            reader.push(&bytes);
                        }
                        Poll::Pending if reader.is_complete() => return Poll::Ready(Event::End(End::Answered)),
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(_) if reader.is_complete() => return Poll::Ready(Event::End(End::Complete)),
                        Poll::Ready(Some(Err(failure))) => return Poll::Ready(Event::End(End::Failed(failure))),
                        Poll::Ready(None) => return Poll::Ready(Event::End(End::Malformed)),
                    }
                }
                Exchange::Refused(response, body, since) => {
                    let is_for_now = passes(response.head.status);
                    let is_over = match response.poll_body(cx) {
                        Poll::Ready(Some(Ok(bytes))) => {
                            self.bytes_read += bytes.len() as u64;
                            body.extend_from_slice(&bytes);
                            body.len() >= MAX_REFUSAL_BYTES
                        }
                        Poll::Ready(Some(Err(failure))) if !is_for_now => {
                            return Poll::Ready(Event::End(End::Failed(failure)));
                        }
                        Poll::Ready(Some(Err(_)) | None) => true,
                        Poll::Pending if is_for_now && *since + MAX_REST_WAIT <= now || decode::is_whole(body) => true,
                        Poll::Pending => return Poll::Pending,
                    };
                    if is_over {
                        let body = mem::take(body);
                        return Poll::Ready(Event::End(End::Status(response.head.clone(), body)));
                    }
                }
            }
            self.heard_at = now;
        }
    }

    /// What is counted of its being sent.
    pub fn sent_counts(&self) -> Counts {
        self.counts
    }

    /// The bytes of the answer that have come since they were taken last.
    pub fn take_bytes_read(&mut self) -> u64 {
        mem::take(&mut self.bytes_read)
    }

    /// The number of its calls that have no answer.
    pub fn len(&self) -> usize {
        self.calls.slots.len() - self.calls.given_up
    }

    /// What an answer that has begun says to send along from now on.
    pub fn take_sync_token(&mut self) -> Option<HeaderValue> {
        match &mut self.exchange {
            Exchange::Answered(response, ..) => response.head.sync_token.take(),
            Exchange::Sent(..) | Exchange::Refused(..) => None,
        }
    }

    /// When it is given up to be sent again, if it only reads: when nothing has come for so long.
    pub fn ask_again_at(&self, patience: Duration) -> Option<Instant> {
        (!self.writes).then(|| self.heard_at + patience)
    }

    /// When something of the answer came last; until then, when it was sent.
    pub fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// When the rest of a refusal that has said what is to be done is not waited for any longer.
    pub fn rest_ends_at(&self) -> Option<Instant> {
        match &self.exchange {
            Exchange::Refused(response, _, since) if passes(response.head.status) => Some(*since + MAX_REST_WAIT),
            Exchange::Sent(..) | Exchange::Answered(..) | Exchange::Refused(..) => None,
        }
    }

    /// The answer, of which nothing is to come but its end.
    pub fn into_rest(self) -> Option<Response> {
        match self.exchange {
            Exchange::Answered(response, _) => Some(response),
            Exchange::Sent(..) | Exchange::Refused(..) => None,
        }
    }

    /// Whether it could be sent in smaller pieces: one by one, or without the reads that a call only carries.
    pub fn is_divisible(&self) -> bool {
        self.calls.slots.len() > 1 || self.calls.slots.iter().any(|slot| slot.shapes.len() > 1)
    }

    /// How many calls of it may go into one request, now that its answer was too large: half of those that the part of it held that
    /// was read, and where these were few, because of a larger one, a share of those that are left.
    pub fn company_when_too_large(&self) -> usize {
        (self.calls.first as usize / 2).max(self.calls.slots.len() / TOO_LARGE_SHARES).max(1)
    }

    /// Whether a call is sent again after one that was answered before it was: it has to be done again behind that one.
    pub fn is_overtaken(&self, execution: &[u8]) -> bool {
        !self.deferred.is_empty() && self.deferred.contains(execution)
    }

    /// Notes that a call is sent again.
    pub fn defer(&mut self, execution: Vec<u8>) {
        self.deferred.insert(execution);
    }

    /// The earliest deadline in it.
    pub fn deadline(&self) -> Option<Instant> {
        self.calls.earliest
    }

    /// Gives up what is past its deadline; true when nothing is left to wait for.
    pub fn expire(&mut self, now: Instant, timeout: Duration, finished: &mut Vec<Finished>) -> bool {
        self.calls.expire(now, timeout, finished)
    }

    /// The calls that have no answer, oldest first, with a note of what became of this attempt.
    pub fn into_unanswered(self, attempt: Attempt) -> impl Iterator<Item = PendingCall> {
        self.calls.slots.into_iter().filter_map(move |slot| {
            let mut pending = slot.pending?;
            let delivery = &mut pending.request.delivery;
            match attempt {
                Attempt::NotSent => *delivery = slot.before,
                Attempt::Postponed => delivery.postponed(),
                Attempt::Lost => delivery.lost(),
            }
            Some(pending)
        })
    }
}

impl Calls {
    fn new(slots: VecDeque<Slot>) -> Self {
        let mut calls = Self { slots, ..Self::default() };
        calls.earliest = calls.earliest();
        calls
    }

    fn earliest(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| Some(slot.pending.as_ref()?.deadline)).min()
    }

    /// Takes out the calls whose replies are all there; the last one only when nothing more can come, because an answer with
    /// more replies than commands is to be believed nothing.
    fn take_answered(
        &mut self,
        connection: NonZeroU64,
        written_at: Moment,
        features: ServerFeatures,
        is_complete: bool,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(slot) = self.slots.front()
            && (is_complete || self.slots.len() > 1)
            && slot.shapes.iter().map(ReplyShape::replies).sum::<usize>() <= self.replies.len()
        {
            let Some(Slot { pending, shapes, .. }) = self.slots.pop_front() else { break };
            let count: usize = shapes.iter().map(ReplyShape::replies).sum();
            let own = decode::gather(&shapes, &mut self.replies.drain(..count));
            let position = Position { connection, number: self.first, written_at };
            self.first += 1;
            let Some(mut pending) = pending else {
                self.given_up -= 1;
                continue;
            };
            let outcome = reply::read_noting_first(&pending.request.call, features, &own);
            if outcome.is_err() && reply::is_partly_done(&pending.request.call, features, &own) {
                pending.request.delivery.partly_done();
            }
            outcomes.push((pending, outcome, position));
        }
        outcomes
    }

    /// Gives up what is past its deadline; true when no call is left that has not been.
    fn expire(&mut self, now: Instant, timeout: Duration, finished: &mut Vec<Finished>) -> bool {
        if self.earliest.is_some_and(|earliest| earliest <= now) {
            for slot in &mut self.slots {
                if let Some(pending) = slot.pending.take_if(|pending| pending.deadline <= now) {
                    finished.push(pending.expire(timeout, None));
                    self.given_up += 1;
                }
            }
            self.earliest = self.earliest();
        }
        !self.slots.is_empty() && self.given_up == self.slots.len()
    }
}
