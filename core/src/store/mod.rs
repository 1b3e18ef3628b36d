//! What a store call means: which keys and commands it becomes, and what the replies say. Pure: no I/O, no N-API.

pub mod call;
pub mod habit;
pub mod keys;
pub mod recency;
pub mod reply;
pub mod snapshot;
pub mod split;

pub use call::{Call, Kind, Style};
pub use recency::Position;
pub use reply::{Answer, Reply};
pub use snapshot::{Ahead, Snapshot};
