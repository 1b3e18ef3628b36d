//! A connection to one server that carries pipelines of any commands, one at a time.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Waker};

use redis::{Pipeline, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::{Command, MAX_REPLY_BYTES};
use crate::config::{Address, Topology};
use crate::error::StoreError;
use crate::error_texts::admin as texts;
use crate::error_texts::replies::IS_A_REPLICA;
use crate::store::ErrorReply;
use crate::store::command_writer::CommandWriter;
use crate::transport::conversation::Conversation;
use crate::transport::error::ConnectError;
use crate::transport::io::AsyncStream;
use crate::transport::probe::{AuthConfig, error_reply, is_primary};
use crate::transport::protocol::auth::{Credentials, Login};
use crate::transport::protocol::decode::Decoder;
use crate::transport::protocol::encode::Encoder;
use crate::transport::protocol::value_visitor::ValueVisitor;
use crate::transport::protocol::violation::ProtocolViolation;
use crate::transport::target::Target;

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// A connection that has been made.
pub struct Session {
    stream: Box<dyn AsyncStream>,
    decoder: Decoder,
    values: ValueVisitor,
}

impl Session {
    /// Connects and logs in. The caller sets the time limit.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the login or the database, or is a replica where sentinels call it the
    /// primary.
    pub async fn open(target: &Target, address: &Address) -> Result<Self, ConnectError> {
        let settings = target.settings_now(false).await?;
        let (stream, alert) = AuthConfig::to_servers(&settings).reach(address).await?;
        let credentials = Credentials::of(&settings);
        let mut pipeline = Pipeline::new();
        let logins = credentials.append_to(&mut pipeline);
        // What is read for the admin API must not count as use: ages are read off it. Servers before Redis 7.2 refuse this.
        pipeline.cmd("CLIENT").arg("NO-TOUCH").arg("ON");
        if let Some(name) = &settings.client_name {
            pipeline.cmd("CLIENT").arg("SETNAME").arg(name);
        }
        let must_be_primary = matches!(settings.topology, Topology::Sentinel(_));
        if must_be_primary {
            pipeline.cmd("ROLE");
        }
        let in_cluster = matches!(settings.topology, Topology::Cluster(_));
        if settings.database != 0 && !in_cluster {
            pipeline.cmd("SELECT").arg(settings.database);
        }
        let mut conversation = Conversation::new(stream, address.clone());
        let replies = conversation.ask(&pipeline).await;
        let replies =
            replies.map_err(|interrupted| alert.connect_error(address).unwrap_or_else(|| interrupted.into()))?;
        let (login, replies) = replies.split_at(logins.min(replies.len()));
        let login = login.first().map_or(Ok(Login::Accepted), |reply| credentials.read(reply));
        let login = login.map_err(ConnectError::handshake)?;
        let refused = replies.first().and_then(error_reply).filter(|refused| refused.code == "NOAUTH");
        match (login, refused) {
            (Login::NotNeeded, Some(_)) => {
                return Err(ConnectError::handshake(Credentials::default_user_is_off()));
            }
            (Login::Accepted, Some(refused)) => return Err(ConnectError::handshake(refused)),
            (_, None) => {}
        }
        if settings.database != 0
            && !in_cluster
            && let Some(refused) = replies.last().and_then(error_reply)
        {
            return Err(ConnectError::handshake(refused));
        }
        if must_be_primary && replies.iter().any(is_replica) {
            let detail = IS_A_REPLICA.into();
            return Err(ConnectError::handshake(ErrorReply { code: "READONLY".into(), detail }));
        }
        Ok(Self { stream: conversation.end().await?, decoder: Decoder::new(), values: ValueVisitor::default() })
    }

    /// The connection, unless it has ended, or something has come that was not asked for.
    pub fn if_open(mut self) -> Option<Self> {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        let is_quiet = Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer).is_pending();
        is_quiet.then_some(self)
    }

    /// Sends commands and waits for as many replies. The caller sets the time limit, and does not use the connection again
    /// after an error.
    ///
    /// # Errors
    /// When the connection ends before them, or their replies cannot be read or are too large.
    pub async fn ask(&mut self, commands: &[Command]) -> Result<Vec<Value>, StoreError> {
        let mut encoder = Encoder::default();
        for command in commands {
            encoder.begin(command.len());
            command.iter().for_each(|argument| encoder.argument(argument));
        }
        self.stream.write_all(&encoder.bytes).await.map_err(|error| lost(&error))?;
        self.stream.flush().await.map_err(|error| lost(&error))?;
        let mut replies = Vec::with_capacity(commands.len());
        let mut buffer = vec![0; READ_BYTES];
        let mut size = 0;
        while replies.len() < commands.len() {
            let count = match self.stream.read(&mut buffer).await {
                Ok(0) => return Err(ConnectError::closed().error().clone()),
                Ok(count) => count,
                Err(error) => return Err(lost(&error)),
            };
            size += count;
            if size > MAX_REPLY_BYTES {
                return Err(texts::replies_too_large(MAX_REPLY_BYTES >> 20).error());
            }
            let mut bytes = &buffer[..count];
            while !bytes.is_empty() {
                if replies.len() == commands.len() {
                    return Err(lost(&ProtocolViolation::Unsolicited));
                }
                let progress = self.decoder.read(bytes, &mut self.values).map_err(|violation| lost(&violation))?;
                bytes = &bytes[progress.used..];
                replies.extend(self.values.take().filter(|_| progress.complete));
            }
        }
        Ok(replies)
    }
}

fn is_replica(reply: &Value) -> bool {
    matches!(reply, Value::Array(role) if role.first().is_some_and(|role| !is_primary(role)))
}

fn lost(detail: &dyn Display) -> StoreError {
    ConnectError::lost(&detail.to_string()).error().clone()
}
