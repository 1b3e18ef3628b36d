//! Makes a live connection: dialled, greeted, and ready to be handed pipelines.

use std::future::{Future, poll_fn};
use std::io;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::unconstrained;
use tokio::time::timeout_at;

use super::guard::{Guarded, Owed};
use super::handshake::{Handshake, Identity};
use super::pending::Waiting;
use super::retry::Trouble;
use super::short::Access;
use super::source::settings_now;
use super::stream::{Progress, dial};
use super::tls::{self, encrypt};
use super::{Target, next_connection_id, sentinel};
use crate::config::{Settings, Topology};

/// Messages the driver may hold that it has not yet written. More than the batches we allow, so that sending never waits.
const DRIVER_QUEUE: usize = 1024;

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A live connection: the crate's multiplexer and its driver, polled in the supervisor's own task, so that a wake-up
/// reads, answers, sends and flushes without going through the scheduler in between.
pub struct Live {
    /// Tells it from every other connection of this process.
    pub id: NonZeroU64,
    /// Where pipelines are handed in.
    pub connection: MultiplexedConnection,
    /// Reads and writes; it ends with the connection.
    pub driver: Driver,
    /// Signs of life.
    pub progress: Progress,
    /// The replies that are to come.
    pub owed: Owed,
    /// What the server calls the connection, once it has told.
    pub identity: Option<Identity>,
    /// The replies to a handshake that nothing had to wait for.
    greeting: Option<Greeting>,
    /// When it was greeted.
    since: Instant,
}

type Greeting = Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + Send>>;

impl Live {
    /// Notes the connection's identity when a greeting has been answered, and returns whether it has just been. What went
    /// wrong with it, the calls behind it will show.
    pub fn hear_greeting(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(greeting) = &mut self.greeting else { return false };
        let Poll::Ready(replies) = greeting.as_mut().poll(cx) else { return false };
        self.greeting = None;
        self.identity = replies.ok().and_then(|replies| Identity::read(replies.last()?));
        true
    }

    /// Whether a call may be sent. As long as the greeting has no answer, the connection has no name by which it could be
    /// fenced off, so that nothing may be sent that must not come back.
    pub fn takes(&self, waiting: &Waiting) -> bool {
        self.greeting.is_none() || !waiting.request.call.kind.writes()
    }

    /// Since when an answer to the greeting is awaited.
    pub fn greeting_since(&self) -> Option<Instant> {
        self.greeting.as_ref().map(|_| self.since)
    }
}

/// Connects and shakes hands, within the time limit. Returns the settings that were right, too. `proven` says whether the
/// target's have been before.
pub async fn connect(target: Target, proven: bool, abandoned: Vec<Identity>) -> Result<(Live, Settings), Trouble> {
    let deadline = tokio::time::Instant::now() + target.connect_timeout;
    let mut settings = settings_now(&target, proven).await?;
    if target.is_node {
        settings.address = target.settings.address.clone();
        (settings.topology, settings.database) = (Topology::Single, 0);
    }
    if let Topology::Sentinel(sentinels) = &settings.topology {
        let mut sentinels = sentinels.clone();
        if let Topology::Sentinel(earlier) = &target.settings.topology {
            sentinel::remember(&mut sentinels, earlier);
        }
        settings.address = sentinel::locate(&mut sentinels, &Access::to_servers(&settings), deadline).await?;
        settings.topology = Topology::Sentinel(sentinels);
    }
    let address = &settings.address;
    let dialled = timeout_at(deadline, dial(address, settings.family)).await;
    let stream = dialled
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| Trouble::dial(&error, address))?;
    let progress = stream.progress();
    let greeted = match &settings.tls {
        None => timeout_at(deadline, greet(stream, progress, &settings, &abandoned)).await,
        Some(tls) => {
            let encrypted = timeout_at(deadline, encrypt(stream, tls, address)).await;
            let stream = encrypted.unwrap_or_else(|_| Err(tls::silent(address)))?;
            let objection = stream.objection();
            let greeted = timeout_at(deadline, greet(stream, progress, &settings, &abandoned)).await;
            greeted.map(|live| live.map_err(|trouble| objection.trouble(address).unwrap_or(trouble)))
        }
    };
    greeted.unwrap_or_else(|_| Err(Trouble::silent(address))).map(|live| (live, settings))
}

/// Makes a connection of a stream.
async fn greet(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    progress: Progress,
    settings: &Settings,
    abandoned: &[Identity],
) -> Result<Live, Trouble> {
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_pipeline_buffer_size(DRIVER_QUEUE);
    let lost = |error: RedisError| Trouble::lost(&error.to_string());
    // Nothing to log in with: the handshake is ours, so that refusals keep the server's own code.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (stream, owed) = Guarded::new(stream);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(lost)?;
    let mut driver: Driver = Box::pin(driver);
    let handshake = Handshake::new(settings, abandoned);
    let commands = handshake.pipeline.len();
    owed.ask(commands);
    let Handshake { pipeline, required } = handshake;
    let mut greeter = connection.clone();
    let mut greeting: Greeting =
        Box::pin(unconstrained(async move { greeter.send_packed_commands(&pipeline, 0, commands).await }));
    if required == 0 && abandoned.is_empty() && settings.tls.is_none() {
        // Nothing in it has to come first: reads go out right behind it, one round trip earlier. With TLS, the server may
        // still have something against our certificate.
        let sent = poll_fn(|cx| Poll::Ready(greeting.as_mut().poll(cx).is_pending())).await;
        let greeting = sent.then_some(greeting);
        let (id, since) = (next_connection_id(), Instant::now());
        return Ok(Live { id, connection, driver, progress, owed, identity: None, greeting, since });
    }
    let mut ended = false;
    let replies = poll_fn(|cx| {
        if let Poll::Ready(replies) = greeting.as_mut().poll(cx) {
            return Poll::Ready(replies.map_err(lost));
        }
        ended = driver.as_mut().poll(cx).is_ready();
        match greeting.as_mut().poll(cx) {
            Poll::Pending if ended => Poll::Ready(Err(Trouble::lost("the server closed the connection"))),
            answer => answer.map_err(lost),
        }
    })
    .await?;
    let identity = Handshake::read(&replies, required, abandoned.len()).map_err(Trouble::handshake)?;
    if ended {
        return Err(Trouble::lost("the server closed the connection"));
    }
    let (id, since) = (next_connection_id(), Instant::now());
    Ok(Live { id, connection, driver, progress, owed, identity, greeting: None, since })
}
