//! Upstash over HTTP: a driver that sends what waits in as few requests as the order allows, hands back the answers,
//! gives up what is past its deadline, and sends again what was refused for now.
//!
//! HTTP has no connection to fence: a request that was cut may be carried out after it was sent again. So a request that
//! writes is waited for as long as its calls have time, and never raced by a second one while its connection is good.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::iter;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;

use super::admission::ExecutionsInFlight;
use super::batch::HttpBatch;
use super::client::{Client, Failure, MAX_ANSWER_BYTES, Response};
use super::decode::Answer;
use super::{decode, error};
use crate::config::{Topology, Upstash};
use crate::error::StoreError;
use crate::error_texts::http::{REQUEST_TOO_LARGE, TOO_MANY_REQUESTS, UNAUTHORIZED, WORDS_WITH_TOKEN};
use crate::store::ErrorReply;
use crate::store::server_features::ServerFeatures;
use crate::transport::backoff::Backoff;
use crate::transport::connection::batch::{Refused, refuse};
use crate::transport::error::ConnectError;
use crate::transport::handover::Handover;
use crate::transport::inbox::Inbox;
use crate::transport::pending_calls::{PendingCall, deliver, enqueue, expired, requeue};
use crate::transport::protocol::auth::conceal;
use crate::transport::request::Finished;
use crate::transport::retry_policy::{RetryDecision, retry_decision};
use crate::transport::target::{Member, Target};
use crate::transport::timer::Timer;

/// Requests under way at the same time; with HTTP/1.1, connections.
const MAX_BATCHES: usize = 16;

/// Serves one database until its last handle is dropped and nothing is pending, or until it turns out that it has several
/// shards, so that calls have to be taken apart.
pub async fn serve(target: Target, inbox: Arc<Inbox>) -> Option<Handover> {
    let Topology::Upstash(upstash) = &target.settings.topology else { return None };
    let mut driver = HttpDriver {
        client: Client::new(&target, upstash),
        upstash: upstash.clone(),
        inbox,
        next_sequence: 0,
        queue: VecDeque::new(),
        alone: VecDeque::new(),
        resume_at: None,
        batches: Vec::new(),
        in_flight: ExecutionsInFlight::default(),
        sync_token: None,
        written_at: None,
        finished: Vec::new(),
        closed: false,
        features: ServerFeatures { cross_slot: !matches!(target.member, Member::Shards), ..ServerFeatures::default() },
        target,
        backoff: Backoff::default(),
        alarm: Timer::new(),
    };
    driver.run().await;
    if !driver.is_to_be_taken_apart() {
        return None;
    }
    let HttpDriver { target, mut queue, alone, next_sequence, .. } = driver;
    for pending in alone {
        requeue(&mut queue, pending);
    }
    Some(Handover { target, pending: queue, next_sequence })
}

struct HttpDriver {
    target: Target,
    upstash: Upstash,
    inbox: Arc<Inbox>,
    /// Or why there can be none.
    client: Result<Client, ConnectError>,
    next_sequence: u64,
    /// To be sent.
    queue: VecDeque<PendingCall>,
    /// To be sent each in a request of its own, because a request they were in was refused as a whole. What is in `queue`
    /// of the same execution came later, or reads like it.
    alone: VecDeque<PendingCall>,
    /// Nothing is sent before.
    resume_at: Option<Instant>,
    batches: Vec<HttpBatch>,
    in_flight: ExecutionsInFlight,
    sync_token: Option<HeaderValue>,
    /// When the answer to the last write came.
    written_at: Option<Instant>,
    /// Over, but not yet handed back.
    finished: Vec<Finished>,
    /// The last handle of the connection was dropped.
    closed: bool,
    features: ServerFeatures,
    backoff: Backoff,
    alarm: Timer,
}

impl HttpDriver {
    async fn run(&mut self) {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.drain_inbox(now);
                self.expire(now);
                let mut any = self.settle(cx, now);
                any |= self.send(now);
                deliver(&mut self.finished);
                if any {
                    continue;
                }
                let is_idle = self.batches.is_empty();
                if is_idle && self.is_to_be_taken_apart() {
                    return Poll::Ready(());
                }
                if is_idle && self.closed && self.queue.is_empty() && self.alone.is_empty() {
                    return Poll::Ready(());
                }
                let moment = self.next_moment(now);
                if self.alarm.sleep_until(cx, moment) && self.inbox.register_waker(self.closed, cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Moves what has arrived into the queue.
    fn drain_inbox(&mut self, now: Instant) {
        let deadline = now + self.target.command_timeout;
        for request in self.inbox.take(&mut self.closed) {
            enqueue(&mut self.queue, request, self.next_sequence, deadline);
            self.next_sequence += 1;
        }
    }

    /// Whether there are several shards, so that calls on several keys can't be sent whole.
    fn is_to_be_taken_apart(&self) -> bool {
        !self.features.cross_slot && !self.target.member.is_routed()
    }

    /// When there is something to do again, if nothing arrives before.
    fn next_moment(&self, now: Instant) -> Option<Instant> {
        let queued = [&self.queue, &self.alone].into_iter().filter_map(|queue| Some(queue.front()?.deadline));
        let batches = self.batches.iter().flat_map(|batch| [batch.deadline(), self.ask_again_at(batch)]).flatten();
        let resume = self.resume_at.filter(|at| *at > now);
        queued.chain(batches).chain(resume).min()
    }

    /// When a request that only reads is given up to be sent again: half the time of its calls.
    fn ask_again_at(&self, batch: &HttpBatch) -> Option<Instant> {
        (!batch.writes).then(|| batch.sent_at + self.target.command_timeout / 2)
    }

    /// Gives up what is past its deadline. A request of which nothing is left is broken off.
    fn expire(&mut self, now: Instant) {
        let timeout = self.target.command_timeout;
        for queue in [&mut self.alone, &mut self.queue] {
            self.finished.extend(expired(queue, now).map(|pending| pending.expire(timeout, None)));
        }
        let finished = &mut self.finished;
        for batch in self.batches.extract_if(.., |batch| batch.expire(now, timeout, finished)) {
            batch.leave(&mut self.in_flight);
        }
    }

    /// Sends what may be sent; true when anything was.
    fn send(&mut self, now: Instant) -> bool {
        if self.queue.is_empty() && self.alone.is_empty() || self.resume_at.is_some_and(|at| at > now) {
            return false;
        }
        if self.is_to_be_taken_apart() {
            return false;
        }
        let client = match &self.client {
            Ok(client) => client,
            Err(connect_error) => {
                let all = self.alone.drain(..).chain(self.queue.drain(..));
                self.finished.extend(all.map(|pending| pending.fail(connect_error.error().clone())));
                return true;
            }
        };
        let before = self.batches.len();
        let mut admission = self.in_flight.open();
        for (queue, alone) in [(&mut self.alone, true), (&mut self.queue, false)] {
            while self.batches.len() < MAX_BATCHES {
                let over = (client, self.sync_token.as_ref());
                let Some(batch) = HttpBatch::send(queue, alone, &mut admission, self.features, over, now) else {
                    break;
                };
                self.batches.push(batch);
            }
        }
        self.batches.len() > before
    }

    /// Hands out the answers that have come; true when there were any.
    fn settle(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        let mut index = 0;
        while let Some(batch) = self.batches.get_mut(index) {
            let answer = match batch.poll(cx) {
                Poll::Ready(answer) => answer,
                Poll::Pending if self.ask_again_at(&self.batches[index]).is_some_and(|at| at <= now) => {
                    Err(Failure::Lost(error::unresponsive(&self.target.settings.address)))
                }
                Poll::Pending => {
                    index += 1;
                    continue;
                }
            };
            any = true;
            let batch = self.batches.swap_remove(index);
            batch.leave(&mut self.in_flight);
            match answer {
                Ok(response) => self.answered(batch, response, now),
                Err(failure) => self.failed(batch, failure, now),
            }
        }
        any
    }

    /// There is no answer.
    fn failed(&mut self, batch: HttpBatch, failure: Failure, now: Instant) {
        match failure {
            Failure::NotSent(ConnectError::Fatal(error)) => {
                self.finished.extend(batch.into_unanswered(true).map(|pending| pending.fail(error.clone())));
            }
            Failure::NotSent(connect_error) => self.retry(batch, true, connect_error.error().clone(), None, now),
            Failure::Lost(connect_error) => self.retry(batch, false, connect_error.error().clone(), None, now),
            Failure::TooLarge => self.refused(batch, error::answer_too_large(MAX_ANSWER_BYTES)),
        }
    }

    /// There is an answer, though perhaps not the one that was hoped for.
    fn answered(&mut self, batch: HttpBatch, response: Response, now: Instant) {
        let Response { status, retry_after, sync_token, body } = response;
        match status {
            200..300 => {
                self.note_sync_token(&batch, sync_token, now);
                match batch.read(&body) {
                    Some(Answer::Replies(replies)) => self.replied(batch, replies, now),
                    Some(Answer::Refused(words)) => self.on_error_reply(batch, status, &words, now),
                    None => self.fail(batch, error::not_an_answer(status)),
                }
            }
            429 => {
                let words = decode::read_error_reply(&body);
                let error_reply = ErrorReply::of(words.as_deref().unwrap_or(TOO_MANY_REQUESTS));
                let error = error::too_many(self.without_token(error_reply));
                self.retry(batch, true, error, retry_after, now);
            }
            500.. => {
                let error = error::broken(status, &self.target.settings.address);
                self.retry(batch, false, error, retry_after, now);
            }
            _ => match decode::read_error_reply(&body) {
                Some(words) => self.on_error_reply(batch, status, &words, now),
                None if status == 413 => self.on_error_reply(batch, status, REQUEST_TOO_LARGE, now),
                None if status == 401 => self.on_error_reply(batch, status, UNAUTHORIZED, now),
                None => self.fail(batch, error::not_an_answer(status)),
            },
        }
    }

    /// Each command has been answered. What comes after a call that is sent again, for the same execution, is sent again too, though
    /// it was done: otherwise that call would be done after it.
    fn replied(&mut self, batch: HttpBatch, replies: Vec<redis::Value>, now: Instant) {
        self.backoff.reset();
        let (alone, sent_with) = (batch.alone, batch.features);
        let mut sent_again: HashSet<Vec<u8>> = HashSet::new();
        for (pending, outcome, position) in batch.outcomes(replies) {
            let is_overtaken = !sent_again.is_empty() && sent_again.contains(&pending.request.call.execution_key());
            if is_overtaken {
                requeue(if alone { &mut self.alone } else { &mut self.queue }, pending);
                continue;
            }
            let error_reply = match outcome {
                Ok(reply) => {
                    self.finished.push(pending.finish(Ok(reply)).at(Some(position)));
                    continue;
                }
                Err(error_reply) => self.without_token(error_reply),
            };
            match refuse(pending, error_reply, sent_with, &mut self.features) {
                Ok(finished) => self.finished.push(finished),
                Err(refused) => {
                    let Refused { pending, pause, .. } = *refused;
                    if pause {
                        self.pause(None, now);
                    }
                    sent_again.insert(pending.request.call.execution_key());
                    requeue(if alone { &mut self.alone } else { &mut self.queue }, pending);
                }
            }
        }
    }

    /// The request as a whole was answered with an error.
    fn on_error_reply(&mut self, batch: HttpBatch, status: u16, words: &str, now: Instant) {
        let error_reply = self.without_token(ErrorReply::of(words));
        match (status, retry_decision(&error_reply)) {
            _ if self.features.learn_from_transaction(&error_reply, batch.features) => {
                // Several shards: calls are taken apart from now on, and transactions of several executions are not sent together.
                let queue = if batch.alone { &mut self.alone } else { &mut self.queue };
                for pending in batch.into_unanswered(true) {
                    requeue(queue, pending);
                }
            }
            (401, _) => {
                let error = error::wrong_token(error_reply);
                self.finished.extend(batch.into_unanswered(true).map(|pending| pending.finish(Err(error.clone()))));
            }
            (_, RetryDecision::Report) => self.refused(batch, error::refused(status, error_reply)),
            _ => self.retry(batch, true, error::refused(status, error_reply), None, now),
        }
    }

    /// A refusal that does not repeat the token.
    fn without_token(&self, error_reply: ErrorReply) -> ErrorReply {
        conceal(error_reply, iter::once(&self.upstash.token), WORDS_WITH_TOKEN)
    }

    /// Trying the same request again would not help. Which of several calls is at fault is not known, so each is tried by
    /// itself, and without what it only carries.
    fn refused(&mut self, batch: HttpBatch, error: StoreError) {
        if !batch.is_divisible() {
            return self.finished.extend(batch.into_unanswered(true).map(|pending| pending.finish(Err(error.clone()))));
        }
        for mut pending in batch.into_unanswered(true) {
            pending.request.call.drop_prefetch();
            requeue(&mut self.alone, pending);
        }
    }

    fn fail(&mut self, batch: HttpBatch, error: StoreError) {
        self.finished.extend(batch.into_unanswered(false).map(|pending| pending.fail(error.clone())));
    }

    /// Puts the calls of a request back to be sent again after a pause. With `unsent`, they were not carried out.
    fn retry(&mut self, batch: HttpBatch, unsent: bool, error: StoreError, after: Option<Duration>, now: Instant) {
        self.pause(after, now);
        let queue = if batch.alone { &mut self.alone } else { &mut self.queue };
        for pending in batch.into_unanswered(unsent) {
            requeue(queue, PendingCall { error_reply: Some(Box::new(error.clone())), ..pending });
        }
    }

    /// Sends nothing for a while: as long as the server says, else longer each time.
    fn pause(&mut self, after: Option<Duration>, now: Instant) {
        let until = now + after.unwrap_or_else(|| self.backoff.next());
        self.resume_at = Some(self.resume_at.map_or(until, |earlier| earlier.max(until)));
    }

    /// Keeps the token of the last answer. One to a question that was asked before the last write was answered may be older
    /// than that write.
    fn note_sync_token(&mut self, batch: &HttpBatch, token: Option<HeaderValue>, now: Instant) {
        let is_older = !batch.writes && self.written_at.is_some_and(|at| batch.sent_at < at);
        if !self.upstash.read_your_writes || is_older || token.is_none() {
            return;
        }
        self.sync_token = token;
        if batch.writes {
            self.written_at = Some(now);
        }
    }
}
