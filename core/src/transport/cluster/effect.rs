//! What a router wants done.

use std::sync::Arc;

use crate::config::Address;
use crate::transport::node_id::{ExpectedNode, NodeId};
use crate::transport::request::{CompletionSink, Request};
use crate::transport::warning::Warning;

/// What a router wants done, in this order. What comes of it is told to the router.
pub enum Effect {
    /// A connection is opened, under this number. It makes itself, and makes itself anew.
    Open {
        /// Its number.
        node: u32,
        /// Where it leads.
        address: Address,
        /// Who should be there.
        expected: ExpectedNode,
    },
    /// Parts of calls are sent over an open connection. Each comes back: [`Router::returned`](super::router::Router::returned).
    Send {
        /// The connection.
        node: u32,
        /// The parts, in their order.
        parts: Vec<Request>,
    },
    /// What was sent over a connection for these slots comes back, as if the connection had been lost.
    Recall {
        /// The connection.
        node: u32,
        /// The slots.
        slots: Vec<u16>,
    },
    /// A connection is closed. What was sent over it comes back.
    Close {
        /// The connection.
        node: u32,
    },
    /// The map is read: [`Router::map_read`](super::router::Router::map_read).
    ReadMap {
        /// Who is asked, besides the nodes that were configured.
        addresses: Vec<Address>,
        /// The nodes that were known before.
        known: Arc<[NodeId]>,
        /// Those whose maps have led nowhere: another one is believed before.
        discredited: Vec<Address>,
    },
    /// Who watches is told that calls go elsewhere from now on.
    Moved {
        /// Where they went.
        from: Vec<Address>,
        /// Where they go.
        to: Vec<Address>,
        /// Who said so.
        told_by: &'static str,
        /// Calls for this slot, or all.
        slot: Option<u16>,
    },
    /// Somebody who calls is warned.
    Warn {
        /// Who.
        sink: Arc<dyn CompletionSink>,
        /// Of what.
        warning: Warning,
    },
}
