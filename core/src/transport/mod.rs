//! How calls reach a server: a queue into the one I/O thread, where a driver per connection sends them and returns the
//! answers in batches. Nothing here depends on N-API.
//!
//! The addon uses what is re-exported below. The modules that are public besides, and `ExpectedNode`, are so for
//! the fuzz targets, which read replies with them.

mod answer_watch;
mod applied;
mod backoff;
mod checker;
mod closer;
pub mod cluster;
pub mod connection;
mod connection_id;
mod console;
mod conversation;
mod error;
mod event;
mod handover;
mod http;
mod inbox;
mod io;
mod node_id;
mod observed;
mod ordered_calls;
mod pending_calls;
mod ping;
mod probe;
pub mod protocol;
mod ranks;
mod request;
mod resend_order;
mod result_budget;
mod retry_policy;
mod runtime;
pub mod sentinel;
mod settings_provider;
mod shared_connections;
#[cfg(test)]
mod simulation;
mod target;
mod timer;
mod warning;

pub use answer_watch::AnswerWatch;
pub use closer::Closer;
pub use console::{Answer, Command, Console, Done, Node, Reply};
pub use error::{ConnectError, display_address};
pub use event::{Event, error_fields, milliseconds, without_nulls};
pub use node_id::ExpectedNode;
pub use observed::{Counts, LastError, Observed, Seen, Status};
pub use ping::{Ping, Pong};
pub use request::{CompletionSink, Finished, Request};
pub use result_budget::ResultBudget;
pub use runtime::at_io_thread_start;
pub use settings_provider::{Asked, SettingsProvider};
pub use shared_connections::SharedConnection;
pub use target::{Member, Target};
pub use warning::Warning;
