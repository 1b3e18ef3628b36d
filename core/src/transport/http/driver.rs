//! Upstash over HTTP: a driver that sends what waits in as few requests as the order allows, hands back the answers,
//! gives up what is past its deadline, and sends again what was refused for now.
//!
//! HTTP has no connection to fence: a request that was cut may be carried out after it was sent again. So a request that
//! writes is waited for as long as its calls have time, and never raced by a second one while its connection is good.

use std::future::poll_fn;
use std::iter;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;

use super::batch::{Attempt, End, Event, HttpBatch, Outcome};
use super::client::{Client, Failure, Head, MAX_ANSWER_BYTES};
use super::connections_in_use::ConnectionsInUse;
use super::pace::{Pace, Punctuality};
use super::rests::Rests;
use super::seen::HttpPing;
use super::waiting::{WaitingCalls, Whose};
use super::{decode, error};
use crate::config::{Topology, Upstash};
use crate::error::StoreError;
use crate::error_texts::http::{REQUEST_TOO_LARGE, TOO_MANY_REQUESTS, UNAUTHORIZED, WORDS_WITH_TOKEN};
use crate::store::server_features::{Refused, ServerFeatures};
use crate::store::{ErrorReply, Operation};
use crate::transport::connection::refusal::{Refusal, Scope, decide};
use crate::transport::error::ConnectError;
use crate::transport::handover::{Handover, Learnt};
use crate::transport::inbox::{Idle, Inbox};
use crate::transport::observed::{Counts, ServerObserver};
use crate::transport::pending_calls::{PendingCall, deliver};
use crate::transport::protocol::auth::conceal;
use crate::transport::request::Finished;
use crate::transport::result_budget::{Blocked, SMALL};
use crate::transport::retry_policy::{RetryDecision, retry_decision};
use crate::transport::target::{Member, Target};
use crate::transport::timer::Timer;
use crate::transport::warning::not_atomic;

/// Requests under way at the same time; with HTTP/1.1, connections. The last of them is for stores that have nothing under way,
/// so that they do not wait for the thousands of another one.
const MAX_BATCHES: usize = 16;

/// Serves one database until its last handle is dropped and nothing is pending, or until it turns out that it has several
/// shards, so that calls have to be taken apart.
pub async fn serve(target: Target, inbox: Arc<Inbox>) -> Option<Handover> {
    let Topology::Upstash(upstash) = &target.settings.topology else { return None };
    let features = match &target.member {
        Member::Shards(learnt) => ServerFeatures { cross_slot: false, ..learnt.features },
        Member::Alone | Member::Node(_) => ServerFeatures::default(),
    };
    let mut driver = HttpDriver {
        client: Client::new(&target, upstash, &inbox.observed),
        upstash: upstash.clone(),
        observer: ServerObserver::new(&inbox.observed),
        inbox,
        next_sequence: 0,
        waiting: WaitingCalls::default(),
        pace: Pace::new(target.command_timeout),
        write_pace: Pace::new(target.command_timeout),
        batches: Vec::new(),
        rests: Rests::default(),
        sync_token: None,
        written_at: None,
        connections: ConnectionsInUse::default(),
        finished: Vec::new(),
        closed: false,
        features,
        target,
        answers: false,
        alarm: Timer::new(),
        punctuality: Punctuality::default(),
        blocked: Vec::new(),
        pings: Vec::new(),
    };
    match driver.run().await {
        Phase::Splitting => {
            let HttpDriver { target, mut waiting, next_sequence, features, .. } = driver;
            let learnt = Learnt { features, ..Learnt::default() };
            Some(Handover { target, learnt, pending: waiting.take().into(), next_sequence })
        }
        Phase::Serving | Phase::Closing => None,
    }
}

/// What the driver is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Calls may come.
    Serving,
    /// The last handle was dropped: what is pending is finished.
    Closing,
    /// The database has several shards: what is under way is finished, and the rest handed over.
    Splitting,
}

pub(super) struct HttpDriver {
    pub(super) target: Target,
    upstash: Upstash,
    pub(super) inbox: Arc<Inbox>,
    /// What others can see of the endpoint.
    pub(super) observer: ServerObserver,
    /// Or why there can be none.
    pub(super) client: Result<Client, ConnectError>,
    next_sequence: u64,
    /// To be sent.
    pub(super) waiting: WaitingCalls,
    /// When something may be sent.
    pub(super) pace: Pace,
    /// And when something that writes.
    write_pace: Pace,
    pub(super) batches: Vec<HttpBatch>,
    rests: Rests,
    sync_token: Option<HeaderValue>,
    /// When the answer to the last write came.
    written_at: Option<Instant>,
    pub(super) connections: ConnectionsInUse,
    /// Over, but not yet handed back.
    finished: Vec<Finished>,
    /// The last handle of the connection was dropped.
    closed: bool,
    features: ServerFeatures,
    /// The endpoint has answered something.
    answers: bool,
    alarm: Timer,
    punctuality: Punctuality,
    /// What calls wait for besides.
    blocked: Vec<Blocked>,
    /// Those without an answer.
    pub(super) pings: Vec<HttpPing>,
}

impl HttpDriver {
    /// Runs until there is nothing to do in the phase that it returns.
    async fn run(&mut self) -> Phase {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.punctuality.woke(now);
                self.drain_inbox(now);
                self.take_pings(now);
                self.poll_pings(cx, now);
                self.expire(now);
                let bytes_read = self.rests.poll(cx, now);
                self.inbox.observed.count(Counts { bytes_read, ..Counts::default() });
                let mut any = self.settle(cx, now);
                self.leave_silent_connections(now);
                any |= self.send(now);
                deliver(&mut self.finished);
                if any {
                    continue;
                }
                let phase = self.phase();
                let is_over = match phase {
                    Phase::Serving => false,
                    Phase::Closing => self.batches.is_empty() && self.waiting.is_empty(),
                    Phase::Splitting => self.batches.is_empty(),
                };
                if is_over {
                    return Poll::Ready(phase);
                }
                let moment = self.punctuality.sleeps_until(self.next_moment(now));
                if self.alarm.sleep_until(cx, moment)
                    && self.inbox.register_waker(self.closed, Idle::No, cx)
                    && self.blocked.iter().all(|blocked| blocked.register(cx))
                {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn phase(&self) -> Phase {
        match self.closed {
            // Calls on several keys can't be sent whole to several shards.
            _ if !self.features.cross_slot && !self.target.member.is_routed() => Phase::Splitting,
            true => Phase::Closing,
            false => Phase::Serving,
        }
    }

    /// Moves what has arrived to what waits.
    fn drain_inbox(&mut self, now: Instant) {
        for request in self.inbox.take(&mut self.closed) {
            let deadline = request.deadline(self.target.command_timeout, now);
            let pending = PendingCall::new(request, self.next_sequence, deadline);
            self.waiting.push(pending);
            self.next_sequence += 1;
        }
    }

    /// When there is something to do again, if nothing arrives before.
    fn next_moment(&self, now: Instant) -> Option<Instant> {
        let patience = self.patience();
        let of_batch = |batch: &HttpBatch| [batch.deadline(), batch.ask_again_at(patience), batch.rest_ends_at()];
        let batches = self.batches.iter().flat_map(of_batch).flatten();
        let resumes = [&self.pace, &self.write_pace].into_iter().filter_map(|pace| pace.next_moment(now));
        let resume = resumes.min().filter(|_| !self.waiting.is_empty());
        let silent = self.connections.silent_at(&self.batches, patience);
        self.waiting
            .deadline()
            .into_iter()
            .chain(batches)
            .chain(resume)
            .chain(silent)
            .chain(self.rests.ends_at())
            .chain(self.ping_deadline())
            .min()
    }

    /// When the endpoint has been silent for too long, the connections are left to what is under way on them: they may be dead, and
    /// with HTTP/2 one of them carries everything.
    fn leave_silent_connections(&mut self, now: Instant) {
        let silent_at = self.connections.silent_at(&self.batches, self.patience());
        if !self.punctuality.is_late()
            && silent_at.is_some_and(|at| at <= now)
            && let Ok(client) = &mut self.client
        {
            client.leave_connections();
            self.connections = ConnectionsInUse::made_at(now);
        }
    }

    /// How long an endpoint that was asked something may be silent, before it is asked again: half the time of a call.
    fn patience(&self) -> Duration {
        self.target.command_timeout / 2
    }

    /// Gives up what is past its deadline. A request of which nothing is left is broken off.
    fn expire(&mut self, now: Instant) {
        let (timeout, finished) = (self.target.command_timeout, &mut self.finished);
        finished.extend(self.waiting.expired(now).map(|pending| pending.expire(timeout, None)));
        if self.punctuality.is_late() {
            return;
        }
        self.batches.retain_mut(|batch| !batch.expire(now, timeout, finished));
    }

    /// Sends what may be sent; true when anything was.
    fn send(&mut self, now: Instant) -> bool {
        self.blocked.clear();
        if self.waiting.is_empty() || self.phase() == Phase::Splitting {
            return false;
        }
        let client = match &self.client {
            Ok(client) => client,
            Err(connect_error) => {
                let all = self.waiting.take();
                self.finished.extend(all.into_iter().map(|pending| pending.fail(connect_error.error().clone())));
                return true;
            }
        };
        let before = self.batches.len();
        loop {
            let (most, most_writes) = (self.pace.allows(now).most(), self.write_pace.allows(now).most());
            let whose = if self.batches.len() < MAX_BATCHES - 1 { Whose::All } else { Whose::Idle };
            if self.batches.len() == MAX_BATCHES || most == 0 {
                break;
            }
            let over = (client, self.sync_token.as_ref());
            let Some(batch) = HttpBatch::send(
                &mut self.waiting,
                &mut self.blocked,
                (whose, most, most_writes),
                self.features,
                over,
                now,
            ) else {
                break;
            };
            self.observer.observed().count(batch.sent_counts());
            if let Some(sink) = &batch.expiries_apart
                && let warning = not_atomic(&self.target.settings.address)
                && warning.is_first()
            {
                sink.warn(warning);
            }
            if batch.writes {
                self.write_pace.request_sent(now);
            }
            self.batches.push(batch);
            self.pace.request_sent(now);
        }
        self.batches.len() > before
    }

    /// Hands out the answers that have come; true when there were any.
    fn settle(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        let mut index = 0;
        let patience = self.patience();
        while let Some(batch) = self.batches.get_mut(index) {
            let event = batch.poll(cx, now);
            self.connections.heard(batch);
            let token = batch.take_sync_token();
            self.note_sync_token(index, token, now);
            let bytes_read = self.batches[index].take_bytes_read();
            self.observer.observed().count(Counts { bytes_read, ..Counts::default() });
            if let Poll::Ready(event) = &event {
                self.observe(event, now);
            }
            match event {
                Poll::Ready(Event::Replies(outcomes)) => self.replied(index, outcomes, now),
                Poll::Ready(Event::End(end)) => {
                    let batch = self.batches.swap_remove(index);
                    self.ended(batch, end, now);
                }
                Poll::Pending
                    if !self.punctuality.is_late()
                        && self.batches[index].ask_again_at(patience).is_some_and(|at| at <= now) =>
                {
                    // Only this request: the others have answers, or their own patience. Results call by call, because it may be
                    // their size that takes so long.
                    self.leave_silent_connections(now);
                    let batch = self.batches.swap_remove(index);
                    let error = error::unresponsive(&self.target.settings.address);
                    self.requeue(batch, Attempt::Lost, error.error(), Operation::reads_results);
                }
                Poll::Pending => {
                    index += 1;
                    continue;
                }
            }
            any = true;
        }
        any
    }

    /// A request is over.
    fn ended(&mut self, batch: HttpBatch, end: End, now: Instant) {
        self.answers |= !matches!(end, End::Failed(_));
        match end {
            End::Complete => {}
            End::Answered => {
                if let Some(response) = batch.into_rest() {
                    self.rests.add(response, now);
                }
            }
            End::Failed(Failure::NotSent(ConnectError::Fatal(error))) => self.fail(batch, Attempt::NotSent, &error),
            End::Failed(Failure::NotSent(connect_error)) => {
                self.retry(batch, Attempt::NotSent, connect_error.error(), None, now);
            }
            End::Failed(Failure::Lost(connect_error)) if !self.answers && self.target.settings.tls.is_none() => {
                let error = error::hung_up(&self.target.settings.address, connect_error.error());
                self.retry(batch, Attempt::Lost, &error, None, now);
            }
            End::Failed(Failure::Lost(connect_error)) => {
                self.retry(batch, Attempt::Lost, connect_error.error(), None, now);
            }
            End::Failed(Failure::TooLarge) => self.too_large(batch),
            End::Status(head, body) => self.unsuccessful(batch, &head, &body, now),
            End::Refused(words) => self.on_error_reply(batch, 200, &words, now),
            End::Malformed => self.fail(batch, Attempt::Lost, &error::not_an_answer(200)),
        }
    }

    /// There is an answer, though not the one that was hoped for.
    fn unsuccessful(&mut self, batch: HttpBatch, head: &Head, body: &[u8], now: Instant) {
        let status = head.status;
        match status {
            429 => {
                let words = decode::read_error_reply(body);
                let error_reply = ErrorReply::of(words.as_deref().unwrap_or(TOO_MANY_REQUESTS));
                let error = error::too_many(self.without_token(error_reply));
                self.retry(batch, Attempt::Postponed, &error, head.retry_after, now);
            }
            500.. => {
                let error = error::broken(status, &self.target.settings.address);
                self.retry(batch, Attempt::Lost, &error, head.retry_after, now);
            }
            _ => match decode::read_error_reply(body) {
                Some(words) => self.on_error_reply(batch, status, &words, now),
                None if status == 413 => self.on_error_reply(batch, status, REQUEST_TOO_LARGE, now),
                None if status == 401 => self.on_error_reply(batch, status, UNAUTHORIZED, now),
                None => self.fail(batch, Attempt::Lost, &error::not_an_answer(status)),
            },
        }
    }

    /// Commands have been answered. What comes after a call that is sent again, for the same execution, is sent again too,
    /// though it was done: otherwise that call would be done after it.
    fn replied(&mut self, index: usize, outcomes: Vec<Outcome>, now: Instant) {
        self.answers = true;
        for (mut pending, outcome, position) in outcomes {
            let batch = &mut self.batches[index];
            let company = batch.company;
            if batch.is_overtaken(&pending.request.call.execution_key()) {
                pending.request.delivery.repeated();
                self.waiting.push_again(pending, company);
                continue;
            }
            let sent_with = batch.features;
            let refused = match outcome {
                Ok(reply) => {
                    self.answered(pending.request.call.operation.writes());
                    let bytes = reply.answer.size();
                    if bytes > SMALL
                        && let Some(charge) = pending.request.charge()
                    {
                        charge.complete(bytes);
                    }
                    self.finished.push(pending.finish(Ok(reply)).at(Some(position)));
                    continue;
                }
                Err((error_reply, at_first)) => {
                    Refused { error_reply: self.without_token(error_reply), at_first, sent_with }
                }
            };
            match decide(&pending, refused, &mut self.features) {
                Refusal::Report(error) => {
                    self.answered(pending.request.call.operation.writes());
                    self.finished.push(pending.refuse(error));
                    continue;
                }
                Refusal::HandBack(redirect, error, _) => {
                    self.answered(pending.request.call.operation.writes());
                    self.finished.push(pending.hand_back(redirect, error));
                    continue;
                }
                Refusal::Reshape => {}
                Refusal::Retry(error, scope) | Refusal::Reconnect(error, scope) => {
                    self.pause(scope, None, now);
                    self.observe_retry(&error, now);
                    pending.error_reply = Some(Box::new(error));
                }
            }
            pending.request.delivery.postponed();
            self.batches[index].defer(pending.request.call.execution_key());
            self.waiting.push_again(pending, company);
        }
    }

    /// The request as a whole was answered with an error.
    fn on_error_reply(&mut self, batch: HttpBatch, status: u16, words: &str, now: Instant) {
        let error_reply = self.without_token(ErrorReply::of(words));
        match (status, retry_decision(&error_reply)) {
            _ if self.features.learn_from_transaction(&error_reply, batch.features) => self.reshape(batch),
            (401, _) => {
                let error = error::wrong_token(error_reply);
                let all = batch.into_unanswered(Attempt::Postponed);
                self.finished.extend(all.map(|pending| pending.refuse(error.clone())));
            }
            // It may be the reads. If it is the transaction, a write shows that.
            (_, RetryDecision::Report)
                if batch.isolates && self.features.learn_isolation(batch.features, batch.has_task_names) =>
            {
                self.requeue(batch, Attempt::Postponed, &error::refused(status, error_reply), |_| false);
            }
            _ if batch.is_transaction && self.features.learn_of_multi(&error_reply, batch.features) => {
                self.reshape(batch);
            }
            (_, RetryDecision::Report) => {
                self.refused(batch, Attempt::Postponed, error::refused(status, error_reply));
            }
            _ => {
                self.pause(Scope::of(&error_reply.code), None, now);
                let error = error::refused(status, error_reply);
                self.observe_retry(&error, now);
                self.requeue(batch, Attempt::Postponed, &error, |_| false);
            }
        }
    }

    /// The endpoint refused for now: what that concerns is not sent for a while.
    fn pause(&mut self, scope: Scope, after: Option<Duration>, now: Instant) {
        match scope {
            Scope::Writes => {
                self.write_pace.pause(after, now);
                // That it refuses writes is an answer.
                self.pace.answered();
            }
            Scope::Execution | Scope::Everything => self.pace.pause(after, now),
        }
    }

    /// A call was answered, which may be the one that went first behind a pause.
    fn answered(&mut self, writes: bool) {
        self.pace.answered();
        if writes {
            self.write_pace.answered();
        }
    }

    /// Several shards, or no transactions: calls are taken apart from now on, and those of several executions are not sent together
    /// where that makes them one transaction.
    fn reshape(&mut self, batch: HttpBatch) {
        let company = batch.company;
        for pending in batch.into_unanswered(Attempt::Postponed) {
            self.waiting.push_again(pending, company);
        }
    }

    /// A refusal that does not repeat the token.
    pub(super) fn without_token(&self, error_reply: ErrorReply) -> ErrorReply {
        conceal(error_reply, iter::once(&self.upstash.token), WORDS_WITH_TOKEN)
    }

    /// Trying the same request again would not help. Which of several calls is at fault is not known, so each is tried by
    /// itself, and without what it only carries.
    fn refused(&mut self, batch: HttpBatch, attempt: Attempt, error: StoreError) {
        self.answered(batch.writes);
        if !batch.is_divisible() {
            let all = batch.into_unanswered(attempt);
            return self.finished.extend(all.map(|pending| {
                let error = error::with_cause_of_abort(error.clone(), &pending.request.call);
                pending.refuse(error)
            }));
        }
        for mut pending in batch.into_unanswered(attempt) {
            pending.request.call.drop_prefetch();
            self.waiting.push_again(pending, 1);
        }
    }

    /// The answer as a whole was too large. The call whose reply was coming may be the one that is, so it is tried by itself. The
    /// others are in smaller company, so that hundreds of them do not become hundreds of requests.
    fn too_large(&mut self, batch: HttpBatch) {
        if !batch.is_divisible() || batch.company == 1 {
            return self.refused(batch, Attempt::Lost, error::answer_too_large(MAX_ANSWER_BYTES));
        }
        self.answered(batch.writes);
        let company = batch.company_when_too_large();
        for (place, mut pending) in batch.into_unanswered(Attempt::Lost).enumerate() {
            pending.request.call.drop_prefetch();
            self.waiting.push_again(pending, if place == 0 { 1 } else { company });
        }
    }

    fn fail(&mut self, batch: HttpBatch, attempt: Attempt, error: &StoreError) {
        self.finished.extend(batch.into_unanswered(attempt).map(|pending| pending.fail(error.clone())));
    }

    /// Puts the calls of a request back to be sent again after a pause, as long as the server says within limits.
    fn retry(&mut self, batch: HttpBatch, attempt: Attempt, error: &StoreError, after: Option<Duration>, now: Instant) {
        self.pause(Scope::Everything, after, now);
        self.observe_retry(error, now);
        self.requeue(batch, attempt, error, |_| false);
    }

    /// Puts the calls of a request back to be sent again, some of them in requests of their own.
    fn requeue(&mut self, batch: HttpBatch, attempt: Attempt, error: &StoreError, alone: impl Fn(Operation) -> bool) {
        let company = batch.company;
        for pending in batch.into_unanswered(attempt) {
            let pending = PendingCall { error_reply: Some(Box::new(error.clone())), ..pending };
            let company = if alone(pending.request.call.operation) { 1 } else { company };
            self.waiting.push_again(pending, company);
        }
    }

    /// Keeps the token of the last answer. One to a question that was asked before the last write was answered may be older
    /// than that write.
    fn note_sync_token(&mut self, index: usize, token: Option<HeaderValue>, now: Instant) {
        let batch = &self.batches[index];
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
