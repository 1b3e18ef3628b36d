//! Streams of bytes: sockets, and TLS over them.

mod addresses;
pub mod resolve;
mod stream;
pub mod tcp;
pub mod tls;

pub use stream::AsyncStream;
