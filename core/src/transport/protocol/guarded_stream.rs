//! Keeps from the parser what a server must not send, and knows the reply that was too large.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reply_framer::{ProtocolViolation, ReplyFramer};
use crate::store::ErrorReply;

/// A stream whose incoming side is checked.
pub struct Guarded<S> {
    stream: S,
    expected_replies: ExpectedReplies,
}

/// A handle on which replies are expected. Whoever sends commands says so first.
#[derive(Clone)]
pub struct ExpectedReplies(Arc<Mutex<State>>);

struct State {
    frames: ReplyFramer,
    wrong: Option<ProtocolViolation>,
}

impl ExpectedReplies {
    /// Used on one thread, so that nobody waits; a panic elsewhere does not spoil counters.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that so many commands are going to be sent, and returns the number of the first one's reply.
    pub fn ask(&self, commands: usize) -> u64 {
        self.lock().frames.ask(commands)
    }

    /// The number of the next reply to come, or of the one that is coming.
    pub fn next(&self) -> u64 {
        self.lock().frames.answered()
    }

    /// The number of the reply that was too large, if that is what ended the connection.
    pub fn too_large(&self) -> Option<u64> {
        let state = self.lock();
        (state.wrong == Some(ProtocolViolation::TooLarge)).then(|| state.frames.answered())
    }

    /// What the latest reply refused and its number, if it did. A server that does not understand what it is sent, or
    /// takes it for too long, says so and closes the connection.
    pub fn last_word(&self) -> Option<(u64, ErrorReply)> {
        let state = self.lock();
        let (number, words) = state.frames.last_word()?;
        Some((number, ErrorReply::of(&String::from_utf8_lossy(words))))
    }
}

impl<S> Guarded<S> {
    /// Checks what comes over a stream that nothing has been sent over.
    pub fn new(stream: S) -> (Self, ExpectedReplies) {
        let expected_replies = ExpectedReplies(Arc::new(Mutex::new(State { frames: ReplyFramer::new(), wrong: None })));
        (Self { stream, expected_replies: expected_replies.clone() }, expected_replies)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let mut state = self.expected_replies.lock();
        let outcome = match state.wrong {
            Some(wrong) => Err(wrong),
            None => state.frames.read(&buffer.filled()[before..]),
        };
        Poll::Ready(outcome.map_err(|wrong| {
            state.wrong = Some(wrong);
            buffer.set_filled(before);
            io::Error::new(io::ErrorKind::InvalidData, wrong)
        }))
    }
}

impl<S> Guarded<S> {
    /// Keeps a failed write from the driver, which would hang up without reading what the other side said when it stopped
    /// listening. Reading that comes to the same end.
    fn wait_for_end<T>(result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(_)) => Poll::Pending,
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::wait_for_end(Pin::new(&mut self.stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::wait_for_end(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::wait_for_end(Pin::new(&mut self.stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
