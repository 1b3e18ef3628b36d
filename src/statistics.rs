//! What a store counts of its calls, and what it tells of itself and its connection. Nothing here asks the server.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use idioteque_redis_core::config::{Address, Sentinels, Settings, Topology};
use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::error_texts::calls as texts;
use idioteque_redis_core::store::{Operation, Sent};
use idioteque_redis_core::transport::{
    LastError, Observed, Seen, SharedConnection, Status, display_address, error_fields, without_nulls,
};
use serde_json::{Map, Value, json};

use crate::adopted_client::ClientState;
use crate::native_store::{NativeStore, Origin};

/// What a store has counted of its calls.
#[derive(Default)]
pub struct Counts {
    calls: Cell<u64>,
    errors: Cell<u64>,
    read_ahead_hits: Cell<u64>,
}

impl Counts {
    /// A call was made.
    pub fn call(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    /// A call that was counted is made by the live client's own methods, where it is counted too.
    pub fn handed_over(&self) {
        self.calls.set(self.calls.get() - 1);
    }

    /// A call rejected.
    pub fn error(&self) {
        self.errors.set(self.errors.get() + 1);
    }

    /// The answer to a call was known already.
    pub fn read_ahead_hit(&self) {
        self.read_ahead_hits.set(self.read_ahead_hits.get() + 1);
    }
}

impl NativeStore {
    /// The connection for a ping; connects when there was no call yet. `has_room` is whether there are not too many pings.
    pub fn pinged(&self, has_room: bool, moved: impl FnOnce()) -> Result<Arc<SharedConnection>, StoreError> {
        let refuse = |error: StoreError| StoreError { message: format!("ping: {}", error.message), ..error };
        if !has_room {
            return Err(refuse(texts::too_many_pings().error()));
        }
        self.connection(moved).map_err(refuse)
    }

    /// `stats()`
    pub fn statistics(&self) -> Value {
        let seen = self.observed().map(|observed| observed.seen());
        let settings = self.settings_now();
        let address = match (&seen, &settings) {
            (Some(seen), _) => Some(seen.address.clone()),
            (None, Some(settings)) => Some(Observed::address_of(settings)),
            (None, None) => None,
        };
        let status = match &seen {
            _ if self.is_closed() || self.client_has_ended() => "closed",
            Some(seen) => seen.status.as_str(),
            None => "idle",
        };
        let is_cluster = self.backend() == "redis-cluster";
        let Counts { calls, errors, read_ahead_hits } = &self.counts;
        let (pending, pending_bytes) = self.in_flight();
        let seen = seen.unwrap_or_else(nothing_seen);
        let mut peers = seen.peers.iter().map(display_address).collect::<Vec<_>>();
        peers.sort_unstable();
        let peer = if is_cluster { Some(json!(peers)) } else { peers.pop().map(Value::from) };
        without_nulls(json!({
            "status": status,
            "backend": self.backend(),
            "address": address,
            "peer": peer,
            "serverVersion": seen.version,
            "connects": seen.connects,
            "reconnects": seen.reconnects,
            "lastError": seen.last_error.map(last_error),
            "pending": pending,
            "pendingBytes": pending_bytes,
            "calls": calls.get(),
            "errors": errors.get(),
            "retries": seen.counts.retries,
            "roundTrips": seen.counts.round_trips,
            "readAheadHits": read_ahead_hits.get(),
            "bytesWritten": seen.counts.bytes_written,
            "bytesRead": seen.counts.bytes_read,
        }))
    }

    /// Where its calls go.
    pub fn about(&self) -> Value {
        let settings = self.settings_now();
        let (address, port) = settings.as_ref().map_or((None, None), servers);
        without_nulls(json!({
            "backend": self.backend(),
            "serverAddress": address,
            "serverPort": port,
            "database": settings.as_ref().map(|settings| settings.database),
            "commands": self.commands(settings.as_ref()),
            "clientName": settings.as_ref().and_then(|settings| settings.client_name.clone()),
            // Its database may change.
            "isLive": matches!(self.origin(), Origin::Live(_)),
        }))
    }

    /// What each call sends, and how many commands. A `touch` that names a task has a row of its own.
    fn commands(&self, settings: Option<&Settings>) -> Value {
        let key_options = settings.map_or_else(Default::default, |settings| Arc::new(self.key_options(settings)));
        let is_cluster = settings.is_some_and(|settings| matches!(settings.topology, Topology::Cluster(_)));
        let sent = |operation: Operation, with_task| {
            let Sent { name, commands } = Sent::by(operation, with_task, &key_options, is_cluster);
            json!([name, commands])
        };
        let row = |operation: Operation| (operation.name().to_owned(), sent(operation, operation.has_task()));
        let mut rows: Map<String, Value> = Operation::ALL.into_iter().map(row).collect();
        rows.insert("touchTask".to_owned(), sent(Operation::Touch, true));
        Value::Object(rows)
    }

    /// The database that the next call goes to, where the live client can say so.
    pub fn selected(&self) -> Option<u32> {
        match self.origin() {
            Origin::Fixed(_) => None,
            Origin::Live(live) => match live.state() {
                ClientState::Database(database) => Some(database),
                ClientState::Unknown | ClientState::Ended => None,
            },
        }
    }

    /// Who is at the other end of a connection, if that is still known.
    pub fn peer(&self, connection: NonZeroU64) -> Option<Value> {
        let (address, port) = split(&self.observed()?.peer_of(connection)?);
        Some(without_nulls(json!({ "address": address, "port": port })))
    }

    /// Whether the live client whose settings it uses has ended.
    fn client_has_ended(&self) -> bool {
        match self.origin() {
            Origin::Fixed(_) => false,
            Origin::Live(live) => matches!(live.state(), ClientState::Ended),
        }
    }

    /// The settings, as far as they are known now.
    fn settings_now(&self) -> Option<Settings> {
        match self.origin() {
            Origin::Fixed(settings) => Some((**settings).clone()),
            Origin::Live(_) if self.client_has_ended() => None,
            Origin::Live(live) => live.settings().ok(),
        }
    }
}

/// Where the client is configured to go, as OpenTelemetry's conventions for databases put it: several servers with commas between them,
/// and their ports apart if that is one; sentinels with their ports and with what they call the primary.
fn servers(settings: &Settings) -> (Option<String>, Option<u16>) {
    let list = |nodes: &[Address]| {
        let mut nodes: Vec<String> = nodes.iter().map(display_address).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.join(",")
    };
    match &settings.topology {
        Topology::Single | Topology::Upstash(_) => split(&settings.address),
        Topology::Sentinel(Sentinels { addresses, master, .. }) => {
            (Some(format!("{}/{master}", list(addresses))), None)
        }
        Topology::Cluster(nodes) => {
            let (mut hosts, ports): (Vec<_>, Vec<_>) = nodes.iter().map(split).unzip();
            if !ports.iter().all(|port| *port == ports[0]) {
                return (Some(list(nodes)), None);
            }
            hosts.sort_unstable();
            hosts.dedup();
            (Some(hosts.into_iter().flatten().collect::<Vec<_>>().join(",")), ports.first().copied().flatten())
        }
    }
}

fn split(address: &Address) -> (Option<String>, Option<u16>) {
    match address {
        Address::Tcp(host, port) => (Some(host.clone()), Some(*port)),
        Address::Unix(path) => (Some(path.display().to_string()), None),
    }
}

fn last_error(LastError { error, at }: LastError) -> Value {
    let mut fields = error_fields(&error);
    fields["at"] = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64).into();
    fields
}

fn nothing_seen() -> Seen {
    Seen {
        status: Status::Connecting,
        address: String::new(),
        peers: Vec::new(),
        version: None,
        last_error: None,
        connects: 0,
        reconnects: 0,
        counts: Default::default(),
    }
}
