//! What all streams to a server have in common.

#[cfg(target_os = "linux")]
use std::os::fd::BorrowedFd;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream to a server, encrypted or not.
pub trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket below it, which becomes readable when the server sends something.
    #[cfg(target_os = "linux")]
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl AsyncStream for Box<dyn AsyncStream> {
    #[cfg(target_os = "linux")]
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        (**self).socket()
    }
}
