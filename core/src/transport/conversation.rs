//! Questions and answers before a connection is in use, or over a short one: a few commands, and as many replies as trees.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use redis::{Pipeline, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::error::ConnectError;
use super::io::AsyncStream;
use super::protocol::decode::Decoder;
use super::protocol::encode::Encoder;
use super::protocol::value_visitor::ValueVisitor;
use super::protocol::violation::ProtocolViolation;

/// Bytes that are read at a time.
const READ_BYTES: usize = 4096;

/// Questions and answers over a stream that carries nothing else.
pub struct Conversation {
    stream: Box<dyn AsyncStream>,
    decoder: Decoder,
    values: ValueVisitor,
}

impl Conversation {
    /// Over a stream that nothing has been sent over.
    pub fn new(stream: Box<dyn AsyncStream>) -> Self {
        Self { stream, decoder: Decoder::new(), values: ValueVisitor::default() }
    }

    /// Sends commands and waits for as many replies. The caller sets the time limit.
    ///
    /// # Errors
    /// When the connection ends before them, or something else comes than the replies to them.
    pub async fn ask(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, ConnectError> {
        let lost = |error: &dyn Display| ConnectError::lost(&error.to_string());
        let mut encoder = Encoder::default();
        encoder.pipeline(pipeline);
        // The server may have said why it closed the connection: that is read whether or not it took the commands.
        let written = match self.stream.write_all(&encoder.bytes).await {
            Ok(()) => self.stream.flush().await,
            failed => failed,
        };
        let mut replies = Vec::with_capacity(pipeline.len());
        let mut buffer = [0; READ_BYTES];
        while replies.len() < pipeline.len() {
            let count = match self.stream.read(&mut buffer).await {
                Ok(0) => return Err(written.err().map_or_else(ConnectError::closed, |error| lost(&error))),
                Ok(count) => count,
                Err(error) => return Err(lost(&error)),
            };
            let mut bytes = &buffer[..count];
            while !bytes.is_empty() {
                if replies.len() == pipeline.len() {
                    return Err(lost(&ProtocolViolation::Unsolicited));
                }
                let progress = self.decoder.read(bytes, &mut self.values).map_err(|violation| lost(&violation))?;
                bytes = &bytes[progress.used..];
                replies.extend(self.values.take().filter(|_| progress.complete));
            }
        }
        Ok(replies)
    }

    /// The stream, for something else.
    ///
    /// # Errors
    /// When it is known to have ended behind the last reply.
    pub async fn end(mut self) -> Result<Box<dyn AsyncStream>, ConnectError> {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let looked = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))).await;
        match looked {
            Poll::Pending => Ok(self.stream),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(ConnectError::closed()),
            Poll::Ready(Ok(())) => Err(ConnectError::lost(&ProtocolViolation::Unsolicited.to_string())),
            Poll::Ready(Err(error)) => Err(ConnectError::lost(&error.to_string())),
        }
    }
}
