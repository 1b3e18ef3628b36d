//! One server: carries bytes, time and calls to and from the [`Machine`] that decides what is done with them.

use std::future::{pending, poll_fn};
use std::mem;
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::attempts::Attempts;
use super::connect::{Connected, Known, connect};
use super::lessons::Lessons;
use super::machine::{Config, Machine, Need};
use super::overdue::Overdue;
use super::server_stream::ServerStream;
use super::spin::Spin;
use crate::config::{Address, Settings, Topology};
use crate::transport::backoff::Backoff;
use crate::transport::connection_id::next_connection_id;
use crate::transport::error::ConnectError;
use crate::transport::handover::{Handover, Learnt};
use crate::transport::inbox::{Idle, Inbox};
use crate::transport::io::tls::handshake_timeout;
use crate::transport::observed::{Counts, ServerObserver};
use crate::transport::pending_calls::deliver;
use crate::transport::request::CompletionSink;
use crate::transport::runtime::{is_visited, leave_nothing, not_visited, visitor_watch};
use crate::transport::sentinel::discovery::{SentinelSubscriptions, primary_moved};
use crate::transport::settings_provider::client_ended;
use crate::transport::target::{Member, Target};
use crate::transport::timer::Timer;
use crate::transport::warning::{Warning, not_atomic};

/// Reads and writes in one turn of the task, after which other connections have theirs.
const MAX_ROUNDS: usize = 8;

/// How long after a connection was made the server is asked about itself, at the first idle moment.
const ASKS_AFTER: Duration = Duration::from_secs(1);

/// Runs one connection until its last handle is dropped and nothing is pending, or until it turns out that the server has
/// several shards, so that calls have to be taken apart.
pub async fn serve(target: Target, inbox: Arc<Inbox>) -> Option<Handover> {
    let (features, lessons) = match &target.member {
        Member::Shards(learnt) => (learnt.features, learnt.lessons.clone()),
        Member::Alone | Member::Node(_) => Default::default(),
    };
    let config = Config {
        command_timeout: target.command_timeout,
        is_routed: target.member.is_routed(),
        address: target.settings.address.clone(),
        asks_after: Some(ASKS_AFTER),
        features,
    };
    let backoff = match &target.settings.topology {
        Topology::Sentinel(_) => Backoff::impatient(),
        _ => Backoff::default(),
    };
    let mut subscriptions = SentinelSubscriptions::default();
    let mut driver = Driver {
        machine: Machine::new(config, backoff),
        target,
        proven: false,
        observer: ServerObserver::new(&inbox.observed),
        inbox,
        closed: false,
        stream: None,
        attempts: Attempts::new(),
        lessons,
        warnings: Vec::new(),
        audience: None,
        alarm: Timer::new(),
        is_watched: false,
    };
    loop {
        match driver.machine.need() {
            Need::Connection => not_visited(driver.connect()).await,
            Need::Time => not_visited(driver.wait(&mut subscriptions)).await,
            Need::Bytes | Need::BytesAndConnection => driver.use_connection(&mut subscriptions).await,
            Need::Over => {
                deliver(driver.machine.finished());
                if driver.machine.is_unfenced()
                    && let Some(closer) = driver.inbox.closer()
                {
                    closer.warn_unfenced(&driver.target.settings.address);
                }
                return None;
            }
            Need::Sharded => {
                deliver(driver.machine.finished());
                let (pending, next_sequence) = driver.machine.take_calls();
                let learnt = Learnt { features: driver.machine.features(), lessons: driver.lessons };
                return Some(Handover { target: driver.target, learnt, pending, next_sequence });
            }
        }
    }
}

struct Driver {
    machine: Machine,
    target: Target,
    /// A connection was made with the target's settings, so that they are complete.
    proven: bool,
    /// What others can see of the connection.
    observer: ServerObserver,
    inbox: Arc<Inbox>,
    /// The last handle of the connection was dropped.
    closed: bool,
    /// Of the connection in use.
    stream: Option<ServerStream>,
    attempts: Attempts,
    /// What is known of the server's hanging up.
    lessons: Lessons,
    /// What works and is likely wrong, until there is somebody to be told.
    warnings: Vec<Warning>,
    /// Who is told: an environment with a store that is not quiet.
    audience: Option<Weak<dyn CompletionSink>>,
    alarm: Timer,
    /// Another thread waits for the answer too.
    is_watched: bool,
}

impl Driver {
    /// Connects, while calls come and time passes.
    async fn connect(&mut self) {
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.drain_inbox(now);
                self.advance(now);
                self.observe(now);
                if self.machine.need() != Need::Connection {
                    return Poll::Ready(());
                }
                if self.poll_attempts(cx, now).is_pending() && self.sleep(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Waits until it is time to connect. Sentinels may know earlier than we do when that is worth it.
    async fn wait(&mut self, subscriptions: &mut SentinelSubscriptions) {
        self.attempts.end();
        let longest = self.machine.connects_at().map(|at| at.saturating_duration_since(Instant::now()));
        let sentinels = match &self.target.settings.topology {
            Topology::Sentinel(sentinels) => longest.map(|longest| (sentinels.clone(), longest)),
            _ => None,
        };
        let news = async {
            match sentinels {
                Some((sentinels, longest)) => {
                    subscriptions.listen_to(&sentinels);
                    subscriptions.pause(longest).await;
                }
                None => pending().await,
            }
        };
        let mut news = Box::pin(news);
        poll_fn(|cx| {
            loop {
                let now = Instant::now();
                self.drain_inbox(now);
                self.advance(now);
                self.observe(now);
                if news.as_mut().poll(cx).is_ready() {
                    self.machine.connect_now();
                }
                if self.machine.need() != Need::Time {
                    return Poll::Ready(());
                }
                if self.sleep(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Uses a connection for as long as it is good.
    async fn use_connection(&mut self, subscriptions: &mut SentinelSubscriptions) {
        let Some(mut stream) = self.stream.take() else {
            return self.machine.replace(ConnectError::closed(), Instant::now());
        };
        let mut ended = pin!(client_ended(self.target.source.clone()));
        let mut moved = pin!(primary_moved(self.target.settings.clone(), subscriptions));
        let (mut overdue, mut spin) = (Overdue::No, Spin::new());
        let mut was_visited = false;
        poll_fn(|cx| {
            if is_visited() {
                self.be_visited(&mut stream, &mut spin, cx);
                was_visited = true;
                return Poll::Pending;
            }
            let mut rounds = 0;
            loop {
                let now = Instant::now();
                spin.note_in_flight(self.machine.calls_in_flight());
                let mut any = self.drain_inbox(now) | mem::take(&mut was_visited);
                self.warn();
                if !overdue.is_ready(self.machine.is_overdue(now), cx) {
                    return Poll::Pending;
                }
                let read = if self.machine.reads(now) { stream.read(cx, &mut self.machine, now) } else { Ok(0) };
                match read {
                    Ok(bytes) => {
                        any |= bytes > 0;
                        if !overdue.counts(bytes) {
                            self.machine.advance(now);
                        }
                    }
                    Err(error) => {
                        let closed = error.is_none();
                        let error =
                            error.map_or_else(ConnectError::closed, |error| ConnectError::lost(&error.to_string()));
                        // A server that closes a Unix socket has done with it; a closed TCP connection may have had a
                        // proxy in between.
                        let done_with = closed && matches!(self.target.settings.address, Address::Unix(_));
                        if self.machine.was_never_answered() {
                            self.lessons.hung_up();
                        }
                        self.machine.disconnected(error, done_with, now);
                        self.machine.advance(now);
                    }
                }
                any |= stream.write(cx, &mut self.machine, now);
                self.is_watched &= self.machine.calls_in_flight() > 0;
                // First, so that a store says what it is when it has answered.
                self.observe(now);
                deliver(self.machine.finished());
                match self.machine.need() {
                    Need::Bytes => self.attempts.end(),
                    Need::BytesAndConnection => {
                        if self.poll_attempts(cx, now).is_ready() && self.stream.is_some() {
                            return Poll::Ready(());
                        }
                    }
                    _ => return Poll::Ready(()),
                }
                if any {
                    spin.note_event();
                    rounds += 1;
                    if rounds < MAX_ROUNDS {
                        continue;
                    }
                    // Others have their turn.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                if !self.machine.owes()
                    && let Poll::Ready(error) = ended.as_mut().poll(cx)
                {
                    self.machine.replace(error, now);
                    continue;
                }
                if let Poll::Ready(error) = moved.as_mut().poll(cx) {
                    self.machine.replace(error, now);
                    continue;
                }
                if !self.is_watched && spin.looks_again(now) {
                    // Behind the runtime's next look at its sockets.
                    let _ = pin!(tokio::task::yield_now()).poll(cx);
                    return Poll::Pending;
                }
                if self.sleep(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// What a visitor does: reads an answer, and sends a call that has come. The I/O thread does the rest, and is woken for it if there
    /// is any.
    fn be_visited(&mut self, stream: &mut ServerStream, spin: &mut Spin, cx: &mut Context<'_>) {
        let now = Instant::now();
        self.drain_inbox(now);
        if self.machine.is_overdue(now) || !self.machine.reads(now) {
            return;
        }
        let in_flight = self.machine.calls_in_flight();
        if in_flight > 0 {
            stream.read_visited(cx, &mut self.machine, now);
        }
        self.machine.advance(now);
        stream.write(cx, &mut self.machine, now);
        // First, so that a store says what it is when it has answered.
        self.observe(now);
        deliver(self.machine.finished());
        let sends_alone = in_flight == 0 && self.machine.calls_in_flight() == 1;
        self.is_watched = sends_alone
            && visitor_watch().is_some_and(|watch| !spin.is_worth_a_try() && stream.is_watched_by(&watch, &self.inbox));
        let waits = self.is_watched || self.machine.is_idle();
        if waits
            && stream.waits(&self.machine)
            && self.machine.need() == Need::Bytes
            && !self.attempts.any()
            && (self.warnings.is_empty() || self.audience.is_none())
            && self.alarm.wakes_by(self.machine.next_moment())
            && self.register_wakers(cx)
        {
            leave_nothing();
        }
    }

    /// Goes on with the attempts to connect. Ready when one has ended.
    fn poll_attempts(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let (target, proven, machine, lessons) = (&self.target, self.proven, &self.machine, &self.lessons);
        let polled = self.attempts.poll(cx, now, machine.patience(), |reached| {
            let (fences, doubts_multi) = (machine.to_fence(), machine.doubts_multi());
            connect(target.clone(), Known { proven, fences, lessons: lessons.clone(), doubts_multi }, reached)
        });
        if polled.is_pending()
            && self.attempts.any_reached()
            && !matches!(target.settings.topology, Topology::Sentinel(_))
        {
            let address = &target.settings.address;
            self.machine.reached(|| match target.settings.tls {
                Some(_) => handshake_timeout(address),
                None => ConnectError::unresponsive(address),
            });
        }
        match ready!(polled) {
            Ok(Connected { stream, progress, peer, opening, settings, warnings, lacks_multi }) => {
                self.attempts.end();
                self.machine.knows_multi(lacks_multi);
                let id = next_connection_id();
                self.note_connected(id, &peer, &settings);
                (self.target.settings, self.proven) = (settings, true);
                let new = warnings.into_iter().filter(|warning| !self.warnings.contains(warning));
                self.warnings.extend(new.collect::<Vec<_>>());
                self.stream = Some(ServerStream::new(stream, progress));
                self.machine.connected(id, opening, now);
            }
            Err(error) => {
                if let ConnectError::Fatal(_) = error {
                    self.attempts.end();
                }
                self.observer.not_connected(&error);
                self.machine.not_connected(error, self.attempts.any(), now);
            }
        }
        Poll::Ready(())
    }

    fn advance(&mut self, now: Instant) {
        self.machine.advance(now);
        deliver(self.machine.finished());
    }

    /// Takes in the calls that have arrived; true when there were any.
    fn drain_inbox(&mut self, now: Instant) -> bool {
        let requests = self.inbox.take(&mut self.closed);
        let any = !requests.is_empty();
        for request in requests {
            let deadline = request.deadline(self.target.command_timeout, now);
            if self.audience.is_none() && !request.call.key_options.quiet {
                self.audience = Some(Arc::downgrade(&request.sink));
            }
            self.machine.call(request, deadline);
        }
        for ping in self.inbox.take_pings() {
            self.machine.ping(ping, now);
        }
        let recalled = self.inbox.take_recalled();
        if !recalled.is_empty() {
            self.machine.recall(&recalled, now);
        }
        if self.closed {
            self.machine.close(self.inbox.closer().is_some(), now);
        }
        any
    }

    /// Lets others see what has changed.
    fn observe(&mut self, now: Instant) {
        let (machine, observer) = (&mut self.machine, &mut self.observer);
        let counts = machine.take_counts();
        if counts != Counts::default() {
            observer.observed().count(counts);
        }
        if let Some(error) = machine.take_loss() {
            observer.observed().note_error(&error);
        }
        if matches!(machine.need(), Need::Over | Need::Sharded) {
            return;
        }
        observer.note(machine.is_ready(), now, || (machine.connect_error().clone(), machine.calls().count()));
        if let Some((facts, expires)) = machine.take_facts() {
            if let Some(version) = facts.version() {
                observer.note_version(version);
            }
            self.warnings.extend(facts.warnings(&self.target.settings.address, expires));
        }
        for (error, pause) in machine.take_retries() {
            observer.retries(error, machine.calls().count(), pause);
        }
    }

    /// Lets others see that a connection was made, and that sentinels lead elsewhere than before.
    fn note_connected(&mut self, id: NonZeroU64, peer: &Address, settings: &Settings) {
        let epoch = match &settings.topology {
            Topology::Sentinel(sentinels) => Some(sentinels.epoch),
            _ => None,
        };
        let before = &self.target.settings.address;
        if epoch.is_some() && self.proven && *before != settings.address {
            self.observer.observed().moved(vec![before.clone()], vec![settings.address.clone()], "sentinel", None);
        }
        if self.observer.connected(id, peer, epoch) {
            self.machine.is_another_server();
        }
    }

    /// Registers the waker with all that is waited for; false when something has come in the meantime.
    fn sleep(&mut self, cx: &mut Context<'_>) -> bool {
        self.alarm.sleep_until(cx, self.machine.next_moment()) && self.register_wakers(cx)
    }

    /// Registers the waker with all but the timer; false when something has come in the meantime.
    fn register_wakers(&mut self, cx: &mut Context<'_>) -> bool {
        let idle = if self.machine.is_idle() { Idle::Yes } else { Idle::No };
        self.inbox.register_waker(self.closed, idle, cx) && self.machine.register_waker(cx)
    }

    /// Passes warnings on to an environment that has made a call, if nobody has been told yet.
    fn warn(&mut self) {
        if self.machine.takes_expiries_apart() {
            self.warnings.push(not_atomic(&self.target.settings.address));
        }
        if self.warnings.is_empty() {
            return;
        }
        let Some(audience) = &self.audience else { return };
        let Some(sink) = audience.upgrade() else {
            self.audience = None;
            return;
        };
        for warning in self.warnings.drain(..).filter(Warning::is_first) {
            sink.warn(warning);
        }
    }
}
