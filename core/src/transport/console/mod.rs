//! Commands of any kind, for the admin API: which servers there are, and pipelines to one of them at a time over connections
//! that carry nothing else. Nothing is sent again here, and nothing is kept in order but what one caller awaits.

mod job;
mod node;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, timeout_at};

use super::error::{ConnectError, display_address};
use super::http::console::HttpConsole;
use super::runtime;
use super::target::Target;
use crate::config::{Address, Topology};
use crate::error::StoreError;
use crate::error_texts::admin as texts;
use job::Job;
use session::Session;

pub use job::{Answer, Done};
pub use node::Node;
/// A reply to any command.
pub use redis::Value as Reply;

/// Bytes of replies to one pipeline. Whoever asks for large things asks for few of them at a time.
pub const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// One command, its name first.
pub type Command = Vec<Vec<u8>>;

/// The connection to one server; `None` while there is none. One pipeline at a time.
type Slot = Arc<tokio::sync::Mutex<Option<Session>>>;

/// What the servers behind a target can be asked through.
pub struct Console {
    servers: Mutex<Servers>,
    http: HttpConsole,
}

/// What is known of the servers.
#[derive(Default)]
struct Servers {
    /// Those that were named last.
    addresses: HashMap<String, Address>,
    /// The connections to them.
    sessions: HashMap<String, Slot>,
}

impl Console {
    /// Connects at the first question.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { servers: Mutex::default(), http: HttpConsole::default() })
    }

    /// A plain map is valid at every step, so a panic elsewhere does not spoil it.
    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks which servers have the keys, and calls `done` with them.
    pub fn nodes(self: &Arc<Self>, target: Target, done: Done) {
        let console = self.clone();
        let limit = target.command_timeout;
        start(Job::new(done, async move {
            let deadline = Instant::now() + limit;
            match timeout_at(deadline, node::find(&target)).await {
                Ok(found) => console.learn(found.map_err(|error| error.error().clone())?),
                Err(_) => Err(texts::no_answer(display_address(&target.settings.address), limit.as_millis()).error()),
            }
        }));
    }

    /// Notes the servers, and lets go of connections to those that are none any more.
    fn learn(&self, found: Vec<(Node, Address)>) -> Result<Answer, StoreError> {
        let mut servers = self.servers();
        servers.addresses = found.iter().map(|(node, address)| (node.name.clone(), address.clone())).collect();
        let Servers { addresses, sessions } = &mut *servers;
        sessions.retain(|name, _| addresses.contains_key(name));
        Ok(Answer::Nodes(found.into_iter().map(|(node, _)| node).collect()))
    }

    /// Sends commands to one of the servers that were named last, and calls `done` with the replies.
    pub fn send(
        self: &Arc<Self>,
        target: Target,
        node: &str,
        commands: Vec<Command>,
        limit: Option<Duration>,
        done: Done,
    ) {
        let (address, slot) = {
            let mut servers = self.servers();
            let slot = servers.sessions.entry(node.to_owned()).or_default().clone();
            (servers.addresses.get(node).cloned(), slot)
        };
        let Some(address) = address else { return done.finish(Err(texts::unknown_server(node).error())) };
        let console = self.clone();
        let limit = limit.unwrap_or(target.command_timeout);
        start(Job::new(done, async move {
            let asked = async {
                match &target.settings.topology {
                    Topology::Upstash(upstash) => console.http.send(&target, upstash, &commands).await,
                    _ => console.converse(&target, &address, &slot, &commands).await,
                }
            };
            match timeout_at(Instant::now() + limit, asked).await {
                Ok(replies) => replies.map(Answer::Replies),
                Err(_) => Err(texts::no_answer(display_address(&address), limit.as_millis()).error()),
            }
        }));
    }

    async fn converse(
        &self,
        target: &Target,
        address: &Address,
        slot: &Slot,
        commands: &[Command],
    ) -> Result<Vec<Value>, StoreError> {
        let mut slot = slot.lock().await;
        // Taken out, so that a connection on which a pipeline was given up is not used again.
        let mut session = match slot.take().and_then(Session::if_open) {
            Some(session) => session,
            None => connect(target, address).await.map_err(|error| error.error().clone())?,
        };
        let replies = session.ask(commands).await?;
        *slot = Some(session);
        Ok(replies)
    }

    /// Closes the connections.
    pub fn close(&self) {
        *self.servers() = Servers::default();
        self.http.close();
    }
}

async fn connect(target: &Target, address: &Address) -> Result<Session, ConnectError> {
    let connecting = tokio::time::timeout(target.connect_timeout, Session::open(target, address));
    connecting.await.unwrap_or_else(|_| Err(ConnectError::unresponsive(address)))
}

/// Runs a job on the I/O thread, once.
fn start(job: Job) {
    let job = Arc::new(Mutex::new(Some(job)));
    let take = move || {
        let job = job.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            if let Some(job) = job {
                job.run().await;
            }
        }
    };
    // A job that is dropped calls `done` with an error.
    let _ = runtime::spawn(take, || {});
}
