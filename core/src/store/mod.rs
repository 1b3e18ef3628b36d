//! What a store call means: its keys and commands, and the meaning of the replies. Pure: no I/O, no N-API.

pub mod answer;
pub mod call;
pub mod cluster_steps;
pub mod error_reply;
pub mod execution_order;
pub mod keys;
pub mod operation;
pub mod prefetch;
pub mod prefetch_policy;
pub mod recency;
pub mod reply;
pub mod reply_values;
pub mod server_features;
pub mod slot;
pub mod snapshot;

pub use answer::Answer;
pub use call::{Call, KeyOptions};
pub use error_reply::ErrorReply;
pub use operation::Operation;
pub use prefetch::Prefetch;
pub use recency::Position;
pub use reply::Reply;
pub use snapshot::Snapshot;
