//! What can be seen of a connection from any thread: what its drivers count, who is connected, and what went wrong last.
//! Counted always, and cheaply: a driver adds what it has counted once in a turn of its own.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use super::error::{ConnectError, display_address};
use super::event::Event;
use super::request::CompletionSink;
use crate::config::{Address, Settings, Topology};
use crate::error::StoreError;

/// Connections whose peers are remembered, so that it is known who answered a call.
const MAX_PEERS: usize = 256;

/// What can be seen of a connection, or of the connections to the servers of a cluster.
pub struct Observed {
    /// Where to connect, as it was configured, without secrets.
    address: String,
    counters: Counters,
    state: Mutex<State>,
}

#[derive(Default)]
struct Counters {
    connects: AtomicU64,
    reconnects: AtomicU64,
    round_trips: AtomicU64,
    retries: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

/// What a driver has counted in one of its turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were sent; over HTTP, requests.
    pub round_trips: u64,
    /// Calls among them that had been sent before.
    pub retries: u64,
    /// Bytes.
    pub bytes_written: u64,
    /// Bytes.
    pub bytes_read: u64,
}

impl Counts {
    /// A call was sent, for the first time or again.
    pub fn note_sent(&mut self, attempts: u32) {
        self.round_trips += 1;
        self.retries += u64::from(attempts > 1);
    }
}

struct State {
    servers: Vec<Server>,
    next_server: u64,
    /// Who is, or was, at the other end of which connection.
    peers: VecDeque<(NonZeroU64, Address)>,
    /// Who was dialled last where connections come and go, as with HTTP.
    dialled: Option<Address>,
    last_error: Option<LastError>,
    /// Of whom that is known.
    version: Option<(Address, String)>,
    listeners: Vec<Weak<dyn CompletionSink>>,
    status: Status,
    /// How often a server became ready.
    readied: u64,
    /// When one was lost that no other has taken the place of: the connections that had been made, and how often one was ready.
    lost_after: Option<(u64, u64)>,
}

/// One server with a connection of its own.
struct Server {
    number: u64,
    condition: Condition,
    peer: Option<Address>,
}

/// Whether one server can be sent calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has not been reached yet.
    Connecting,
    /// It can.
    Ready,
    /// It could, and is to be reached again.
    Lost,
}

/// Whether calls can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody has been reached yet.
    Connecting,
    /// They can.
    Ready,
    /// They could, and somebody is to be reached again.
    Reconnecting,
}

impl Status {
    /// The status as JavaScript sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Connecting => "connecting",
            Status::Ready => "ready",
            Status::Reconnecting => "reconnecting",
        }
    }
}

/// Why there was no connection.
#[derive(Clone, Debug)]
pub struct LastError {
    /// The error that calls would have failed with.
    pub error: StoreError,
    /// When.
    pub at: SystemTime,
}

/// What was seen at a moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whether calls can be sent.
    pub status: Status,
    /// Where to connect, as it was configured.
    pub address: String,
    /// Who is connected.
    pub peers: Vec<Address>,
    /// The server's version, if it is known.
    pub version: Option<String>,
    /// Why there was no connection, when that was so last.
    pub last_error: Option<LastError>,
    /// Connections that were made, also those that ended before they were of use.
    pub connects: u64,
    /// How often the connection was lost and made again.
    pub reconnects: u64,
    /// What was counted.
    pub counts: Counts,
}

impl Observed {
    /// Of a connection with these settings.
    pub fn new(settings: &Settings) -> Self {
        let state = State {
            servers: Vec::new(),
            next_server: 0,
            peers: VecDeque::new(),
            dialled: None,
            last_error: None,
            version: None,
            listeners: Vec::new(),
            status: Status::Connecting,
            readied: 0,
            lost_after: None,
        };
        Self { address: Self::address_of(settings), counters: Counters::default(), state: Mutex::new(state) }
    }

    /// Where to connect: one address, or those of sentinels or of the servers of a cluster that are asked for the others.
    pub fn address_of(settings: &Settings) -> String {
        let list = |nodes: &[Address]| nodes.iter().map(display_address).collect::<Vec<_>>().join(",");
        match &settings.topology {
            Topology::Cluster(nodes) => list(nodes),
            Topology::Sentinel(sentinels) => list(&sentinels.addresses),
            Topology::Single | Topology::Upstash(_) => display_address(&settings.address),
        }
    }

    /// Plain values, valid at every step, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, an environment is told what happens.
    pub fn listen(&self, sink: &Arc<dyn CompletionSink>) {
        let listeners = &mut self.lock().listeners;
        listeners.retain(|listener| listener.strong_count() > 0);
        if !listeners.iter().any(|listener| std::ptr::addr_eq(listener.as_ptr(), Arc::as_ptr(sink))) {
            listeners.push(Arc::downgrade(sink));
        }
    }

    /// What is to be seen now.
    pub fn seen(&self) -> Seen {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let Counters { connects, reconnects, round_trips, retries, bytes_written, bytes_read } = &self.counters;
        let state = self.lock();
        let connected = state.servers.iter().filter(|server| server.condition == Condition::Ready);
        let peers: Vec<Address> =
            connected.filter_map(|server| server.peer.clone().or_else(|| state.dialled.clone())).collect();
        let version = state.version.as_ref().filter(|(of, _)| peers.contains(of)).map(|(_, version)| version.clone());
        Seen {
            status: state.status,
            address: self.address.clone(),
            peers,
            version,
            last_error: state.last_error.clone(),
            connects: count(connects),
            reconnects: count(reconnects),
            counts: Counts {
                round_trips: count(round_trips),
                retries: count(retries),
                bytes_written: count(bytes_written),
                bytes_read: count(bytes_read),
            },
        }
    }

    /// Whether calls can be sent.
    pub fn status(&self) -> Status {
        self.lock().status
    }

    /// Who is or was at the other end of a connection, if that is not too long ago.
    pub fn peer_of(&self, connection: NonZeroU64) -> Option<Address> {
        let state = self.lock();
        let known = state.peers.iter().rev().find(|(id, _)| *id == connection);
        known.map(|(_, peer)| peer.clone()).or_else(|| state.dialled.clone())
    }

    /// Where to connect, as it was configured.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Adds what a driver has counted.
    pub fn count(&self, counts: Counts) {
        let add = |counter: &AtomicU64, count: u64| {
            if count > 0 {
                counter.fetch_add(count, Relaxed);
            }
        };
        add(&self.counters.round_trips, counts.round_trips);
        add(&self.counters.retries, counts.retries);
        add(&self.counters.bytes_written, counts.bytes_written);
        add(&self.counters.bytes_read, counts.bytes_read);
    }

    /// Tells whoever listens what happened.
    pub fn tell(&self, event: &Event) {
        let listeners: Vec<_> = self.lock().listeners.iter().filter_map(Weak::upgrade).collect();
        for listener in listeners {
            listener.event(event);
        }
    }

    /// A connection was made that may serve any request.
    pub fn dialled(&self, peer: Address) {
        self.counters.connects.fetch_add(1, Relaxed);
        self.lock().dialled = Some(peer);
    }

    /// Why there is no connection.
    pub fn note_error(&self, error: &StoreError) {
        self.lock().last_error = Some(LastError { error: error.clone(), at: SystemTime::now() });
    }

    /// Calls go to other servers from now on.
    pub fn moved(&self, from: Vec<Address>, to: Vec<Address>, told_by: &'static str, slot: Option<u16>) {
        self.tell(&Event::Topology { address: self.address.clone(), from, to, told_by, slot });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let any = |condition| state.servers.iter().any(|server| server.condition == condition);
        let before = state.status;
        let status = if any(Condition::Lost) {
            Status::Reconnecting
        } else if any(Condition::Ready) {
            Status::Ready
        } else if before == Status::Connecting {
            Status::Connecting
        } else {
            Status::Reconnecting
        };
        let connects = self.counters.connects.load(Relaxed);
        // A server of a cluster may be given up before there is a connection to the one that has taken its place.
        if before == Status::Ready && status == Status::Reconnecting {
            state.lost_after = Some((connects, state.readied));
        }
        let is_made_again = |(made, readied)| connects > made && state.readied > readied;
        if status == Status::Ready && state.lost_after.is_some_and(is_made_again) {
            state.lost_after = None;
            self.counters.reconnects.fetch_add(1, Relaxed);
        }
        state.status = status;
    }
}

/// What the driver of one server tells of it. Dropping it says that the server is not used any more.
pub struct ServerObserver {
    observed: Arc<Observed>,
    number: u64,
    condition: Condition,
    /// Who is, or was, connected.
    peer: Option<Address>,
    /// Who was told to be ready, so that the loss is told of the same.
    ready: Option<Address>,
    /// The configuration epoch in which sentinels named it.
    epoch: Option<u64>,
    /// Since when a connection is wanted.
    wanted_since: Instant,
}

impl ServerObserver {
    /// Of a server that has not been reached yet.
    pub fn new(observed: &Arc<Observed>) -> Self {
        let mut number = 0;
        observed.change(|state| {
            number = state.next_server;
            state.next_server += 1;
            state.servers.push(Server { number, condition: Condition::Connecting, peer: None });
        });
        let observed = observed.clone();
        Self {
            observed,
            number,
            condition: Condition::Connecting,
            peer: None,
            ready: None,
            epoch: None,
            wanted_since: Instant::now(),
        }
    }

    /// What all servers have in common.
    pub fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// A connection was made, which may turn out to be of no use. `epoch` is the sentinels'. Returns whether it is to another server
    /// than the last one.
    pub fn connected(&mut self, id: NonZeroU64, peer: &Address, epoch: Option<u64>) -> bool {
        self.observed.counters.connects.fetch_add(1, Relaxed);
        let is_another = self.peer.as_ref().is_some_and(|before| before != peer);
        (self.peer, self.epoch) = (Some(peer.clone()), epoch);
        let number = self.number;
        self.observed.change(|state| {
            if state.peers.len() >= MAX_PEERS {
                state.peers.pop_front();
            }
            state.peers.push_back((id, peer.clone()));
            if let Some(server) = state.servers.iter_mut().find(|server| server.number == number) {
                server.peer = Some(peer.clone());
            }
        });
        is_another
    }

    /// An attempt to connect failed.
    pub fn not_connected(&self, error: &ConnectError) {
        self.observed.note_error(error.error());
    }

    /// Whether the server can be sent calls; if it can no more, `why`, and the number of calls without an answer.
    pub fn note(&mut self, is_ready: bool, now: Instant, why: impl FnOnce() -> (StoreError, usize)) {
        let condition = match (is_ready, self.condition) {
            (true, _) => Condition::Ready,
            (false, Condition::Connecting) => Condition::Connecting,
            (false, _) => Condition::Lost,
        };
        if condition == self.condition {
            return;
        }
        let number = self.number;
        self.observed.change(|state| {
            if let Some(server) = state.servers.iter_mut().find(|server| server.number == number) {
                server.condition = condition;
            }
            state.readied += u64::from(condition == Condition::Ready);
        });
        self.condition = condition;
        let observed = &self.observed;
        let address = observed.address.clone();
        match condition {
            Condition::Ready => {
                let Some(peer) = self.peer.clone().or_else(|| observed.lock().dialled.clone()) else { return };
                self.ready = Some(peer.clone());
                let state = observed.lock();
                let version = state.version.as_ref().filter(|(of, _)| *of == peer).map(|(_, version)| version.clone());
                drop(state);
                let took = now.saturating_duration_since(self.wanted_since);
                observed.tell(&Event::Ready { address, peer, version, epoch: self.epoch, took });
            }
            Condition::Lost => {
                self.wanted_since = now;
                let (error, pending) = why();
                observed.note_error(&error);
                if let Some(peer) = self.ready.take() {
                    observed.tell(&Event::Disconnected { address, peer, error, pending });
                }
            }
            Condition::Connecting => {}
        }
    }

    /// What the server says of its version.
    pub fn note_version(&self, version: String) {
        if let Some(peer) = &self.peer {
            self.observed.lock().version = Some((peer.clone(), version));
        }
    }

    /// Something is tried again.
    pub fn retries(&self, error: StoreError, waiting: usize, pause: std::time::Duration) {
        let address = self.observed.address.clone();
        self.observed.tell(&Event::Retry { address, error, waiting, pause });
    }
}

impl Drop for ServerObserver {
    fn drop(&mut self) {
        let number = self.number;
        self.observed.change(|state| state.servers.retain(|server| server.number != number));
        if let Some(peer) = self.ready.take() {
            self.observed.tell(&Event::Closed { address: self.observed.address.clone(), peer });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Input, from_input};
    use crate::error_texts::calls as texts;

    fn observed() -> Arc<Observed> {
        let settings = from_input(&Input::Text("redis://127.0.0.1:1".into()));
        Arc::new(Observed::new(&settings.unwrap()))
    }

    fn address(port: u16) -> Address {
        Address::Tcp("127.0.0.1".to_owned(), port)
    }

    fn ready(server: &mut ServerObserver, id: u64) {
        server.connected(NonZeroU64::new(id).unwrap(), &address(id as u16), None);
        server.note(true, Instant::now(), || unreachable!());
    }

    fn lose(server: &mut ServerObserver) {
        server.note(false, Instant::now(), || (texts::closed().error(), 0));
    }

    #[test]
    fn who_takes_the_place_of_a_lost_server_counts_whenever_that_is_given_up() {
        for gives_up_first in [true, false] {
            let observed = observed();
            let [mut lost, mut other] = [(); 2].map(|()| ServerObserver::new(&observed));
            ready(&mut lost, 1);
            ready(&mut other, 2);
            lose(&mut lost);
            let mut lost = Some(lost);
            if gives_up_first {
                lost = None;
            }
            let mut next = ServerObserver::new(&observed);
            next.connected(NonZeroU64::new(3).unwrap(), &address(3), None);
            assert_eq!(observed.seen().reconnects, 0);
            next.note(true, Instant::now(), || unreachable!());
            drop(lost);
            let Seen { status, connects, reconnects, peers, .. } = observed.seen();
            assert_eq!((status, connects, reconnects, peers.len()), (Status::Ready, 3, 1, 2));
            // Another one that joins takes nobody's place.
            let mut joined = ServerObserver::new(&observed);
            ready(&mut joined, 4);
            assert_eq!(observed.seen().reconnects, 1);
        }
    }

    #[test]
    fn a_connection_that_was_silent_is_not_made_again() {
        let observed = observed();
        let mut server = ServerObserver::new(&observed);
        ready(&mut server, 1);
        lose(&mut server);
        server.note(true, Instant::now(), || unreachable!());
        assert_eq!(observed.seen().reconnects, 0);
        lose(&mut server);
        assert_eq!(observed.seen().status, Status::Reconnecting);
        ready(&mut server, 2);
        assert_eq!(observed.seen().reconnects, 1);
    }
}
