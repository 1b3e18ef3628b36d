//! Makes a connection: dialled, encrypted where that is asked for, logged in, and the connections fenced off that it replaces.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use redis::{Pipeline, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::timeout_at;

use super::handshake::{Handshake, Identity, Presence};
use super::session::Opening;
use crate::config::{Settings, Topology};
use crate::transport::error::ConnectError;
use crate::transport::io::AsyncStream;
use crate::transport::io::tcp::{Progress, dial};
use crate::transport::io::tls;
use crate::transport::io::tls::encrypt;
use crate::transport::probe::AuthConfig;
use crate::transport::protocol::auth::Credentials;
use crate::transport::protocol::decode::Decoder;
use crate::transport::protocol::encode::Encoder;
use crate::transport::protocol::value_visitor::ValueVisitor;
use crate::transport::protocol::violation::ProtocolViolation;
use crate::transport::sentinel;
use crate::transport::target::{Member, Target};
use crate::transport::warning::Warning;

/// A connection that has been made.
pub struct Connected {
    /// Its bytes.
    pub stream: Box<dyn AsyncStream>,
    /// Signs of life.
    pub progress: Progress,
    /// How it begins.
    pub opening: Opening,
    /// The settings that were right.
    pub settings: Settings,
    /// What works and is likely wrong.
    pub warnings: Vec<Warning>,
}

/// Bytes that are read at a time before a connection is in use.
const READ_BYTES: usize = 4096;

/// Connects and shakes hands, within the time limit. Returns the settings that were right, too. `proven` says whether the
/// target's have been before.
pub async fn connect(
    target: Target,
    proven: bool,
    abandoned: Vec<Identity>,
) -> Result<Connected, ConnectError> {
    let deadline = tokio::time::Instant::now() + target.connect_timeout;
    let mut settings = target.settings_now(proven).await?;
    if let Member::Node(_) = target.member {
        settings.address = target.settings.address.clone();
        (settings.topology, settings.database) = (Topology::Single, 0);
    }
    let mut warnings = Vec::new();
    if let Topology::Sentinel(sentinels) = &settings.topology {
        let mut sentinels = sentinels.clone();
        if let Topology::Sentinel(earlier) = &target.settings.topology {
            sentinel::discovery::remember(&mut sentinels, earlier);
        }
        let servers = AuthConfig::to_servers(&settings);
        settings.address = sentinel::discovery::locate(&mut sentinels, &servers, deadline, &mut warnings).await?;
        settings.topology = Topology::Sentinel(sentinels);
    }
    let address = &settings.address;
    let dialled = timeout_at(deadline, dial(address, settings.family)).await;
    let stream = dialled
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| ConnectError::dial(&error, address))?;
    let progress = stream.progress();
    let handshake = Handshake::new(&target, &settings, &abandoned);
    let greeted = match &settings.tls {
        None => timeout_at(deadline, greet(Box::new(stream), handshake, false)).await,
        Some(tls) => {
            let encrypted = timeout_at(deadline, encrypt(stream, tls, address)).await;
            let stream = encrypted.unwrap_or_else(|_| Err(tls::handshake_timeout(address)))?;
            let alert = stream.alert();
            // The server may still have something against our certificate.
            let greeted = timeout_at(deadline, greet(Box::new(stream), handshake, true)).await;
            greeted.map(|greeted| greeted.map_err(|connect_error| alert.connect_error(address).unwrap_or(connect_error)))
        }
    };
    let (stream, opening, login_not_needed) = greeted.unwrap_or_else(|_| Err(ConnectError::unresponsive(address)))?;
    warnings.extend(login_not_needed.then(|| Credentials::not_needed(address)));
    Ok(Connected { stream, progress, opening, settings, warnings })
}

/// Logs in over a stream. Where nothing in the handshake has to come first, and not `wait`, that is left to the session, and
/// reads go out right behind it, one round trip earlier. Returns whether a login was sent for nothing, too.
async fn greet(
    stream: Box<dyn AsyncStream>,
    handshake: Handshake,
    wait: bool,
) -> Result<(Box<dyn AsyncStream>, Opening, bool), ConnectError> {
    if !wait && !handshake.comes_first() {
        return Ok((stream, Opening::Pipelined(handshake.pipeline), false));
    }
    let mut conversation = Conversation::new(stream);
    let replies = conversation.ask(&handshake.pipeline).await?;
    let greeted = handshake.read(&replies)?;
    if greeted.node == Presence::Doubtful {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("CLUSTER").arg("SLOTS");
        let replies = conversation.ask(&pipeline).await?;
        handshake.read_map(replies.first().unwrap_or(&Value::Nil))?;
    }
    // What the server says goes before its having closed the connection.
    let stream = conversation.end().await?;
    Ok((stream, Opening::Greeted(greeted.name), greeted.login_not_needed))
}

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
        let lost = |error: &dyn std::fmt::Display| ConnectError::lost(&error.to_string());
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
