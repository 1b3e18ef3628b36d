//! What others see of an endpoint, and pings: one request of their own each.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::batch::{End, Event, HttpBatch};
use super::client::{Client, Failure, Head, MAX_ANSWER_BYTES, Response};
use super::driver::HttpDriver;
use super::encode::Path;
use super::waiting::WaitingCalls;
use super::{decode, error};
use crate::error::StoreError;
use crate::error_texts::http::{TOO_MANY_REQUESTS, UNAUTHORIZED};
use crate::store::ErrorReply;
use crate::transport::error::ConnectError;
use crate::transport::ping::Ping;

type Answer = Pin<Box<dyn Future<Output = Result<(Head, Vec<u8>), Failure>> + Send>>;

/// A ping whose request is under way.
pub struct HttpPing {
    ping: Ping,
    sent_at: Instant,
    answer: Answer,
}

impl HttpDriver {
    /// Sends the pings that have arrived.
    pub(super) fn take_pings(&mut self, now: Instant) {
        for ping in self.inbox.take_pings() {
            match &self.client {
                Ok(client) => {
                    let answer: Answer = Box::pin(read_answer(send(client)));
                    self.connections.pinged(now);
                    self.pings.push(HttpPing { ping, sent_at: now, answer });
                }
                Err(connect_error) => ping.answer(Err(connect_error.error().clone())),
            }
        }
    }

    /// Answers pings, and gives up those that are past their deadline.
    pub(super) fn poll_pings(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut index = 0;
        while let Some(HttpPing { ping, answer, .. }) = self.pings.get_mut(index) {
            let answer = answer.as_mut().poll(cx);
            let is_over = ping.deadline <= now;
            match answer {
                Poll::Pending if !is_over => index += 1,
                Poll::Pending => self.pings.swap_remove(index).ping.expire(None),
                Poll::Ready(answer) => {
                    let HttpPing { ping, sent_at, .. } = self.pings.swap_remove(index);
                    // A connection that could not be made has brought nothing.
                    if answer.is_ok() {
                        self.connections.ponged(sent_at, now);
                    }
                    let pong = self.read_pong(answer);
                    ping.answer(pong.map(|()| now.saturating_duration_since(sent_at)));
                }
            }
        }
    }

    /// When the first ping is given up.
    pub(super) fn ping_deadline(&self) -> Option<Instant> {
        self.pings.iter().map(|ping| ping.ping.deadline).min()
    }

    fn read_pong(&self, answer: Result<(Head, Vec<u8>), Failure>) -> Result<(), StoreError> {
        let (head, body) = match answer {
            Ok(answer) => answer,
            Err(Failure::NotSent(connect_error) | Failure::Lost(connect_error)) => {
                return Err(connect_error.error().clone());
            }
            Err(Failure::TooLarge) => return Err(error::answer_too_large(MAX_ANSWER_BYTES)),
        };
        let words = decode::read_error_reply(&body);
        let reply = |otherwise: &str| self.without_token(ErrorReply::of(words.as_deref().unwrap_or(otherwise)));
        match (head.status, &words) {
            (200..300, None) => Ok(()),
            (401, _) => Err(error::wrong_token(reply(UNAUTHORIZED))),
            (429, _) => Err(error::too_many(reply(TOO_MANY_REQUESTS))),
            (500.., _) => Err(error::broken(head.status, &self.target.settings.address)),
            (status, Some(_)) => match error::refused(status, reply("")) {
                // Who may not ask has been answered all the same.
                error if error.reply.as_deref() == Some("NOPERM") => Ok(()),
                error => Err(error),
            },
            (status, None) => Err(error::not_an_answer(status)),
        }
    }

    /// Lets others see what happened to a request.
    pub(super) fn observe(&mut self, event: &Event, now: Instant) {
        let error = match event {
            Event::Replies(_) => None,
            Event::End(End::Failed(Failure::NotSent(error) | Failure::Lost(error))) => Some(error.error().clone()),
            Event::End(End::Status(head, _)) if head.status >= 500 => {
                Some(error::broken(head.status, &self.target.settings.address))
            }
            Event::End(_) => return,
        };
        if let Some(error) = &error {
            self.observer.observed().note_error(error);
        }
        let (waiting, batches) = (&self.waiting, &self.batches);
        self.observer.note(error.is_none(), now, || {
            (error.unwrap_or_else(|| ConnectError::closed().error().clone()), pending(waiting, batches))
        });
    }

    /// Lets others see that calls are tried again after a pause.
    pub(super) fn observe_retry(&self, error: &StoreError, now: Instant) {
        let pause = self.pace.next_moment(now).map_or_else(Default::default, |at| at.saturating_duration_since(now));
        self.observer.retries(error.clone(), pending(&self.waiting, &self.batches), pause);
    }
}

fn pending(waiting: &WaitingCalls, batches: &[HttpBatch]) -> usize {
    waiting.count() + batches.iter().map(HttpBatch::len).sum::<usize>()
}

fn send(client: &Client) -> impl Future<Output = Result<Response, Failure>> + Send + 'static {
    client.send(Path::Single, br#"["PING"]"#.to_vec(), None)
}

async fn read_answer(
    answer: impl Future<Output = Result<Response, Failure>> + Send + 'static,
) -> Result<(Head, Vec<u8>), Failure> {
    let mut response = answer.await?;
    let mut body = Vec::new();
    // Of a broken server the status says all. An answer may be whole and not end.
    while response.head.status < 500
        && !decode::is_whole(&body)
        && let Some(bytes) = poll_fn(|cx| response.poll_body(cx)).await
    {
        body.extend_from_slice(&bytes?);
    }
    Ok((response.head, body))
}
