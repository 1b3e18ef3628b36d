//! Streams of bytes: sockets, and TLS over them.

mod addresses;
mod resolve;
mod stream;
pub mod tcp;
pub mod tls;

pub use resolve::is_lookup_error;
pub use stream::AsyncStream;
