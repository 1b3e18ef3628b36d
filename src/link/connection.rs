//! One server: a supervisor that connects, sends what is queued in pipelines, hands back the answers, gives up what is past
//! its deadline, and after a lost connection sends again what was in flight, fenced against its own past and in its old order.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::aside::Aside;
use super::attempts::Attempts;
use super::batch::{Batch, Refused};
use super::guard::Owed;
use super::handshake::Identity;
use super::live::{Live, connect};
use super::pending::{Waiting, deliver, expired, line_up};
use super::redo::Redo;
use super::retry::{self, Backoff, Trouble};
use super::sentinel::Ears;
use super::source::{client_ended, primary_moved};
use super::warning::Warning;
use super::{Again, Finished, Handover, Inbox, Target};
use crate::config::{Address, Topology};
use crate::store::call::Dialect;

/// Calls in flight on one connection; the rest waits here, where a deadline means that nothing was applied.
const WINDOW_CALLS: usize = 16_384;
/// Bytes of arguments in flight on one connection, unless a single batch is larger.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;
/// Batches in flight.
const WINDOW_BATCHES: usize = 512;
/// The pause before a call that was refused for now is sent again.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// Abandoned connections to remember. Older ones have had their time to be reset by the peer.
const MOST_ABANDONED: usize = 16;
/// A connection that lasted this long was a good one: the next pause starts small again.
const STABLE: Duration = Duration::from_secs(1);

/// Runs one connection until its link is closed and nothing is pending, or until it turns out that the server has several
/// shards, so that calls have to be taken apart.
pub async fn supervise(target: Target, inbox: Arc<Inbox>) -> Option<Handover> {
    let mut supervisor = Supervisor {
        silence: (target.command_timeout / 2).clamp(Duration::from_millis(250), Duration::from_secs(5)),
        target,
        inbox,
        next_sequence: 0,
        queue: VecDeque::new(),
        aside: Aside::default(),
        redo: Redo::default(),
        batches: VecDeque::new(),
        calls_in_flight: 0,
        bytes_in_flight: 0,
        finished: Vec::new(),
        closed: false,
        dialect: Dialect::default(),
        abandoned: Vec::new(),
        warnings: Vec::new(),
        alarm: Alarm::new(),
    };
    match supervisor.run().await {
        Outcome::Over => None,
        Outcome::Sharded => Some(Handover {
            target: supervisor.target,
            pending: supervisor.queue,
            next_sequence: supervisor.next_sequence,
        }),
    }
}

/// What became of a link.
enum Outcome {
    /// It is closed and nothing is pending.
    Over,
    /// Its calls have to be taken apart; none of them is in flight.
    Sharded,
}

struct Supervisor {
    target: Target,
    inbox: Arc<Inbox>,
    /// How long a server that owes answers may stay silent before the connection is replaced.
    silence: Duration,
    next_sequence: u64,
    /// To be sent.
    queue: VecDeque<Waiting>,
    /// To be sent later.
    aside: Aside,
    /// What was refused on this connection and is not over.
    redo: Redo,
    /// In flight, oldest first; replies come in this order.
    batches: VecDeque<Batch>,
    calls_in_flight: usize,
    bytes_in_flight: usize,
    /// Over, but not yet handed back.
    finished: Vec<Finished>,
    /// The link's last handle is gone.
    closed: bool,
    dialect: Dialect,
    /// Connections given up with bytes of ours on their way; the next connection kills them first.
    abandoned: Vec<Identity>,
    /// What works and is likely wrong, until there is somebody to be told.
    warnings: Vec<Warning>,
    alarm: Alarm,
}

/// Why the supervisor stopped using a connection.
enum End {
    /// The link is closed and nothing is pending.
    Closed,
    /// The server has several shards, and nothing is in flight.
    Sharded,
    /// It broke, fell silent, or is to the wrong server.
    Replace(Trouble),
}

impl Supervisor {
    async fn run(&mut self) -> Outcome {
        let mut backoff = match &self.target.settings.topology {
            Topology::Sentinel(_) => Backoff::impatient(),
            _ => Backoff::default(),
        };
        let mut trouble = Trouble::connecting(&self.target.settings.address);
        // Whether a connection was made with the target's settings, so that they are complete.
        let mut proven = false;
        let mut attempts = Attempts::default();
        let mut ears = Ears::default();
        loop {
            let (target, abandoned) = (self.target.clone(), self.abandoned.clone());
            let outcome = {
                let connecting = attempts.outcome(move || connect(target.clone(), proven, abandoned.clone()));
                self.tend_until(pin!(connecting), &trouble).await
            };
            trouble = match outcome {
                None => return Outcome::Over,
                Some(Err(trouble)) => trouble,
                Some(Ok((mut live, settings))) => {
                    attempts.end();
                    (self.target.settings, proven) = (settings, true);
                    self.abandoned.clear();
                    let new = mem::take(&mut live.warnings).into_iter();
                    self.warnings.extend(new.filter(|warning| !self.warnings.contains(warning)).collect::<Vec<_>>());
                    let started = Instant::now();
                    let end = self.serve(live, &mut ears).await;
                    if started.elapsed() >= STABLE {
                        backoff.reset();
                    }
                    match end {
                        End::Closed => {
                            self.hand_back(&trouble);
                            return Outcome::Over;
                        }
                        End::Sharded => return Outcome::Sharded,
                        End::Replace(trouble) => trouble,
                    }
                }
            };
            if let Trouble::Refused(error) = &trouble {
                attempts.end();
                let all = mem::take(&mut self.queue);
                self.finished.extend(all.into_iter().map(|waiting| waiting.give_up(error.clone())));
                backoff.reset();
            }
            if self.target.member.is_routed() {
                self.hand_back(&trouble);
            }
            if attempts.any() {
                continue;
            }
            if let Topology::Sentinel(sentinels) = &self.target.settings.topology {
                ears.listen_to(sentinels);
            }
            let pause = ears.pause(backoff.next());
            if self.tend_until(pin!(pause), &trouble).await.is_none() {
                return Outcome::Over;
            }
            if matches!(trouble, Trouble::Refused(_)) && self.wait_for_calls().await.is_none() {
                return Outcome::Over;
            }
        }
    }

    /// Returns everything that waits to whoever routes it: there may be another server for it by now.
    fn hand_back(&mut self, trouble: &Trouble) {
        let all = mem::take(&mut self.queue);
        self.finished.extend(all.into_iter().map(|waiting| waiting.hand_back(Again::Lost, trouble.error().clone())));
        deliver(&mut self.finished);
    }

    /// Passes warnings on to whoever made a call that waits, if nobody has been told yet.
    fn warn(&mut self) {
        if self.warnings.is_empty() {
            return;
        }
        let Some(waiting) = self.queue.iter().find(|waiting| !waiting.request.call.style.quiet) else { return };
        for warning in self.warnings.drain(..).filter(Warning::is_first) {
            waiting.request.sink.warn(warning);
        }
    }

    /// Whether the server has left the cluster, as far as we know, so that nothing more is to be expected of it.
    fn is_recalled(&self) -> bool {
        self.target.member.is_routed() && self.closed
    }

    /// Waits for something while calls keep arriving and deadlines keep passing. `None` when there is nothing left to do.
    async fn tend_until<T>(&mut self, mut event: Pin<&mut impl Future<Output = T>>, trouble: &Trouble) -> Option<T> {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.take_in(now);
                self.expire(now, Some(trouble));
                if self.is_recalled() {
                    self.hand_back(trouble);
                }
                deliver(&mut self.finished);
                if self.is_done() {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(value) = event.as_mut().poll(cx) {
                    return Poll::Ready(Some(value));
                }
                if self.alarm.sleep_until(cx, self.queue.front().map(|waiting| waiting.deadline))
                    && self.inbox.leave_word(self.closed, cx)
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
                self.take_in(Instant::now());
                if !self.queue.is_empty() {
                    return Poll::Ready(Some(()));
                }
                if self.is_done() {
                    return Poll::Ready(None);
                }
                if self.inbox.leave_word(self.closed, cx) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Uses a connection for as long as it is good.
    async fn serve(&mut self, mut live: Live, ears: &mut Ears) -> End {
        let (mut seen, mut heard_at) = (live.progress.count(), Instant::now());
        if !self.target.member.is_routed() {
            self.aside.take_suspects(&mut self.queue, heard_at);
        }
        let mut peer_closed = false;
        let mut ended = pin!(client_ended(self.target.source.clone()));
        let mut moved = pin!(primary_moved(self.target.settings.clone(), ears));
        let end = poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.take_in(now);
                self.expire(now, live.why_nameless());
                self.warn();
                self.aside.release(&mut self.queue, now);
                let sent = self.send(&live, cx, now);
                peer_closed |= live.driver.as_mut().poll(cx).is_ready();
                let heard = live.learn_name(!self.queue.is_empty(), cx, now);
                let settled = self.settle(cx, now);
                deliver(&mut self.finished);
                let any = match (heard, settled) {
                    (Err(trouble), _) | (_, Err(trouble)) => return Poll::Ready(End::Replace(trouble)),
                    (Ok(heard), Ok(settled)) => heard || settled || sent,
                };
                if peer_closed {
                    return Poll::Ready(End::Replace(Trouble::lost("the server closed the connection")));
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
                    && let Poll::Ready(trouble) = ended.as_mut().poll(cx)
                {
                    return Poll::Ready(End::Replace(trouble));
                }
                if let Poll::Ready(trouble) = moved.as_mut().poll(cx) {
                    return Poll::Ready(End::Replace(trouble));
                }
                if live.progress.count() != seen {
                    (seen, heard_at) = (live.progress.count(), now);
                }
                let owed_since = self.batches.front().map(|batch| batch.sent_at).or(live.asked_since());
                let silent_at = owed_since.map(|since| since.max(heard_at) + self.silence);
                if silent_at.is_some_and(|at| at <= now) {
                    return Poll::Ready(End::Replace(Trouble::silent(&self.target.settings.address)));
                }
                let deadlines = [
                    silent_at,
                    self.batches.iter().filter_map(Batch::deadline).min(),
                    self.queue.front().map(|waiting| waiting.deadline),
                ];
                let asks_again = live.asks_again_at().filter(|_| !self.queue.is_empty());
                let moments = deadlines.into_iter().chain(self.aside.moments()).chain([asks_again]);
                if self.alarm.sleep_until(cx, moments.flatten().min()) && self.inbox.leave_word(self.closed, cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
        // A server that closes a Unix socket has done with it; a closed TCP connection may have had a proxy in between.
        let done_with = peer_closed && matches!(self.target.settings.address, Address::Unix(_));
        self.accuse(&live.owed);
        // Which drops the driver and so closes the socket, and with it whatever the kernel has not sent.
        let identity = live.into_identity();
        if !self.batches.is_empty() && !done_with {
            self.abandoned.extend(identity);
            let surplus = self.abandoned.len().saturating_sub(MOST_ABANDONED);
            self.abandoned.drain(..surplus);
        }
        self.requeue();
        end
    }

    /// Looks for what may have ended the connection, and would do so again and again and let no other call through: the call
    /// that the server said no to or answered with too much is over, and one that it said nothing to is noted.
    fn accuse(&mut self, owed: &Owed) {
        let mut batches = self.batches.iter_mut();
        let culprit = if let Some(number) = owed.too_large() {
            batches.find_map(|batch| batch.take_culprit(number, retry::too_large))
        } else if let Some((number, error)) =
            owed.last_word().and_then(|(at, word)| Some((at, retry::last_word(word)?)))
        {
            batches.find_map(|batch| batch.take_culprit(number, |waiting| waiting.finish(Err(error.clone()))))
        } else {
            if let Some(waiting) = batches.find_map(|batch| batch.waiting_for(owed.next())) {
                waiting.losses += 1;
            }
            None
        };
        self.finished.extend(culprit);
    }

    /// Moves what has arrived into the queue.
    fn take_in(&mut self, now: Instant) {
        let deadline = now + self.target.command_timeout;
        for request in self.inbox.take(&mut self.closed) {
            line_up(&mut self.queue, request, self.next_sequence, deadline);
            self.next_sequence += 1;
        }
    }

    /// Gives up what is past its deadline, wherever it is.
    fn expire(&mut self, now: Instant, trouble: Option<&Trouble>) {
        let timeout = self.target.command_timeout;
        self.redo.expire(now);
        let past = self.aside.expired(now).map(|waiting| waiting.expire(timeout, trouble));
        self.finished.extend(past);
        // All of them: in a cluster, a part that comes back from another server is older than what was sent before it.
        for batch in &mut self.batches {
            batch.expire(now, timeout, &mut self.finished);
        }
        let past = expired(&mut self.queue, now).map(|waiting| waiting.expire(timeout, trouble));
        self.finished.extend(past);
    }

    fn is_done(&self) -> bool {
        self.closed && self.queue.is_empty() && self.aside.is_empty() && self.batches.iter().all(Batch::is_settled)
    }

    /// Whether the server has several shards, so that calls on several keys can't be sent whole.
    fn is_to_be_taken_apart(&self) -> bool {
        !self.dialect.cross_slot && !self.target.member.is_routed()
    }

    /// Sends from the queue as far as the window allows; true when anything was sent.
    fn send(&mut self, live: &Live, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        if self.is_to_be_taken_apart() {
            return false;
        }
        self.aside.hold_back(&mut self.queue);
        while self.queue.front().is_some_and(|next| live.takes(next))
            && self.batches.len() < WINDOW_BATCHES
            && self.calls_in_flight < WINDOW_CALLS
            && self.bytes_in_flight < WINDOW_BYTES
        {
            let batch = Batch::send(&mut self.queue, self.dialect, live, cx, now);
            self.calls_in_flight += batch.calls();
            self.bytes_in_flight += batch.bytes;
            self.batches.push_back(batch);
            any = true;
        }
        any
    }

    /// Hands out the answers that have come; true when there were any.
    fn settle(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, Trouble> {
        let mut any = false;
        let mut wrong_server = None;
        while let Some(batch) = self.batches.front_mut() {
            let replies = match batch.poll(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(replies)) => replies,
                Poll::Ready(Err(error)) => return Err(Trouble::lost(&error.to_string())),
            };
            any = true;
            let Some(batch) = self.batches.pop_front() else { break };
            self.calls_in_flight -= batch.calls();
            self.bytes_in_flight -= batch.bytes;
            let again = batch.settle(replies, &mut self.redo, &mut self.dialect, &mut self.finished);
            for Refused { waiting, pause, trouble } in again {
                wrong_server = trouble.or(wrong_server);
                self.aside.put(waiting, if pause { now + REFUSED_PAUSE } else { now });
            }
        }
        match wrong_server {
            Some(trouble) => Err(trouble),
            None => Ok(any),
        }
    }

    /// After a connection: everything unanswered goes back to the queue, in the order in which it came.
    fn requeue(&mut self) {
        let mut all = Vec::from(self.aside.take());
        for batch in self.batches.drain(..) {
            all.extend(batch.into_unanswered());
        }
        all.extend(self.queue.drain(..));
        all.sort_by_key(|waiting| waiting.sequence);
        self.queue = all.into();
        self.redo.clear();
        (self.calls_in_flight, self.bytes_in_flight) = (0, 0);
    }
}
