//! The connections in use, and how calls are queued for them.

use std::mem;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::answer_watch::AnswerWatch;
use super::closer::Closer;
use super::inbox::{Inbox, InboxState};
use super::observed::Observed;
use super::pending_calls::deliver;
use super::ping::Ping;
use super::request::{CompletionSink, Request};
use super::runtime::not_visited;
use super::target::Target;
use super::{cluster, connection, http, runtime};
use crate::config::Topology;
use crate::error::StoreError;

/// Runs one connection until its last handle is dropped and nothing is pending.
pub(super) async fn serve(target: Target, inbox: Arc<Inbox>) {
    let handover = match target.settings.topology {
        Topology::Cluster(_) => return not_visited(cluster::driver::route(target, inbox)).await,
        Topology::Upstash(_) => not_visited(http::serve(target, inbox.clone())).await,
        Topology::Single | Topology::Sentinel(_) => connection::driver::serve(target, inbox.clone()).await,
    };
    if let Some(handover) = handover {
        not_visited(cluster::driver::route_shards(handover, inbox)).await;
    }
}

/// The sending end of one connection. Dropping the last handle closes the connection once nothing is pending.
pub struct SharedConnection {
    pub(super) target: Target,
    pub(super) inbox: Arc<Inbox>,
}

/// Connections in use, so that stores with equal settings share one. Few and short-lived entries: a list is enough.
pub(super) static CONNECTIONS: Mutex<Vec<Weak<SharedConnection>>> = Mutex::new(Vec::new());

impl SharedConnection {
    /// The connection to a target: the one in use if there is one, else a new one, which starts to connect. `sink`
    /// is told what happens to it.
    ///
    /// # Errors
    /// When the I/O thread cannot be started.
    pub fn open(target: Target, sink: &Arc<dyn CompletionSink>) -> Result<Arc<SharedConnection>, StoreError> {
        let mut connections = CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| connection.strong_count() > 0);
        if let Some(connection) =
            connections.iter().filter_map(Weak::upgrade).find(|connection| connection.target.shares_with(&target))
        {
            connection.observed().listen(sink);
            return Ok(connection);
        }
        let inbox = Inbox::new(Arc::new(Observed::new(&target.settings)));
        inbox.observed.listen(sink);
        start(&target, &inbox)?;
        let connection = Arc::new(SharedConnection { target, inbox });
        connections.push(Arc::downgrade(&connection));
        Ok(connection)
    }

    /// Lets go of a handle. If it is the last one, the connection ends when what may still be on its way has been fenced
    /// off, or could not be within `commandTimeout`; `closer` says so. Otherwise there is nothing to be done.
    pub fn close(self: Arc<Self>, closer: Closer) {
        if let Some(last) = Arc::into_inner(self) {
            last.inbox.lock().closer = Some(Arc::new(closer));
        }
    }

    /// Queues requests, in their order. `watch` is what this thread may read the answer to a lone one by.
    pub fn send_all(&self, requests: Vec<Request>, watch: Option<&Rc<AnswerWatch>>) {
        self.queue(watch, |state| match state.requests.is_empty() {
            true => state.requests = requests,
            false => state.requests.extend(requests),
        });
    }

    /// What can be seen of it.
    pub fn observed(&self) -> &Arc<Observed> {
        &self.inbox.observed
    }

    /// Where to connect, as far as that was known when it was opened.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Asks whether the server is there, over the connection that calls use.
    pub fn ping(&self, ping: Ping) {
        self.queue(None, |state| state.pings.push(ping));
    }

    /// Queues requests; starts anew when the I/O thread has ended.
    fn queue(&self, watch: Option<&Rc<AnswerWatch>>, add: impl FnOnce(&mut InboxState)) {
        let mut was_abandoned = false;
        self.inbox.change_watching(watch, |state| {
            was_abandoned = mem::take(&mut state.abandoned);
            add(state);
        });
        if was_abandoned && let Err(error) = start(&self.target, &self.inbox) {
            let requests = self.inbox.give_up();
            deliver(&mut requests.into_iter().map(|request| request.fail(error.clone())).collect());
        }
    }
}

/// Starts the driver of a connection.
fn start(target: &Target, inbox: &Arc<Inbox>) -> Result<(), StoreError> {
    let (target, task_inbox, abandoned) = (target.clone(), inbox.clone(), inbox.clone());
    let task = runtime::spawn(move || serve(target.clone(), task_inbox.clone()), move || abandoned.abandon())?;
    inbox.lock().task = Some(task);
    Ok(())
}

impl Drop for SharedConnection {
    fn drop(&mut self) {
        self.inbox.change(|state| state.closed = true);
    }
}

#[cfg(test)]
mod tests;
