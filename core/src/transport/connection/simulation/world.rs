//! The machine, its callers, the network and the server, driven through simulated time as the driver drives the machine through
//! real time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::attempt::{Attempt, Progress};
use super::connections::Connection;
use super::plan::{Dial, Plan};
use super::workload;
use crate::config::{Address, Secret};
use crate::transport::backoff::Backoff;
use crate::transport::connection::machine::{Config, Machine, Need};
use crate::transport::connection_id::next_connection_id;
use crate::transport::error::ConnectError;
use crate::transport::request::{CompletionSink, Finished, Redirect, Request};
use crate::transport::result_budget::ResultBudget;
use crate::transport::simulation::callers::{self, Waiting};
use crate::transport::simulation::history::{History, Outcome};
use crate::transport::simulation::random::Random;
use crate::transport::simulation::server::{Keys, Server};
use crate::transport::simulation::time::Timed;
use crate::transport::target::{Target, test_target};
use crate::transport::warning::Warning;

/// An attempt that has taken this long is joined by another one, as in [`super::super::attempts`].
const OVERLAP: Duration = Duration::from_millis(1500);
const MAX_ATTEMPTS: usize = 3;
/// After the faults, everything is well again within this time.
pub const RECOVERY: Duration = Duration::from_secs(12);
/// Bytes that may be ready to be written: 256 KiB and one small call.
pub const MAX_UNWRITTEN: usize = 257 * 1024;
/// Abandoned connections that may have to be fenced off, and the one in use.
const MAX_TO_FENCE: usize = 17;

/// Everything.
pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub random: Random,
    pub plan: Plan,
    pub machine: Machine,
    pub server: Server,
    /// The server does not run, until then.
    pub down_until: Option<Instant>,
    /// The server stands still, until then.
    pub paused_until: Option<Instant>,
    pub dial: Option<(Dial, Instant)>,
    pub connections: Vec<Connection>,
    pub current: Option<u64>,
    pub history: History,
    pub waiting: Vec<Waiting>,
    pub attempted: Vec<Instant>,
    pub log: Option<Vec<String>>,
    pub target: Target,
    pub attempts: Vec<Attempt>,
    pub next_attempt_at: Instant,
    pub next_connection: u64,
    pub next_fault: usize,
    pub write_blocked: bool,
    pub sink: Arc<Sink>,
    pub returned: VecDeque<Request>,
    pub closed: bool,
    pub healed_at: Option<Instant>,
    /// Bytes that the client has heard over each connection.
    pub heard: BTreeMap<u64, u64>,
    /// What the server held before it answered something, whom it answered, and which byte of all answers there that was.
    pub journal: Vec<(Keys, u64, u64)>,
}

/// Notes calls that were dropped without an answer.
#[derive(Default)]
pub struct Sink(AtomicUsize);

impl CompletionSink for Sink {
    fn deliver(&self, _: Vec<Finished>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn warn(&self, _: Warning) {}

    fn closed(&self, _: u32) {}

    fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
        None
    }
}

macro_rules! log {
    ($world:expr, $($argument:tt)*) => {
        if let Some(log) = &mut $world.log {
            let at = $world.now - $world.start;
            log.push(format!("{:>10.3} ms  {}", at.as_secs_f64() * 1000.0, format!($($argument)*)));
        }
    };
}
pub(super) use log;

impl World {
    /// The world of a seed, in which nothing has happened.
    pub fn new(seed: u64, start: Instant, logged: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let mut target = test_target();
        (target.command_timeout, target.connect_timeout) = (plan.command_timeout, plan.connect_timeout);
        target.settings.password = plan.password.then(|| Secret::new("secret"));
        target.settings.client_name = plan.client_name.then(|| "worker".into());
        let config = Config {
            command_timeout: plan.command_timeout,
            is_routed: plan.routed,
            address: Address::Tcp("10.0.0.2".into(), 6379),
            asks_after: None,
            features: Default::default(),
        };
        let server =
            Server { refuses_client: plan.refuses_client, ..Server::new(plan.naming, plan.set_get, plan.password) };
        let waiting = callers::beginning(&plan.callers, start, &mut random);
        Self {
            start,
            now: start,
            machine: Machine::new(config, Backoff::default().seeded(random.next())),
            random,
            plan,
            server,
            down_until: None,
            paused_until: None,
            dial: None,
            connections: Vec::new(),
            current: None,
            history: History::default(),
            waiting,
            attempted: Vec::new(),
            log: logged.then(Vec::new),
            target,
            attempts: Vec::new(),
            next_attempt_at: start,
            next_connection: 1,
            next_fault: 0,
            write_blocked: false,
            sink: Arc::default(),
            returned: VecDeque::new(),
            closed: false,
            healed_at: None,
            heard: BTreeMap::new(),
            journal: Vec::new(),
        }
    }

    fn call(&mut self) -> bool {
        let mut any = false;
        while let Some(mut request) = self.returned.pop_front() {
            if let Some(route) = &mut request.route {
                route.moves += 1;
            }
            let deadline = self.history.records[request.token as usize].deadline;
            self.machine.call(request, deadline);
            any = true;
        }
        any | workload::call(self)
    }

    /// Hands a new call to the machine.
    pub fn hand_over(&mut self, mut request: Request, deadline: Instant) {
        request.sink = self.sink.clone();
        self.machine.call(request, deadline);
    }

    fn finish(&mut self) -> bool {
        let finished = std::mem::take(self.machine.finished());
        let any = !finished.is_empty();
        for Finished { mut request, outcome, redirect, .. } in finished {
            let token = request.token;
            let sentence = request.delivery.sentence();
            let outcome = match (outcome, redirect) {
                (_, Some(Redirect::Lost)) if self.machine.need() != Need::Over => {
                    log!(self, "call {token} comes back");
                    request.answered = false;
                    self.returned.push_back(request);
                    continue;
                }
                (Err(error), Some(_)) => Outcome::Failed {
                    maybe: says_maybe(sentence.unwrap_or_default()),
                    message: error.message + sentence.unwrap_or_default(),
                },
                // The router puts together what it says of a call's parts.
                (Err(error), None) if self.plan.routed => Outcome::Failed {
                    maybe: says_maybe(sentence.unwrap_or_default()),
                    message: error.message + sentence.unwrap_or_default(),
                },
                (Err(error), None) => Outcome::Failed { maybe: says_maybe(&error.message), message: error.message },
                (Ok(reply), _) => Outcome::Done(reply),
            };
            log!(self, "call {token} is over: {outcome:?}");
            self.history.settle(token, outcome, self.now);
            callers::settled(&mut self.waiting, token, self.now, &mut self.random);
        }
        any
    }

    fn connect(&mut self) -> bool {
        self.drop_if_unused();
        match self.machine.need() {
            Need::Connection | Need::BytesAndConnection => {}
            _ => {
                for attempt in std::mem::take(&mut self.attempts) {
                    attempt.connection.into_iter().for_each(|id| self.abandon(id));
                }
                return false;
            }
        }
        let mut any = false;
        if self.attempts.is_empty() || (self.next_attempt_at <= self.now && self.attempts.len() < MAX_ATTEMPTS) {
            let attempt = Attempt::new(self);
            self.attempts.push(attempt);
            self.attempted.push(self.now);
            self.next_attempt_at = self.now + OVERLAP;
            any = true;
        }
        for index in 0..self.attempts.len() {
            let mut attempt = self.attempts.swap_remove(index);
            match attempt.progress(self) {
                Progress::None => {
                    self.attempts.push(attempt);
                    let last = self.attempts.len() - 1;
                    self.attempts.swap(index, last);
                }
                Progress::Some => {
                    self.attempts.push(attempt);
                    let last = self.attempts.len() - 1;
                    self.attempts.swap(index, last);
                    any = true;
                }
                Progress::Failed(error) => {
                    log!(self, "an attempt failed: {}", error.error().message);
                    attempt.connection.into_iter().for_each(|id| self.abandon(id));
                    if let ConnectError::Fatal(_) = error {
                        self.end_attempts();
                    }
                    self.machine.not_connected(error, !self.attempts.is_empty(), self.now);
                    return true;
                }
                Progress::Connected(opening) => {
                    log!(self, "#{} is connected", attempt.connection.unwrap_or(0));
                    self.end_attempts();
                    let old = self.current.take();
                    self.current = attempt.connection;
                    self.write_blocked = false;
                    self.machine.connected(next_connection_id(), opening, self.now);
                    old.into_iter().for_each(|id| self.abandon(id));
                    return true;
                }
            }
        }
        any
    }

    fn end_attempts(&mut self) {
        for attempt in std::mem::take(&mut self.attempts) {
            attempt.connection.into_iter().for_each(|id| self.abandon(id));
        }
    }
}

impl Timed for World {
    const MAX_MOMENTS: usize = 200_000;

    fn now(&mut self) -> &mut Instant {
        &mut self.now
    }

    fn round(&mut self) -> bool {
        let mut any = self.faults();
        any |= self.call();
        any |= self.serve();
        any |= self.hear();
        self.machine.advance(self.now);
        any |= self.write();
        any |= self.finish();
        any |= self.connect();
        any
    }

    fn check_moment(&mut self) {
        self.history.check_deadlines(self.now);
        assert_eq!(self.sink.0.load(Ordering::Relaxed), 0, "a call was dropped without an answer");
        if let Some(next) = self.machine.next_moment() {
            assert!(next > self.now, "the machine wants to be woken in the past, {:?} ago", self.now - next);
        }
        assert!(self.machine.unwritten().len() <= MAX_UNWRITTEN, "too many bytes are ready to be written");
        assert!(self.machine.to_fence().identities.len() <= MAX_TO_FENCE, "too many connections are to be fenced off");
    }

    fn next_moment(&mut self) -> Option<Instant> {
        let mut moments: Vec<Instant> = self.machine.next_moment().into_iter().collect();
        let is_still = self.paused_until.is_some();
        for connection in &self.connections {
            let heard = connection.client_open.then(|| connection.to_client.next_at()).flatten();
            let read = (connection.server_open && !is_still).then(|| connection.to_server.next_at()).flatten();
            moments.extend(heard.into_iter().chain(read));
        }
        moments.extend(self.plan.faults.get(self.next_fault).map(|(at, _)| self.start + *at));
        moments.extend(self.waiting.iter().filter_map(|waiting| waiting.at));
        moments.extend(self.down_until.into_iter().chain(self.paused_until));
        moments.extend(self.attempts.iter().map(Attempt::next_at));
        if !self.attempts.is_empty() && self.attempts.len() < MAX_ATTEMPTS {
            moments.push(self.next_attempt_at);
        }
        moments.extend(self.plan.close_at.filter(|_| !self.closed).map(|at| self.start + at));
        moments.into_iter().filter(|at| *at > self.now).min()
    }
}

/// Whether an error says that a write may have been applied.
fn says_maybe(message: &str) -> bool {
    message.contains("may have been applied")
}
