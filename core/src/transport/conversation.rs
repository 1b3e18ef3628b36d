//! Questions and answers before a connection is in use, or over a short one: a few commands, and as many replies as trees.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use redis::{Pipeline, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::error::ConnectError;
use super::io::AsyncStream;
use super::probe::error_reply;
use super::protocol::decode::Decoder;
use super::protocol::encode::Encoder;
use super::protocol::value_visitor::ValueVisitor;
use super::protocol::violation::ProtocolViolation;
use super::retry_policy::refuses_connection;
use crate::config::Address;

/// Bytes that are read at a time.
const READ_BYTES: usize = 4096;

/// Questions and answers over a stream that carries nothing else.
pub struct Conversation {
    stream: Box<dyn AsyncStream>,
    server: Address,
    decoder: Decoder,
    values: ValueVisitor,
    /// Something has come.
    heard: bool,
}

/// A conversation that ended before all replies had come.
#[derive(Debug)]
pub struct Interrupted {
    /// Those that had.
    pub replies: Vec<Value>,
    /// Why.
    pub error: ConnectError,
    /// The server ended the connection, and said nothing that should not be.
    pub hung_up: bool,
}

impl From<Interrupted> for ConnectError {
    /// What the server said before it closed the connection says more than that it did.
    fn from(Interrupted { replies, error, hung_up }: Interrupted) -> Self {
        let words = replies.last().filter(|_| hung_up).and_then(error_reply);
        words.filter(refuses_connection).map_or(error, ConnectError::handshake)
    }
}

impl Conversation {
    /// Over a stream to a server that nothing has been sent over.
    pub fn new(stream: Box<dyn AsyncStream>, server: Address) -> Self {
        Self { stream, server, decoder: Decoder::new(), values: ValueVisitor::default(), heard: false }
    }

    /// Sends commands and waits for as many replies. The caller sets the time limit.
    ///
    /// # Errors
    /// When the connection ends before them, or something else comes than the replies to them.
    pub async fn ask(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, Interrupted> {
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
                Ok(0) => return Err(self.ended(replies, written.err())),
                Ok(count) => count,
                Err(error) => return Err(self.ended(replies, Some(error))),
            };
            self.heard = true;
            let mut bytes = &buffer[..count];
            while !bytes.is_empty() {
                let violation = if replies.len() == pipeline.len() {
                    Err(ProtocolViolation::Unsolicited)
                } else {
                    self.decoder.read(bytes, &mut self.values)
                };
                let progress = match violation {
                    Ok(progress) => progress,
                    Err(violation) => {
                        let error = ConnectError::lost(&violation.to_string());
                        return Err(Interrupted { replies, error, hung_up: false });
                    }
                };
                bytes = &bytes[progress.used..];
                replies.extend(self.values.take().filter(|_| progress.complete));
            }
        }
        Ok(replies)
    }

    fn ended(&self, replies: Vec<Value>, error: Option<io::Error>) -> Interrupted {
        let error = match error {
            error if !self.heard => ConnectError::hung_up(&self.server, error.map(|error| error.to_string())),
            Some(error) => ConnectError::lost(&error.to_string()),
            None => ConnectError::closed(),
        };
        Interrupted { replies, error, hung_up: true }
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
