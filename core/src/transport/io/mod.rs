//! Streams of bytes: sockets, and TLS over them.

pub mod tcp;
pub mod tls;
