//! One server: a driver that connects, sends what is queued in pipelines, hands back the answers, gives up what is past
//! its deadline, and after a lost connection sends again what was in flight, fenced against its own past and in its old order.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::attempts::Attempts;
use super::batch::{Batch, Refused};
use super::connect::{ReadyConnection, connect};
use super::handshake::Identity;
use crate::config::{Address, Topology};
use crate::error_texts::connections::CLOSED_BY_SERVER;
use crate::store::server_features::ServerFeatures;
use crate::transport::backoff::Backoff;
use crate::transport::error::ConnectError;
use crate::transport::handover::Handover;
use crate::transport::inbox::Inbox;
use crate::transport::parked_calls::ParkedCalls;
use crate::transport::pending_calls::{PendingCall, deliver, enqueue, expired};
use crate::transport::protocol::guarded_stream::ExpectedReplies;
use crate::transport::request::{Finished, Redirect};
use crate::transport::resend_order::Redo;
use crate::transport::retry_policy;
use crate::transport::sentinel::discovery::{SentinelSubscriptions, primary_moved};
use crate::transport::settings_provider::client_ended;
use crate::transport::target::Target;
use crate::transport::timer::Timer;
use crate::transport::warning::Warning;

/// Calls in flight on one connection; the rest waits here, where a deadline means that nothing was applied.
const WINDOW_CALLS: usize = 16_384;
/// Bytes of arguments in flight on one connection, unless a single batch is larger.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;
/// Batches in flight.
const WINDOW_BATCHES: usize = 512;
/// The pause before a call that was refused for now is sent again.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// Abandoned connections to remember. Older ones have had their time to be reset by the peer.
const MAX_ABANDONED: usize = 16;
/// A connection that lasted this long was a good one: the next pause starts small again.
const STABLE: Duration = Duration::from_secs(1);

/// Runs one connection until its last handle is dropped and nothing is pending, or until it turns out that the server has
/// several shards, so that calls have to be taken apart.
pub async fn serve(target: Target, inbox: Arc<Inbox>) -> Option<Handover> {
    let mut driver = ConnectionDriver {
        silence: (target.command_timeout / 2).clamp(Duration::from_millis(250), Duration::from_secs(5)),
        target,
        inbox,
        next_sequence: 0,
        queue: VecDeque::new(),
        parked: ParkedCalls::default(),
        redo: Redo::default(),
        batches: VecDeque::new(),
        calls_in_flight: 0,
        bytes_in_flight: 0,
        finished: Vec::new(),
        closed: false,
        features: ServerFeatures::default(),
        abandoned: Vec::new(),
        warnings: Vec::new(),
        alarm: Timer::new(),
    };
    match driver.run().await {
        Outcome::Over => None,
        Outcome::Sharded => {
            Some(Handover { target: driver.target, pending: driver.queue, next_sequence: driver.next_sequence })
        }
    }
}

/// How the driver ended.
enum Outcome {
    /// The last handle was dropped and nothing is pending.
    Over,
    /// Its calls have to be taken apart; none of them is in flight.
    Sharded,
}

struct ConnectionDriver {
    target: Target,
    inbox: Arc<Inbox>,
    /// How long a server that owes answers may stay silent before the connection is replaced.
    silence: Duration,
    next_sequence: u64,
    /// To be sent.
    queue: VecDeque<PendingCall>,
    /// To be sent later.
    parked: ParkedCalls,
    /// What was refused on this connection and is not over.
    redo: Redo,
    /// In flight, oldest first; replies come in this order.
    batches: VecDeque<Batch>,
    calls_in_flight: usize,
    bytes_in_flight: usize,
    /// Over, but not yet handed back.
    finished: Vec<Finished>,
    /// The last handle of the connection was dropped.
    closed: bool,
    features: ServerFeatures,
    /// Connections given up with bytes of ours on their way; the next connection kills them first.
    abandoned: Vec<Identity>,
    /// What works and is likely wrong, until there is somebody to be told.
    warnings: Vec<Warning>,
    alarm: Timer,
}

/// Why the driver stopped using a connection.
enum End {
    /// The last handle was dropped and nothing is pending.
    Closed,
    /// The server has several shards, and nothing is in flight.
    Sharded,
    /// It broke, fell silent, or is to the wrong server.
    Replace(ConnectError),
}

impl ConnectionDriver {
    async fn run(&mut self) -> Outcome {
        let mut backoff = match &self.target.settings.topology {
            Topology::Sentinel(_) => Backoff::impatient(),
            _ => Backoff::default(),
        };
        let mut connect_error = ConnectError::connecting(&self.target.settings.address);
        // Whether a connection was made with the target's settings, so that they are complete.
        let mut proven = false;
        let mut attempts = Attempts::default();
        let mut subscriptions = SentinelSubscriptions::default();
        loop {
            let (target, abandoned) = (self.target.clone(), self.abandoned.clone());
            let outcome = {
                let connecting = attempts.outcome(move || connect(target.clone(), proven, abandoned.clone()));
                self.run_until(pin!(connecting), &connect_error).await
            };
            connect_error = match outcome {
                None => return Outcome::Over,
                Some(Err(connect_error)) => connect_error,
                Some(Ok((mut ready, settings))) => {
                    attempts.end();
                    (self.target.settings, proven) = (settings, true);
                    self.abandoned.clear();
                    let new = mem::take(&mut ready.warnings).into_iter();
                    self.warnings.extend(new.filter(|warning| !self.warnings.contains(warning)).collect::<Vec<_>>());
                    let started = Instant::now();
                    let end = self.serve(ready, &mut subscriptions).await;
                    if started.elapsed() >= STABLE {
                        backoff.reset();
                    }
                    match end {
                        End::Closed => {
                            self.hand_back(&connect_error);
                            return Outcome::Over;
                        }
                        End::Sharded => return Outcome::Sharded,
                        End::Replace(connect_error) => connect_error,
                    }
                }
            };
            if let ConnectError::Fatal(error) = &connect_error {
                attempts.end();
                let all = mem::take(&mut self.queue);
                self.finished.extend(all.into_iter().map(|pending| pending.fail(error.clone())));
                backoff.reset();
            }
            if self.target.member.is_routed() {
                self.hand_back(&connect_error);
            }
            if attempts.any() {
                continue;
            }
            if let Topology::Sentinel(sentinels) = &self.target.settings.topology {
                subscriptions.listen_to(sentinels);
            }
            let pause = subscriptions.pause(backoff.next());
            if self.run_until(pin!(pause), &connect_error).await.is_none() {
                return Outcome::Over;
            }
            if matches!(connect_error, ConnectError::Fatal(_)) && self.wait_for_calls().await.is_none() {
                return Outcome::Over;
            }
        }
    }

    /// Returns everything that waits to whoever routes it: there may be another server for it by now.
    fn hand_back(&mut self, connect_error: &ConnectError) {
        let all = mem::take(&mut self.queue);
        self.finished
            .extend(all.into_iter().map(|pending| pending.hand_back(Redirect::Lost, connect_error.error().clone())));
        deliver(&mut self.finished);
    }

    /// Passes warnings on to whoever made a call that waits, if nobody has been told yet.
    fn warn(&mut self) {
        if self.warnings.is_empty() {
            return;
        }
        let Some(pending) = self.queue.iter().find(|pending| !pending.request.call.key_options.quiet) else { return };
        for warning in self.warnings.drain(..).filter(Warning::is_first) {
            pending.request.sink.warn(warning);
        }
    }

    /// Whether the server has left the cluster, as far as we know, so that nothing more is to be expected of it.
    fn is_recalled(&self) -> bool {
        self.target.member.is_routed() && self.closed
    }

    /// Waits for something while calls keep arriving and deadlines keep passing. `None` when there is nothing left to do.
    async fn run_until<T>(
        &mut self,
        mut event: Pin<&mut impl Future<Output = T>>,
        connect_error: &ConnectError,
    ) -> Option<T> {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.drain_inbox(now);
                self.expire(now, Some(connect_error));
                if self.is_recalled() {
                    self.hand_back(connect_error);
                }
                deliver(&mut self.finished);
                if self.is_done() {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(value) = event.as_mut().poll(cx) {
                    return Poll::Ready(Some(value));
                }
                if self.alarm.sleep_until(cx, self.queue.front().map(|pending| pending.deadline))
                    && self.inbox.register_waker(self.closed, cx)
                {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Waits until there is something to send: a server that refused our login is not asked again for nothing. `None`
    /// when there is nothing left to do.
    async fn wait_for_calls(&mut self) -> Option<()> {
        poll_fn(|cx| {
            loop {
                self.drain_inbox(Instant::now());
                if !self.queue.is_empty() {
                    return Poll::Ready(Some(()));
                }
                if self.is_done() {
                    return Poll::Ready(None);
                }
                if self.inbox.register_waker(self.closed, cx) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Uses a connection for as long as it is good.
    async fn serve(&mut self, mut ready: ReadyConnection, subscriptions: &mut SentinelSubscriptions) -> End {
        let (mut seen, mut heard_at) = (ready.progress.count(), Instant::now());
        if !self.target.member.is_routed() {
            self.parked.take_poison_candidates(&mut self.queue, heard_at);
        }
        let mut peer_closed = false;
        let mut ended = pin!(client_ended(self.target.source.clone()));
        let mut moved = pin!(primary_moved(self.target.settings.clone(), subscriptions));
        let end = poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.drain_inbox(now);
                self.expire(now, ready.why_nameless());
                self.warn();
                self.parked.release(&mut self.queue, now);
                let sent = self.send(&ready, cx, now);
                peer_closed |= ready.driver.as_mut().poll(cx).is_ready();
                let heard = ready.learn_name(!self.queue.is_empty(), cx, now);
                let settled = self.settle(cx, now);
                deliver(&mut self.finished);
                let any = match (heard, settled) {
                    (Err(connect_error), _) | (_, Err(connect_error)) => {
                        return Poll::Ready(End::Replace(connect_error));
                    }
                    (Ok(heard), Ok(settled)) => heard || settled || sent,
                };
                if peer_closed {
                    return Poll::Ready(End::Replace(ConnectError::lost(CLOSED_BY_SERVER)));
                }
                if self.is_done() || self.is_recalled() {
                    return Poll::Ready(End::Closed);
                }
                if self.is_to_be_taken_apart() && self.batches.is_empty() {
                    return Poll::Ready(End::Sharded);
                }
                if any {
                    continue;
                }
                if self.batches.is_empty()
                    && let Poll::Ready(connect_error) = ended.as_mut().poll(cx)
                {
                    return Poll::Ready(End::Replace(connect_error));
                }
                if let Poll::Ready(connect_error) = moved.as_mut().poll(cx) {
                    return Poll::Ready(End::Replace(connect_error));
                }
                if ready.progress.count() != seen {
                    (seen, heard_at) = (ready.progress.count(), now);
                }
                let owed_since = self.batches.front().map(|batch| batch.sent_at).or(ready.asked_since());
                let silent_at = owed_since.map(|since| since.max(heard_at) + self.silence);
                if silent_at.is_some_and(|at| at <= now) {
                    return Poll::Ready(End::Replace(ConnectError::unresponsive(&self.target.settings.address)));
                }
                let deadlines = [
                    silent_at,
                    self.batches.iter().filter_map(Batch::deadline).min(),
                    self.queue.front().map(|pending| pending.deadline),
                ];
                let asks_again = ready.asks_again_at().filter(|_| !self.queue.is_empty());
                let moments = deadlines.into_iter().chain(self.parked.moments()).chain([asks_again]);
                if self.alarm.sleep_until(cx, moments.flatten().min()) && self.inbox.register_waker(self.closed, cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
        // A server that closes a Unix socket has done with it; a closed TCP connection may have had a proxy in between.
        let done_with = peer_closed && matches!(self.target.settings.address, Address::Unix(_));
        self.find_poison_call(&ready.expected_replies);
        // Which drops the driver and so closes the socket, and with it whatever the kernel has not sent.
        let identity = ready.into_identity();
        if !self.batches.is_empty() && !done_with {
            self.abandoned.extend(identity);
            let surplus = self.abandoned.len().saturating_sub(MAX_ABANDONED);
            self.abandoned.drain(..surplus);
        }
        self.requeue();
        end
    }

    /// Looks for what may have ended the connection, and would do so again and again and let no other call through: the call
    /// that the server refused or answered with too much is over, and one that it did not answer is noted.
    fn find_poison_call(&mut self, expected_replies: &ExpectedReplies) {
        let mut batches = self.batches.iter_mut();
        let poison_call = if let Some(number) = expected_replies.too_large() {
            batches.find_map(|batch| batch.take_poison_call(number, PendingCall::fail_too_large))
        } else if let Some((number, error)) =
            expected_replies.last_word().and_then(|(at, word)| Some((at, retry_policy::closing_error(word)?)))
        {
            batches.find_map(|batch| batch.take_poison_call(number, |pending| pending.finish(Err(error.clone()))))
        } else {
            if let Some(pending) = batches.find_map(|batch| batch.pending_at(expected_replies.next())) {
                pending.losses += 1;
            }
            None
        };
        self.finished.extend(poison_call);
    }

    /// Moves what has arrived into the queue.
    fn drain_inbox(&mut self, now: Instant) {
        let deadline = now + self.target.command_timeout;
        for request in self.inbox.take(&mut self.closed) {
            enqueue(&mut self.queue, request, self.next_sequence, deadline);
            self.next_sequence += 1;
        }
    }

    /// Gives up what is past its deadline, wherever it is.
    fn expire(&mut self, now: Instant, connect_error: Option<&ConnectError>) {
        let timeout = self.target.command_timeout;
        self.redo.expire(now);
        let past = self.parked.expired(now).map(|pending| pending.expire(timeout, connect_error));
        self.finished.extend(past);
        // All of them: in a cluster, a part that comes back from another server is older than what was sent before it.
        for batch in &mut self.batches {
            batch.expire(now, timeout, &mut self.finished);
        }
        let past = expired(&mut self.queue, now).map(|pending| pending.expire(timeout, connect_error));
        self.finished.extend(past);
    }

    fn is_done(&self) -> bool {
        self.closed && self.queue.is_empty() && self.parked.is_empty() && self.batches.iter().all(Batch::is_settled)
    }

    /// Whether the server has several shards, so that calls on several keys can't be sent whole.
    fn is_to_be_taken_apart(&self) -> bool {
        !self.features.cross_slot && !self.target.member.is_routed()
    }

    /// Sends from the queue as far as the window allows; true when anything was sent.
    fn send(&mut self, ready: &ReadyConnection, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        if self.is_to_be_taken_apart() {
            return false;
        }
        self.parked.hold_back(&mut self.queue);
        while self.queue.front().is_some_and(|next| ready.takes(next))
            && self.batches.len() < WINDOW_BATCHES
            && self.calls_in_flight < WINDOW_CALLS
            && self.bytes_in_flight < WINDOW_BYTES
        {
            let batch = Batch::send(&mut self.queue, self.features, ready, cx, now);
            self.calls_in_flight += batch.calls();
            self.bytes_in_flight += batch.bytes;
            self.batches.push_back(batch);
            any = true;
        }
        any
    }

    /// Hands out the answers that have come; true when there were any.
    fn settle(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, ConnectError> {
        let mut any = false;
        let mut wrong_server = None;
        while let Some(batch) = self.batches.front_mut() {
            let replies = match batch.poll(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(replies)) => replies,
                Poll::Ready(Err(error)) => return Err(ConnectError::lost(&error.to_string())),
            };
            any = true;
            let Some(batch) = self.batches.pop_front() else { break };
            self.calls_in_flight -= batch.calls();
            self.bytes_in_flight -= batch.bytes;
            let redirect = batch.settle(replies, &mut self.redo, &mut self.features, &mut self.finished);
            for Refused { pending, pause, connect_error } in redirect {
                wrong_server = connect_error.or(wrong_server);
                self.parked.put(pending, if pause { now + REFUSED_PAUSE } else { now });
            }
        }
        match wrong_server {
            Some(connect_error) => Err(connect_error),
            None => Ok(any),
        }
    }

    /// After a connection: everything unanswered goes back to the queue, in the order in which it came.
    fn requeue(&mut self) {
        let mut all = Vec::from(self.parked.take());
        for batch in self.batches.drain(..) {
            all.extend(batch.into_unanswered());
        }
        all.extend(self.queue.drain(..));
        all.sort_by_key(|pending| pending.sequence);
        self.queue = all.into();
        self.redo.clear();
        (self.calls_in_flight, self.bytes_in_flight) = (0, 0);
    }
}
