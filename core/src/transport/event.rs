//! What happens to a connection, for whoever wants to see it.

use std::time::Duration;

use serde_json::{Value, json};

use super::error::display_address;
use crate::config::Address;
use crate::error::StoreError;

/// Something that happened to a connection. Never has a secret or a value.
#[derive(Clone, Debug)]
pub enum Event {
    /// Calls can be sent.
    Ready {
        /// Where to connect, as it was configured.
        address: String,
        /// Who is connected.
        peer: Address,
        /// The server's version, if it is known.
        version: Option<String>,
        /// The configuration epoch in which sentinels named the server.
        epoch: Option<u64>,
        /// How long it took since the last one was lost, or since there was something to connect for.
        took: Duration,
    },
    /// No calls can be sent any more.
    Disconnected {
        /// Where to connect, as it was configured.
        address: String,
        /// Who was connected.
        peer: Address,
        /// Why.
        error: StoreError,
        /// The calls without an answer.
        pending: usize,
    },
    /// A connection was closed because nobody uses it any more.
    Closed {
        /// Where to connect, as it was configured.
        address: String,
        /// Who was connected.
        peer: Address,
    },
    /// Something is tried again after a pause: calls that the server refused for now, or to connect.
    Retry {
        /// Where to connect, as it was configured.
        address: String,
        /// What went wrong.
        error: StoreError,
        /// The calls without an answer.
        waiting: usize,
        /// The pause.
        pause: Duration,
    },
    /// Calls go to other servers from now on.
    Topology {
        /// Where to connect, as it was configured.
        address: String,
        /// The servers that they went to.
        from: Vec<Address>,
        /// The servers that they go to.
        to: Vec<Address>,
        /// Where that is known from.
        told_by: &'static str,
        /// The slot of a cluster that this is about; `None` for all there is.
        slot: Option<u16>,
    },
}

impl Event {
    /// The last word of the channel on which it is published.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Ready { .. } => "ready",
            Event::Disconnected { .. } => "disconnected",
            Event::Closed { .. } => "closed",
            Event::Retry { .. } => "retry",
            Event::Topology { .. } => "topology",
        }
    }

    /// Its fields as a JSON object.
    pub fn to_json(&self) -> String {
        let fields = match self {
            Event::Ready { address, peer, version, epoch, took } => json!({
                "address": address,
                "peer": display_address(peer),
                "serverVersion": version,
                "epoch": epoch,
                "ms": milliseconds(*took),
            }),
            Event::Disconnected { address, peer, error, pending } => json!({
                "address": address,
                "peer": display_address(peer),
                "error": error_fields(error),
                "pending": pending,
            }),
            Event::Closed { address, peer } => json!({ "address": address, "peer": display_address(peer) }),
            Event::Retry { address, error, waiting, pause } => json!({
                "address": address,
                "error": error_fields(error),
                "pending": waiting,
                "pauseMs": milliseconds(*pause),
            }),
            Event::Topology { address, from, to, told_by, slot } => json!({
                "address": address,
                "from": from.iter().map(display_address).collect::<Vec<_>>(),
                "to": to.iter().map(display_address).collect::<Vec<_>>(),
                "toldBy": told_by,
                "slot": slot,
            }),
        };
        without_nulls(fields).to_string()
    }
}

/// Milliseconds with microseconds behind the point.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// What is said of an error: its code, the server's own, its sentence, and what the layer below said.
pub fn error_fields(error: &StoreError) -> Value {
    without_nulls(json!({
        "code": error.code.as_str(),
        "message": error.message,
        "reply": error.reply,
        "cause": error.cause,
    }))
}

/// What is not known is left out.
pub fn without_nulls(mut fields: Value) -> Value {
    if let Value::Object(map) = &mut fields {
        map.retain(|_, value| !value.is_null());
    }
    fields
}
