//! What all streams to a server have in common.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream to a server, encrypted or not.
pub trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncStream for T {}
