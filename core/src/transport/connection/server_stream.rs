//! The bytes of one connection, between its socket and the [`Machine`].

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::machine::Machine;
use crate::moment::Moment;
use crate::transport::answer_watch::AnswerWatch;
use crate::transport::inbox::Inbox;
use crate::transport::io::AsyncStream;
use crate::transport::io::tcp::Progress;

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// Where bytes are read to. They are used before anything else is read. Only room, which nobody has to fill with zeros before the
    /// first answer can be read.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(READ_BYTES));
}

/// The bytes of the connection in use.
pub struct ServerStream {
    stream: Box<dyn AsyncStream>,
    progress: Progress,
    /// How many signs of life have been noted.
    seen: u64,
    /// What was not written is not written any more; what the server still says is read.
    write_failed: bool,
    /// How the connection ended, if a visitor has found that: it ends nothing.
    ended: Option<ReadError>,
}

/// Why nothing can be read any more; `None` when the other side has closed the connection.
pub type ReadError = Option<io::Error>;

impl ServerStream {
    /// Nothing of it has been read or written.
    pub fn new(stream: Box<dyn AsyncStream>, progress: Progress) -> Self {
        let seen = progress.count();
        Self { stream, progress, seen, write_failed: false, ended: None }
    }

    /// Reads what has come, once. Returns how much.
    pub fn read(&mut self, cx: &mut Context<'_>, machine: &mut Machine, now: Instant) -> Result<usize, ReadError> {
        if let Some(error) = self.ended.take() {
            return Err(error);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::uninit(buffer.spare_capacity_mut());
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => Ok(0),
                Poll::Ready(Err(error)) => Err(Some(error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(None),
                Poll::Ready(Ok(())) => {
                    machine.received(buffer.filled(), now);
                    Ok(buffer.filled().len())
                }
            }
        })
    }

    /// Reads as a visitor.
    pub fn read_visited(&mut self, cx: &mut Context<'_>, machine: &mut Machine, now: Instant) {
        self.ended = self.read(cx, machine, now).err();
    }

    /// Whether only an answer of the server, or another call, is to be waited for.
    pub fn waits(&self, machine: &Machine) -> bool {
        self.ended.is_none() && !self.write_failed && machine.unwritten().is_empty()
    }

    /// Has the thread of a watch read the next answer. Whether it will.
    pub fn is_watched_by(&self, watch: &AnswerWatch, inbox: &Arc<Inbox>) -> bool {
        watch.watch(&self.stream, inbox)
    }

    /// Writes what is to be written. Returns whether the server took any.
    pub fn write(&mut self, cx: &mut Context<'_>, machine: &mut Machine, now: Instant) -> bool {
        let mut any = false;
        while !self.write_failed && !machine.unwritten().is_empty() {
            let at = Moment::now();
            match Pin::new(&mut self.stream).poll_write(cx, machine.unwritten()) {
                Poll::Pending => break,
                Poll::Ready(Ok(written)) if written > 0 => {
                    machine.wrote(written, at);
                    any = true;
                }
                // The server may have said why it closed the connection: that is read, to the end.
                Poll::Ready(_) => self.write_failed = true,
            }
        }
        if !self.write_failed
            && let Poll::Ready(Err(_)) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            self.write_failed = true;
        }
        if self.progress.count() != self.seen {
            self.seen = self.progress.count();
            machine.drained(now);
        }
        any
    }
}
