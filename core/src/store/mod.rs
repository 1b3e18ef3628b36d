//! What a store call means: its keys and commands, and the meaning of the replies. Pure: no I/O, no N-API.

pub mod answer;
pub mod call;
pub mod claims;
pub mod cluster_steps;
pub mod command_writer;
pub mod error_reply;
pub mod execution_order;
pub mod freshness;
pub mod habits;
pub mod json;
pub mod keys;
pub mod known;
pub mod lifetimes;
pub mod operation;
pub mod prefetch;
pub mod prefetch_policy;
pub mod recency;
pub mod reply;
pub mod reply_reader;
pub mod reply_visitor;
pub mod server_features;
pub mod slot;
pub mod snapshot;
pub mod splice;
mod unexpected;

pub use answer::Answer;
pub use call::{Call, KeyOptions};
pub use command_writer::CommandWriter;
pub use error_reply::ErrorReply;
pub use operation::Operation;
pub use prefetch::Prefetch;
pub use recency::Position;
pub use reply::Reply;
pub use reply_reader::ReplyReader;
pub use reply_visitor::ReplyVisitor;
pub use snapshot::Snapshot;
