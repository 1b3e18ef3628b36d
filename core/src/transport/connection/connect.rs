//! Makes a live connection: dialled, greeted, and ready to be handed pipelines.

use std::future::{Future, poll_fn};
use std::io;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::unconstrained;
use tokio::time::timeout_at;

use super::handshake::{Handshake, Identity, Name, Presence};
use crate::config::{Settings, Topology};
use crate::error_texts::connections::CLOSED_BY_SERVER;
use crate::transport::connection_id::next_connection_id;
use crate::transport::error::ConnectError;
use crate::transport::io::tcp::{Progress, dial};
use crate::transport::io::tls;
use crate::transport::io::tls::encrypt;
use crate::transport::pending_calls::PendingCall;
use crate::transport::probe::{AuthConfig, drive};
use crate::transport::protocol::auth::Credentials;
use crate::transport::protocol::guarded_stream::{ExpectedReplies, Guarded};
use crate::transport::sentinel;
use crate::transport::target::{Member, Target};
use crate::transport::warning::Warning;

/// Messages the driver may hold that it has not yet written. More than the batches we allow, so that sending never waits.
const DRIVER_QUEUE: usize = 1024;

/// The pause before a server that did not tell the connection's name is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A live connection: the crate's multiplexer and its driver, polled in the task of our own driver, so that a wake-up
/// reads, answers, sends and flushes without going through the scheduler in between.
pub struct ReadyConnection {
    /// Tells it from every other connection of this process.
    pub id: NonZeroU64,
    /// Where pipelines are handed in.
    pub connection: MultiplexedConnection,
    /// Reads and writes; it ends with the connection.
    pub driver: Driver,
    /// Signs of life.
    pub progress: Progress,
    /// The replies that are to come.
    pub expected_replies: ExpectedReplies,
    /// What works and is likely wrong.
    pub warnings: Vec<Warning>,
    naming: Naming,
}

/// How far it is known by what name the connection can be fenced off. Until it is known, nothing is sent that must not come
/// back.
enum Naming {
    /// The server was asked, at this moment; the error is what it said before, if it did.
    Asked(Question, Instant, Option<ConnectError>),
    /// It did not tell for now. It is asked again when there is something to send, and not before this moment.
    AskAgain(ConnectError, Instant),
    /// By this; `None` where the server can never tell.
    Known(Option<Identity>),
}

/// The replies to a handshake that nothing had to wait for, or to another question for the name alone.
type Question = Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + Send>>;

impl Naming {
    fn of(name: Name, now: Instant) -> Self {
        match name {
            Name::Known(identity) => Naming::Known(Some(identity)),
            Name::Never => Naming::Known(None),
            Name::NotYet(error_reply) => Naming::AskAgain(ConnectError::handshake(error_reply), now + ASK_AGAIN),
        }
    }
}

impl ReadyConnection {
    /// Goes on finding out the connection's name, for as long as it is needed (`wanted`). Returns whether anything was heard
    /// or asked.
    ///
    /// # Errors
    /// When what the server says concerns the connection as a whole.
    pub fn learn_name(&mut self, wanted: bool, cx: &mut Context<'_>, now: Instant) -> Result<bool, ConnectError> {
        match &mut self.naming {
            Naming::Asked(question, ..) => match question.as_mut().poll(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(ConnectError::lost(&error.to_string())),
                Poll::Ready(Ok(replies)) => {
                    let name = replies.last().map_or(Ok(Name::Never), Name::read)?;
                    self.naming = Naming::of(name, now);
                }
            },
            Naming::AskAgain(error, at) if wanted && *at <= now => {
                let error = error.clone();
                let mut pipeline = Pipeline::new();
                Name::ask(&mut pipeline);
                self.naming = Naming::Asked(self.ask(pipeline, cx), now, Some(error));
            }
            Naming::AskAgain(..) | Naming::Known(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Sends commands beside the calls.
    fn ask(&mut self, pipeline: Pipeline, cx: &mut Context<'_>) -> Question {
        self.expected_replies.ask(pipeline.len());
        let mut connection = self.connection.clone();
        let mut question: Question =
            Box::pin(unconstrained(async move { connection.send_packed_commands(&pipeline, 0, pipeline.len()).await }));
        match question.as_mut().poll(cx) {
            Poll::Pending => question,
            Poll::Ready(replies) => Box::pin(std::future::ready(replies)),
        }
    }

    /// Whether a call may be sent. A connection without a name could not be fenced off.
    pub fn takes(&self, pending: &PendingCall) -> bool {
        matches!(self.naming, Naming::Known(_)) || !pending.request.call.operation.writes()
    }

    /// Since when an answer to the question for the name is awaited.
    pub fn asked_since(&self) -> Option<Instant> {
        match self.naming {
            Naming::Asked(_, since, _) => Some(since),
            Naming::AskAgain(..) | Naming::Known(_) => None,
        }
    }

    /// When the name is asked for again, if it is wanted.
    pub fn asks_again_at(&self) -> Option<Instant> {
        match self.naming {
            Naming::AskAgain(_, at) => Some(at),
            Naming::Asked(..) | Naming::Known(_) => None,
        }
    }

    /// Why the server does not tell the name, if that is so.
    pub fn why_nameless(&self) -> Option<&ConnectError> {
        match &self.naming {
            Naming::AskAgain(error, _) => Some(error),
            Naming::Asked(_, _, error) => error.as_ref(),
            Naming::Known(_) => None,
        }
    }

    /// By what it can be fenced off, if by anything.
    pub fn into_identity(self) -> Option<Identity> {
        match self.naming {
            Naming::Known(identity) => identity,
            // Nothing was written.
            Naming::Asked(..) | Naming::AskAgain(..) => None,
        }
    }
}

/// Connects and shakes hands, within the time limit. Returns the settings that were right, too. `proven` says whether the
/// target's have been before.
pub async fn connect(
    target: Target,
    proven: bool,
    abandoned: Vec<Identity>,
) -> Result<(ReadyConnection, Settings), ConnectError> {
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
        None => timeout_at(deadline, greet(stream, progress, handshake, false)).await,
        Some(tls) => {
            let encrypted = timeout_at(deadline, encrypt(stream, tls, address)).await;
            let stream = encrypted.unwrap_or_else(|_| Err(tls::handshake_timeout(address)))?;
            let alert = stream.alert();
            // The server may still have something against our certificate.
            let greeted = timeout_at(deadline, greet(stream, progress, handshake, true)).await;
            greeted.map(|ready| ready.map_err(|connect_error| alert.connect_error(address).unwrap_or(connect_error)))
        }
    };
    let (mut ready, login_not_needed) = greeted.unwrap_or_else(|_| Err(ConnectError::unresponsive(address)))?;
    warnings.extend(login_not_needed.then(|| Credentials::not_needed(address)));
    ready.warnings = warnings;
    Ok((ready, settings))
}

/// Makes a connection of a stream. Where nothing in the handshake has to come first, and not `wait`, reads go out right behind
/// it, one round trip earlier. Returns whether a login was sent for nothing, too.
async fn greet(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    progress: Progress,
    handshake: Handshake,
    wait: bool,
) -> Result<(ReadyConnection, bool), ConnectError> {
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_pipeline_buffer_size(DRIVER_QUEUE);
    let lost = |error: RedisError| ConnectError::lost(&error.to_string());
    // Nothing to log in with: the handshake is ours, so that refusals keep the server's own code.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (stream, expected_replies) = Guarded::new(stream);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(lost)?;
    let (id, naming) = (next_connection_id(), Naming::Known(None));
    let mut ready = ReadyConnection {
        id,
        connection,
        driver: Box::pin(driver),
        progress,
        expected_replies,
        warnings: Vec::new(),
        naming,
    };
    if !wait && !handshake.comes_first() {
        let pipeline = handshake.pipeline;
        let question = poll_fn(|cx| Poll::Ready(ready.ask(pipeline.clone(), cx))).await;
        ready.naming = Naming::Asked(question, Instant::now(), None);
        return Ok((ready, false));
    }
    let (replies, ended) = ready.converse(&handshake.pipeline).await?;
    // What it says goes before its having hung up.
    let greeted = handshake.read(&replies)?;
    if ended {
        return Err(ConnectError::lost(CLOSED_BY_SERVER));
    }
    if greeted.node == Presence::Doubtful {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("CLUSTER").arg("SLOTS");
        let (replies, ended) = ready.converse(&pipeline).await?;
        handshake.read_map(replies.first().unwrap_or(&Value::Nil))?;
        if ended {
            return Err(ConnectError::lost(CLOSED_BY_SERVER));
        }
    }
    ready.naming = Naming::of(greeted.name, Instant::now());
    Ok((ready, greeted.login_not_needed))
}

impl ReadyConnection {
    /// Sends commands before any call and waits for the replies. Returns whether the connection has ended behind them, too.
    async fn converse(&mut self, pipeline: &Pipeline) -> Result<(Vec<Value>, bool), ConnectError> {
        self.expected_replies.ask(pipeline.len());
        let lost = |error: RedisError| ConnectError::lost(&error.to_string());
        drive(&mut self.connection, self.driver.as_mut(), pipeline, lost).await
    }
}
