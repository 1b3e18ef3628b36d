//! What a connection hands over when its calls have to be taken apart.

use super::pending_calls::PendingCall;
use super::target::Target;

/// The calls of a connection to what turned out to be several shards, none of them in flight.
pub struct Handover {
    /// What it was made to.
    pub target: Target,
    /// The calls, in the order in which they came.
    pub pending: Vec<PendingCall>,
    /// The number of the next call.
    pub next_sequence: u64,
}
