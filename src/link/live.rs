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

use super::auth::Credentials;
use super::guard::{Guarded, Owed};
use super::handshake::{Handshake, Identity, Name, Presence};
use super::pending::Waiting;
use super::retry::Trouble;
use super::short::{Access, drive};
use super::source::settings_now;
use super::stream::{Progress, dial};
use super::tls::{self, encrypt};
use super::warning::Warning;
use super::{Member, Target, next_connection_id, sentinel};
use crate::config::{Settings, Topology};

/// Messages the driver may hold that it has not yet written. More than the batches we allow, so that sending never waits.
const DRIVER_QUEUE: usize = 1024;

/// The pause before a server that did not tell the connection's name is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

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
    /// What works and is likely wrong.
    pub warnings: Vec<Warning>,
    naming: Naming,
}

/// How far it is known by what name the connection can be fenced off. Until it is known, nothing is sent that must not come
/// back.
enum Naming {
    /// The server was asked, at this moment; the trouble is what it said before, if it did.
    Asked(Question, Instant, Option<Trouble>),
    /// It did not tell for now. It is asked again when there is something to send, and not before this moment.
    AskAgain(Trouble, Instant),
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
            Name::NotYet(refusal) => Naming::AskAgain(Trouble::handshake(refusal), now + ASK_AGAIN),
        }
    }
}

impl Live {
    /// Goes on finding out the connection's name, for as long as it is needed (`wanted`). Returns whether anything was heard
    /// or asked.
    ///
    /// # Errors
    /// When what the server says concerns the connection as a whole.
    pub fn learn_name(&mut self, wanted: bool, cx: &mut Context<'_>, now: Instant) -> Result<bool, Trouble> {
        match &mut self.naming {
            Naming::Asked(question, ..) => match question.as_mut().poll(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(Trouble::lost(&error.to_string())),
                Poll::Ready(Ok(replies)) => {
                    let name = replies.last().map_or(Ok(Name::Never), Name::read)?;
                    self.naming = Naming::of(name, now);
                }
            },
            Naming::AskAgain(trouble, at) if wanted && *at <= now => {
                let trouble = trouble.clone();
                let mut pipeline = Pipeline::new();
                Name::ask(&mut pipeline);
                self.naming = Naming::Asked(self.ask(pipeline, cx), now, Some(trouble));
            }
            Naming::AskAgain(..) | Naming::Known(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Sends commands beside the calls.
    fn ask(&mut self, pipeline: Pipeline, cx: &mut Context<'_>) -> Question {
        self.owed.ask(pipeline.len());
        let mut connection = self.connection.clone();
        let mut question: Question =
            Box::pin(unconstrained(async move { connection.send_packed_commands(&pipeline, 0, pipeline.len()).await }));
        match question.as_mut().poll(cx) {
            Poll::Pending => question,
            Poll::Ready(replies) => Box::pin(std::future::ready(replies)),
        }
    }

    /// Whether a call may be sent. A connection without a name could not be fenced off.
    pub fn takes(&self, waiting: &Waiting) -> bool {
        matches!(self.naming, Naming::Known(_)) || !waiting.request.call.kind.writes()
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
    pub fn why_nameless(&self) -> Option<&Trouble> {
        match &self.naming {
            Naming::AskAgain(trouble, _) => Some(trouble),
            Naming::Asked(_, _, trouble) => trouble.as_ref(),
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
pub async fn connect(target: Target, proven: bool, abandoned: Vec<Identity>) -> Result<(Live, Settings), Trouble> {
    let deadline = tokio::time::Instant::now() + target.connect_timeout;
    let mut settings = settings_now(&target, proven).await?;
    if let Member::Node(_) = target.member {
        settings.address = target.settings.address.clone();
        (settings.topology, settings.database) = (Topology::Single, 0);
    }
    let mut warnings = Vec::new();
    if let Topology::Sentinel(sentinels) = &settings.topology {
        let mut sentinels = sentinels.clone();
        if let Topology::Sentinel(earlier) = &target.settings.topology {
            sentinel::remember(&mut sentinels, earlier);
        }
        let servers = Access::to_servers(&settings);
        settings.address = sentinel::locate(&mut sentinels, &servers, deadline, &mut warnings).await?;
        settings.topology = Topology::Sentinel(sentinels);
    }
    let address = &settings.address;
    let dialled = timeout_at(deadline, dial(address, settings.family)).await;
    let stream = dialled
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| Trouble::dial(&error, address))?;
    let progress = stream.progress();
    let handshake = Handshake::new(&target, &settings, &abandoned);
    let greeted = match &settings.tls {
        None => timeout_at(deadline, greet(stream, progress, handshake, false)).await,
        Some(tls) => {
            let encrypted = timeout_at(deadline, encrypt(stream, tls, address)).await;
            let stream = encrypted.unwrap_or_else(|_| Err(tls::silent(address)))?;
            let objection = stream.objection();
            // The server may still have something against our certificate.
            let greeted = timeout_at(deadline, greet(stream, progress, handshake, true)).await;
            greeted.map(|live| live.map_err(|trouble| objection.trouble(address).unwrap_or(trouble)))
        }
    };
    let (mut live, login_not_needed) = greeted.unwrap_or_else(|_| Err(Trouble::silent(address)))?;
    warnings.extend(login_not_needed.then(|| Credentials::not_needed(address)));
    live.warnings = warnings;
    Ok((live, settings))
}

/// Makes a connection of a stream. Where nothing in the handshake has to come first, and not `wait`, reads go out right behind
/// it, one round trip earlier. Returns whether a login was sent for nothing, too.
async fn greet(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    progress: Progress,
    handshake: Handshake,
    wait: bool,
) -> Result<(Live, bool), Trouble> {
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_pipeline_buffer_size(DRIVER_QUEUE);
    let lost = |error: RedisError| Trouble::lost(&error.to_string());
    // Nothing to log in with: the handshake is ours, so that refusals keep the server's own code.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (stream, owed) = Guarded::new(stream);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(lost)?;
    let (id, naming) = (next_connection_id(), Naming::Known(None));
    let mut live = Live { id, connection, driver: Box::pin(driver), progress, owed, warnings: Vec::new(), naming };
    if !wait && !handshake.comes_first() {
        let pipeline = handshake.pipeline;
        let question = poll_fn(|cx| Poll::Ready(live.ask(pipeline.clone(), cx))).await;
        live.naming = Naming::Asked(question, Instant::now(), None);
        return Ok((live, false));
    }
    let (replies, ended) = live.converse(&handshake.pipeline).await?;
    // What it says goes before its having hung up.
    let greeted = handshake.read(&replies)?;
    if ended {
        return Err(Trouble::lost("the server closed the connection"));
    }
    if greeted.node == Presence::Doubtful {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("CLUSTER").arg("SLOTS");
        let (replies, ended) = live.converse(&pipeline).await?;
        handshake.read_map(replies.first().unwrap_or(&Value::Nil))?;
        if ended {
            return Err(Trouble::lost("the server closed the connection"));
        }
    }
    live.naming = Naming::of(greeted.name, Instant::now());
    Ok((live, greeted.login_not_needed))
}

impl Live {
    /// Sends commands before any call and waits for the replies. Returns whether the connection has ended behind them, too.
    async fn converse(&mut self, pipeline: &Pipeline) -> Result<(Vec<Value>, bool), Trouble> {
        self.owed.ask(pipeline.len());
        let lost = |error: RedisError| Trouble::lost(&error.to_string());
        drive(&mut self.connection, self.driver.as_mut(), pipeline, lost).await
    }
}
