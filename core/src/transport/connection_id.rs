//! Names for connections.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// An id for a connection that no other one has.
pub fn next_connection_id() -> NonZeroU64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed))
}
