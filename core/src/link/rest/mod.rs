//! Upstash over HTTP: a supervisor that sends what waits in as few requests as the order allows, hands back the answers,
//! gives up what is past its deadline, and asks again after what passes.
//!
//! HTTP has no connection to fence: a request that was cut may be carried out after it was sent again. So a request that
//! writes is waited for as long as its calls have time, and never raced by a second one while its connection is good.

mod answer;
mod connect;
mod http;
mod parcel;
mod proxy;
mod request;
mod traffic;
mod trouble;

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::iter;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;

use super::alarm::Alarm;
use super::auth::conceal;
use super::batch::{Refused, refuse};
use super::pending::{Waiting, deliver, expired, line_up, put_back};
use super::retry::{Backoff, Trouble, Verdict, verdict};
use super::{Finished, Handover, Inbox, Member, Target};
use crate::config::{Topology, Upstash};
use crate::error::StoreError;
use crate::store::Ahead;
use crate::store::call::Dialect;
use crate::store::reply::Refusal;
use answer::Answer;
use http::{Client, Failure, Response};
use parcel::Parcel;
use traffic::{Traffic, execution};

/// Requests under way at the same time; with HTTP/1.1, connections.
const MOST_PARCELS: usize = 16;

/// Serves one database until its link is closed and nothing is pending, or until it turns out that it has several shards, so
/// that calls have to be taken apart.
pub async fn serve(target: Target, inbox: Arc<Inbox>) -> Option<Handover> {
    let Topology::Upstash(upstash) = &target.settings.topology else { return None };
    let mut supervisor = Supervisor {
        client: Client::new(&target, upstash),
        upstash: upstash.clone(),
        inbox,
        next_sequence: 0,
        queue: VecDeque::new(),
        alone: VecDeque::new(),
        resume_at: None,
        parcels: Vec::new(),
        traffic: Traffic::default(),
        sync_token: None,
        written_at: None,
        finished: Vec::new(),
        closed: false,
        dialect: Dialect { cross_slot: !matches!(target.member, Member::Shards), ..Dialect::default() },
        target,
        backoff: Backoff::default(),
        alarm: Alarm::new(),
    };
    supervisor.run().await;
    if !supervisor.is_to_be_taken_apart() {
        return None;
    }
    let Supervisor { target, queue: mut pending, alone, next_sequence, .. } = supervisor;
    for waiting in alone {
        put_back(&mut pending, waiting);
    }
    Some(Handover { target, pending, next_sequence })
}

struct Supervisor {
    target: Target,
    upstash: Upstash,
    inbox: Arc<Inbox>,
    /// Or why there can be none.
    client: Result<Client, Trouble>,
    next_sequence: u64,
    /// To be sent.
    queue: VecDeque<Waiting>,
    /// To be sent each in a request of its own, because a request they were in was refused as a whole. What is in `queue`
    /// of the same execution came later, or reads like it.
    alone: VecDeque<Waiting>,
    /// Nothing is sent before.
    resume_at: Option<Instant>,
    parcels: Vec<Parcel>,
    traffic: Traffic,
    sync_token: Option<HeaderValue>,
    /// When the answer to the last write came.
    written_at: Option<Instant>,
    /// Over, but not yet handed back.
    finished: Vec<Finished>,
    /// The link's last handle is gone.
    closed: bool,
    dialect: Dialect,
    backoff: Backoff,
    alarm: Alarm,
}

impl Supervisor {
    async fn run(&mut self) {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.take_in(now);
                self.expire(now);
                let mut any = self.settle(cx, now);
                any |= self.send(now);
                deliver(&mut self.finished);
                if any {
                    continue;
                }
                let is_idle = self.parcels.is_empty();
                if is_idle && self.is_to_be_taken_apart() {
                    return Poll::Ready(());
                }
                if is_idle && self.closed && self.queue.is_empty() && self.alone.is_empty() {
                    return Poll::Ready(());
                }
                let moment = self.next_moment(now);
                if self.alarm.sleep_until(cx, moment) && self.inbox.leave_word(self.closed, cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Moves what has arrived into the queue.
    fn take_in(&mut self, now: Instant) {
        let deadline = now + self.target.command_timeout;
        for request in self.inbox.take(&mut self.closed) {
            line_up(&mut self.queue, request, self.next_sequence, deadline);
            self.next_sequence += 1;
        }
    }

    /// Whether there are several shards, so that calls on several keys can't be sent whole.
    fn is_to_be_taken_apart(&self) -> bool {
        !self.dialect.cross_slot && !self.target.member.is_routed()
    }

    /// When there is something to do again, if nothing is heard before.
    fn next_moment(&self, now: Instant) -> Option<Instant> {
        let waiting = [&self.queue, &self.alone].into_iter().filter_map(|queue| Some(queue.front()?.deadline));
        let parcels = self.parcels.iter().flat_map(|parcel| [parcel.deadline(), self.ask_again_at(parcel)]).flatten();
        let resume = self.resume_at.filter(|at| *at > now);
        waiting.chain(parcels).chain(resume).min()
    }

    /// When a request that only reads is given up to be sent again: half the time of its calls.
    fn ask_again_at(&self, parcel: &Parcel) -> Option<Instant> {
        (!parcel.writes).then(|| parcel.sent_at + self.target.command_timeout / 2)
    }

    /// Gives up what is past its deadline. A request of which nothing is left is broken off.
    fn expire(&mut self, now: Instant) {
        let timeout = self.target.command_timeout;
        for queue in [&mut self.alone, &mut self.queue] {
            self.finished.extend(expired(queue, now).map(|waiting| waiting.expire(timeout, None)));
        }
        let finished = &mut self.finished;
        for parcel in self.parcels.extract_if(.., |parcel| parcel.expire(now, timeout, finished)) {
            parcel.leave(&mut self.traffic);
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
            Err(trouble) => {
                let all = self.alone.drain(..).chain(self.queue.drain(..));
                self.finished.extend(all.map(|waiting| waiting.give_up(trouble.error().clone())));
                return true;
            }
        };
        let before = self.parcels.len();
        let mut turnstile = self.traffic.open();
        for (queue, alone) in [(&mut self.alone, true), (&mut self.queue, false)] {
            while self.parcels.len() < MOST_PARCELS {
                let over = (client, self.sync_token.as_ref());
                let Some(parcel) = Parcel::send(queue, alone, &mut turnstile, self.dialect, over, now) else { break };
                self.parcels.push(parcel);
            }
        }
        self.parcels.len() > before
    }

    /// Hands out the answers that have come; true when there were any.
    fn settle(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        let mut index = 0;
        while let Some(parcel) = self.parcels.get_mut(index) {
            let answer = match parcel.poll(cx) {
                Poll::Ready(answer) => answer,
                Poll::Pending if self.ask_again_at(&self.parcels[index]).is_some_and(|at| at <= now) => {
                    Err(Failure::Lost(trouble::silent(&self.target.settings.address)))
                }
                Poll::Pending => {
                    index += 1;
                    continue;
                }
            };
            any = true;
            let parcel = self.parcels.swap_remove(index);
            parcel.leave(&mut self.traffic);
            match answer {
                Ok(response) => self.answered(parcel, response, now),
                Err(failure) => self.failed(parcel, failure, now),
            }
        }
        any
    }

    /// There is no answer.
    fn failed(&mut self, parcel: Parcel, failure: Failure, now: Instant) {
        match failure {
            Failure::NotSent(Trouble::Refused(error)) => {
                self.finished.extend(parcel.into_unanswered(true).map(|waiting| waiting.give_up(error.clone())));
            }
            Failure::NotSent(trouble) => self.again(parcel, true, trouble.error().clone(), None, now),
            Failure::Lost(trouble) => self.again(parcel, false, trouble.error().clone(), None, now),
            Failure::TooLarge => self.refused(parcel, trouble::answer_too_large()),
        }
    }

    /// There is an answer, though perhaps not the one that was hoped for.
    fn answered(&mut self, parcel: Parcel, response: Response, now: Instant) {
        let Response { status, retry_after, sync_token, body } = response;
        match status {
            200..300 => {
                self.note_sync_token(&parcel, sync_token, now);
                match parcel.read(&body) {
                    Some(Answer::Replies(replies)) => self.replied(parcel, replies, now),
                    Some(Answer::Refused(words)) => self.said_no(parcel, status, &words, now),
                    None => self.give_up(parcel, trouble::not_an_answer(status)),
                }
            }
            429 => {
                let words = answer::read_refusal(&body);
                let refusal = Refusal::of(words.as_deref().unwrap_or("ERR too many requests"));
                let error = trouble::too_many(self.without_token(refusal));
                self.again(parcel, true, error, retry_after, now);
            }
            500.. => {
                let error = trouble::broken(status, &self.target.settings.address);
                self.again(parcel, false, error, retry_after, now);
            }
            _ => match answer::read_refusal(&body) {
                Some(words) => self.said_no(parcel, status, &words, now),
                None if status == 413 => self.said_no(parcel, status, "ERR the request is too large", now),
                None if status == 401 => self.said_no(parcel, status, "Unauthorized", now),
                None => self.give_up(parcel, trouble::not_an_answer(status)),
            },
        }
    }

    /// Each command has been answered. What comes after a call that is sent again, for the same execution, is sent again too, though
    /// it was done: otherwise that call would be done after it.
    fn replied(&mut self, parcel: Parcel, replies: Vec<redis::Value>, now: Instant) {
        self.backoff.reset();
        let (alone, sent_with) = (parcel.alone, parcel.dialect);
        let mut sent_again: HashSet<Vec<u8>> = HashSet::new();
        for (waiting, outcome, position) in parcel.outcomes(replies) {
            let is_overtaken = !sent_again.is_empty() && sent_again.contains(&execution(&waiting.request.call));
            if is_overtaken {
                put_back(if alone { &mut self.alone } else { &mut self.queue }, waiting);
                continue;
            }
            let refusal = match outcome {
                Ok(reply) => {
                    self.finished.push(waiting.finish(Ok(reply)).at(Some(position)));
                    continue;
                }
                Err(refusal) => self.without_token(refusal),
            };
            match refuse(waiting, refusal, sent_with, &mut self.dialect) {
                Ok(finished) => self.finished.push(finished),
                Err(refused) => {
                    let Refused { waiting, pause, .. } = *refused;
                    if pause {
                        self.pause(None, now);
                    }
                    sent_again.insert(execution(&waiting.request.call));
                    put_back(if alone { &mut self.alone } else { &mut self.queue }, waiting);
                }
            }
        }
    }

    /// The request as a whole was refused, in a server's words.
    fn said_no(&mut self, parcel: Parcel, status: u16, words: &str, now: Instant) {
        let refusal = self.without_token(Refusal::of(words));
        match (status, verdict(&refusal)) {
            _ if refusal.code == "CROSSSLOT" && parcel.dialect.cross_slot => {
                // Several shards: calls are taken apart from now on, and transactions of several executions are not sent together.
                self.dialect.cross_slot = false;
                let queue = if parcel.alone { &mut self.alone } else { &mut self.queue };
                for waiting in parcel.into_unanswered(true) {
                    put_back(queue, waiting);
                }
            }
            (401, _) => {
                let error = trouble::wrong_token(refusal);
                self.finished.extend(parcel.into_unanswered(true).map(|waiting| waiting.finish(Err(error.clone()))));
            }
            (_, Verdict::Report) => self.refused(parcel, trouble::refused(status, refusal)),
            _ => self.again(parcel, true, trouble::refused(status, refusal), None, now),
        }
    }

    /// A refusal that does not repeat the token.
    fn without_token(&self, refusal: Refusal) -> Refusal {
        conceal(refusal, iter::once(&self.upstash.token), "it refused, in words that repeat the token")
    }

    /// Trying the same request again would not help. Which of several calls is at fault is not known, so each is tried by
    /// itself, and without what it only carries.
    fn refused(&mut self, parcel: Parcel, error: StoreError) {
        if !parcel.is_divisible() {
            return self
                .finished
                .extend(parcel.into_unanswered(true).map(|waiting| waiting.finish(Err(error.clone()))));
        }
        for mut waiting in parcel.into_unanswered(true) {
            waiting.request.call.ahead = Ahead::Nothing;
            put_back(&mut self.alone, waiting);
        }
    }

    fn give_up(&mut self, parcel: Parcel, error: StoreError) {
        self.finished.extend(parcel.into_unanswered(false).map(|waiting| waiting.give_up(error.clone())));
    }

    /// Puts the calls of a request back to be sent again after a pause. With `unsent`, they were not carried out.
    fn again(&mut self, parcel: Parcel, unsent: bool, error: StoreError, after: Option<Duration>, now: Instant) {
        self.pause(after, now);
        let queue = if parcel.alone { &mut self.alone } else { &mut self.queue };
        for waiting in parcel.into_unanswered(unsent) {
            put_back(queue, Waiting { refusal: Some(Box::new(error.clone())), ..waiting });
        }
    }

    /// Sends nothing for a while: as long as the server says, else longer each time.
    fn pause(&mut self, after: Option<Duration>, now: Instant) {
        let until = now + after.unwrap_or_else(|| self.backoff.next());
        self.resume_at = Some(self.resume_at.map_or(until, |earlier| earlier.max(until)));
    }

    /// Keeps the token of the last answer. One to a question that was asked before the last write was answered may be older
    /// than that write.
    fn note_sync_token(&mut self, parcel: &Parcel, token: Option<HeaderValue>, now: Instant) {
        let is_older = !parcel.writes && self.written_at.is_some_and(|at| parcel.sent_at < at);
        if !self.upstash.read_your_writes || is_older || token.is_none() {
            return;
        }
        self.sync_token = token;
        if parcel.writes {
            self.written_at = Some(now);
        }
    }
}
