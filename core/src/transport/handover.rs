//! What a connection hands over when its calls have to be taken apart.

use super::connection::lessons::Lessons;
use super::pending_calls::PendingCall;
use super::target::Target;
use crate::store::server_features::ServerFeatures;

/// What is known of a server by its refusals.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// What it understands.
    pub features: ServerFeatures,
    /// Where it hangs up.
    pub lessons: Lessons,
}

/// The calls of a connection to what turned out to be several shards, none of them in flight.
pub struct Handover {
    /// What it was made to.
    pub target: Target,
    /// What it has learnt of the server.
    pub learnt: Learnt,
    /// The calls, in the order in which they came.
    pub pending: Vec<PendingCall>,
    /// The number of the next call.
    pub next_sequence: u64,
}
