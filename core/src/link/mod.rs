//! How calls reach a server: a queue into the one I/O thread, where a supervisor per connection sends them and hands the
//! answers back in batches. Knows nothing of N-API.

mod alarm;
mod aside;
mod attempts;
mod auth;
mod batch;
mod cluster;
mod connection;
mod entry;
pub mod frame;
mod guard;
pub mod handshake;
mod io_thread;
mod live;
mod nodes;
mod order;
mod pending;
mod redo;
mod rest;
mod retry;
pub mod sentinel;
mod short;
mod slot_table;
pub mod slots;
mod source;
mod stream;
mod tls;
mod warning;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::config::{Settings, Topology};
use crate::error::{Code, StoreError};
use crate::store::{Call, Position, Reply};
use pending::Waiting;

pub use retry::Trouble;
pub use source::{Asked, Source};
pub use warning::Warning;

use slots::NodeId;

/// Where finished calls go. One per JavaScript environment.
pub trait Sink: Send + Sync {
    /// Takes a batch of finished calls. Called on the I/O thread; must not block.
    fn deliver(&self, batch: Vec<Finished>);

    /// Tells of something that works and is likely wrong. Called on the I/O thread; must not block.
    fn warn(&self, warning: Warning);
}

/// Takes what tests have no use for.
#[cfg(test)]
struct Nowhere;

#[cfg(test)]
impl Sink for Nowhere {
    fn deliver(&self, _: Vec<Finished>) {}

    fn warn(&self, _: Warning) {}
}

/// A server for tests that connect to none.
#[cfg(test)]
fn test_target() -> Target {
    let settings = crate::config::from_input(&crate::config::Input::Text("redis://127.0.0.1:1".into()));
    Target {
        settings: settings.expect("a URL that is right"),
        source: None,
        connect_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(1),
        member: Member::Alone,
    }
}

/// A call on its way, with what is needed to hand its answer back. Dropping it unanswered answers it with an error.
pub struct Request {
    /// The call.
    pub call: Call,
    /// The sender's own name for the call.
    pub token: u32,
    sink: Arc<dyn Sink>,
    answered: bool,
    /// Present when it is part of a call to a cluster.
    route: Option<Route>,
}

/// How a part of a call travels through a cluster.
#[derive(Clone)]
struct Route {
    /// The place of its call in the order in which the calls came.
    sequence: u64,
    /// When it is given up.
    deadline: Instant,
    /// The slot of its key.
    slot: u16,
    /// All slots are behind one address, so that there is nowhere else to send it.
    sharded: bool,
    /// The server it was last sent to.
    node: u32,
    /// The server that has to be told ASKING first, because the slot is on its way there.
    asking: Option<u32>,
    /// Whether it, or an earlier part of its call, may have been applied.
    sent: bool,
    /// How often it was sent on.
    moves: u32,
    /// How many connections ended while its answer was the next to come.
    losses: u32,
    /// Why it came back last.
    reason: Option<Box<StoreError>>,
}

/// Why a part of a call comes back from a server undone, to be sent again, perhaps to another one.
enum Again {
    /// The slot belongs to another server, for good or (`ask`) for this key only.
    Elsewhere { ask: bool, detail: String },
    /// The cluster cannot serve the slot just now.
    Later,
    /// There is no connection.
    Lost,
}

impl Request {
    /// A request whose answer goes to `sink` under `token`.
    pub fn new(call: Call, token: u32, sink: Arc<dyn Sink>) -> Self {
        Self { call, token, sink, answered: false, route: None }
    }

    fn finish(mut self, outcome: Result<Reply, Box<StoreError>>) -> Finished {
        self.answered = true;
        Finished { request: self, outcome, position: None, again: None }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.answered {
            let error = StoreError::new(Code::Connection, "the connection was shut down before the call was answered");
            let mut request = Request::new(self.call.clone(), self.token, self.sink.clone());
            request.route = self.route.take();
            self.sink.deliver(vec![request.finish(Err(Box::new(error)))]);
        }
    }
}

/// A call that is over.
pub struct Finished {
    /// What was asked.
    pub request: Request,
    /// What came of it.
    pub outcome: Result<Reply, Box<StoreError>>,
    /// The position of the answer; `None` where several connections have a part in it, or there is none.
    pub position: Option<Position>,
    /// Set when it has to be sent again.
    again: Option<Again>,
}

/// An id for a connection that no other one has.
fn next_connection_id() -> NonZeroU64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed))
}

impl Finished {
    /// The same, with the position of its answer.
    fn at(self, position: Option<Position>) -> Self {
        Self { position, ..self }
    }

    /// Whether it brought more than its own answer.
    pub fn teaches(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|reply| reply.snapshot.is_some())
    }
}

/// Everything that makes two stores share one connection.
#[derive(Clone)]
pub struct Target {
    /// The server and how to log in. With a source, what it said last.
    pub settings: Settings,
    /// The live client the settings are of; without one, they are as they are.
    pub source: Option<Arc<dyn Source>>,
    /// Limit for one connection attempt, the handshake included.
    pub connect_timeout: Duration,
    /// Deadline of one call, reconnecting and re-sending included.
    pub command_timeout: Duration,
    /// What is at the address.
    pub member: Member,
}

/// What is at an address.
#[derive(Clone, Debug)]
pub enum Member {
    /// All there is: it gets whole calls.
    Alone,
    /// One server of a cluster: it gets calls or parts of calls, and what it cannot answer goes back to be sent to another one.
    Node(ExpectedNode),
    /// All shards behind one address, or a server in cluster mode without others: it gets parts of calls.
    Shards,
}

/// The node of a cluster that should be at an address.
#[derive(Clone, Debug, Default)]
pub struct ExpectedNode {
    /// What the cluster's map calls it, once it does. A redirect does not.
    id: Arc<OnceLock<NodeId>>,
    /// The nodes that the map named when the address was met.
    known: Arc<[NodeId]>,
}

impl Member {
    /// Whether calls come from a router, to which those go back that it has no connection for.
    fn is_routed(&self) -> bool {
        matches!(self, Member::Node(_) | Member::Shards)
    }
}

/// The calls of a connection to what turned out to be several shards, none of them in flight.
struct Handover {
    target: Target,
    pending: VecDeque<Waiting>,
    next_sequence: u64,
}

/// Runs one link until it is closed and nothing is pending.
async fn serve(target: Target, inbox: Arc<Inbox>) {
    let handover = match target.settings.topology {
        Topology::Cluster(_) => return cluster::route(target, inbox).await,
        Topology::Upstash(_) => rest::serve(target, inbox.clone()).await,
        Topology::Single | Topology::Sentinel(_) => connection::supervise(target, inbox.clone()).await,
    };
    if let Some(handover) = handover {
        cluster::route_shards(handover, inbox).await;
    }
}

/// Runs the connection to what a router routes to.
async fn serve_member(target: Target, inbox: Arc<Inbox>) {
    // What is routed to is never handed over.
    let _ = match target.settings.topology {
        Topology::Upstash(_) => rest::serve(target, inbox).await,
        _ => connection::supervise(target, inbox).await,
    };
}

impl Target {
    /// Whether one connection can serve both. With the same live client it can even if that was changed in between: all its
    /// connections follow it, but each stays in the database that was selected when its calls were made.
    fn shares_with(&self, other: &Target) -> bool {
        let same_server = match (&self.source, &other.source) {
            (Some(one), Some(other_source)) => {
                Arc::ptr_eq(one, other_source) && self.settings.database == other.settings.database
            }
            (None, None) => self.settings == other.settings,
            _ => false,
        };
        same_server && self.connect_timeout == other.connect_timeout && self.command_timeout == other.command_timeout
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("settings", &self.settings)
            .field("live", &self.source.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .finish()
    }
}

/// The sending end of one connection. Dropping the last handle closes the connection once nothing is pending.
pub struct Link {
    target: Target,
    inbox: Arc<Inbox>,
}

/// The queue between the JavaScript threads and the I/O thread.
#[derive(Default)]
struct Inbox {
    state: Mutex<InboxState>,
}

#[derive(Default)]
struct InboxState {
    requests: Vec<Request>,
    closed: bool,
    /// Present while the supervisor sleeps: whoever takes it wakes it, so that a busy one costs no system call.
    sleeper: Option<Waker>,
}

impl Inbox {
    /// The state is a plain queue, valid at every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what has arrived, and notes whether the link has been closed.
    fn take(&self, closed: &mut bool) -> Vec<Request> {
        let mut state = self.lock();
        *closed = state.closed;
        mem::take(&mut state.requests)
    }

    /// Leaves word to be woken when something arrives; false when something has, which must be taken in first. `closed` is
    /// what was noted last.
    fn leave_word(&self, closed: bool, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if !state.requests.is_empty() || state.closed != closed {
            return false;
        }
        match &state.sleeper {
            Some(sleeper) if sleeper.will_wake(cx.waker()) => {}
            _ => state.sleeper = Some(cx.waker().clone()),
        }
        true
    }

    fn change(&self, change: impl FnOnce(&mut InboxState)) {
        let mut state = self.lock();
        change(&mut state);
        let sleeper = state.sleeper.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}

/// Links in use, so that stores with equal settings share one. Few and short-lived entries: a list is enough.
static LINKS: Mutex<Vec<Weak<Link>>> = Mutex::new(Vec::new());

impl Link {
    /// The link to a target: the one in use if there is one, else a new one, which starts to connect.
    ///
    /// # Errors
    /// When the I/O thread cannot be started.
    pub fn open(target: Target) -> Result<Arc<Link>, StoreError> {
        let mut links = LINKS.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        if let Some(link) = links.iter().filter_map(Weak::upgrade).find(|link| link.target.shares_with(&target)) {
            return Ok(link);
        }
        let inbox = Arc::new(Inbox::default());
        let (task_target, task_inbox) = (target.clone(), inbox.clone());
        io_thread::spawn(move || serve(task_target.clone(), task_inbox.clone()))?;
        let link = Arc::new(Link { target, inbox });
        links.push(Arc::downgrade(&link));
        Ok(link)
    }

    /// Queues a request.
    pub fn send(&self, request: Request) {
        self.inbox.change(|state| state.requests.push(request));
    }

    /// Whether what is to be sent together has to be queued together: each message to the server costs.
    pub fn gathers(&self) -> bool {
        matches!(self.target.settings.topology, Topology::Upstash(_))
    }

    /// Queues requests that belong together.
    pub fn send_all(&self, requests: Vec<Request>) {
        self.inbox.change(|state| state.requests.extend(requests));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.inbox.change(|state| state.closed = true);
    }
}
