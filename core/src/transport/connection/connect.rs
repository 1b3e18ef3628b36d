//! Makes a connection: dialled, encrypted where that is asked for, logged in, and the connections fenced off that it replaces.

use std::io;

use redis::{Pipeline, Value};
use tokio::time::timeout_at;

use super::attempts::Reached;
use super::handshake::{Fences, Handshake, Presence, Role, ask_replication, check_replication};
use super::lessons::{Lessons, Manner, Step};
use super::session::Opening;
use crate::config::{Address, Settings, Topology};
use crate::transport::conversation::{Conversation, Interrupted};
use crate::transport::error::ConnectError;
use crate::transport::io::AsyncStream;
use crate::transport::io::tcp::{Progress, dial};
use crate::transport::io::tls;
use crate::transport::io::tls::encrypt;
use crate::transport::probe::{AuthConfig, error_reply};
use crate::transport::protocol::auth::Credentials;
use crate::transport::retry_policy::refuses_connection;
use crate::transport::sentinel;
use crate::transport::target::{Member, Target};
use crate::transport::warning::Warning;

/// A connection that has been made.
pub struct Connected {
    /// Its bytes.
    pub stream: Box<dyn AsyncStream>,
    /// Signs of life.
    pub progress: Progress,
    /// Who is at the other end.
    pub peer: Address,
    /// How it begins.
    pub opening: Opening,
    /// The settings that were right.
    pub settings: Settings,
    /// What works and is likely wrong.
    pub warnings: Vec<Warning>,
    /// The server has no transactions.
    pub lacks_multi: bool,
}

/// What is known before a connection is made.
pub struct Known {
    /// Whether the target's settings have been right before.
    pub proven: bool,
    /// The connections that the new one has to end.
    pub fences: Fences,
    /// Of the server.
    pub lessons: Lessons,
    /// The server may hang up at `MULTI`.
    pub doubts_multi: bool,
}

/// Connects and shakes hands, within the time limit. Returns the settings that were right, too.
pub async fn connect(target: Target, known: Known, reached: Reached) -> Result<Connected, ConnectError> {
    let Known { proven, fences, lessons, doubts_multi } = known;
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
    reached.note();
    let progress = stream.progress();
    let peer = stream.peer_or(address);
    let (at_once, fences) = if fences.one_is_used { (Vec::new(), Some(fences)) } else { (fences.identities, None) };
    let manner = lessons.manner(doubts_multi, std::time::Instant::now());
    let handshake = Handshake::in_manner(manner, &target, &settings, &at_once);
    let greeting = Greeting { handshake, manner, lessons, fences, address: address.clone() };
    let greeted = match &settings.tls {
        None => timeout_at(deadline, greeting.greet(Box::new(stream), false)).await,
        Some(tls) => {
            let encrypted = timeout_at(deadline, encrypt(stream, tls, address)).await;
            let stream = encrypted.unwrap_or_else(|_| Err(tls::handshake_timeout(address)))?;
            let alert = stream.alert();
            // The server may still have something against our certificate.
            let greeted = timeout_at(deadline, greeting.greet(Box::new(stream), true)).await;
            greeted
                .map(|greeted| greeted.map_err(|connect_error| alert.connect_error(address).unwrap_or(connect_error)))
        }
    };
    let (stream, opening, about) = greeted.unwrap_or_else(|_| Err(ConnectError::unresponsive(address)))?;
    warnings.extend(about.login_not_needed.then(|| Credentials::not_needed(address)));
    Ok(Connected { stream, progress, peer, opening, settings, warnings, lacks_multi: about.lacks_multi })
}

/// The first words over a connection.
struct Greeting {
    handshake: Handshake,
    manner: Manner,
    lessons: Lessons,
    /// To be ended once the server has answered.
    fences: Option<Fences>,
    address: Address,
}

/// What a handshake said besides.
#[derive(Default)]
struct About {
    /// A login was sent for nothing.
    login_not_needed: bool,
    /// The server has no transactions.
    lacks_multi: bool,
}

impl Greeting {
    /// Logs in over a stream. Where nothing in the handshake has to come first, and not `wait`, that is left to the session, and
    /// reads go out right behind it, one round trip earlier.
    async fn greet(
        self,
        stream: Box<dyn AsyncStream>,
        wait: bool,
    ) -> Result<(Box<dyn AsyncStream>, Opening, About), ConnectError> {
        if !wait && self.fences.is_none() && !self.handshake.comes_first() {
            return Ok((stream, Opening::Pipelined(self.handshake.pipeline), About::default()));
        }
        let mut conversation = Conversation::new(stream, self.address.clone());
        let replies = if self.manner.by_step {
            self.ask_by_step(&mut conversation).await?
        } else {
            let asked = conversation.ask(&self.handshake.pipeline).await;
            asked.map_err(|interrupted| self.note_end(interrupted))?
        };
        let greeted = self.handshake.read(&replies)?;
        if greeted.role == Role::Unknown && !self.manner.omitted.has(Step::Replication) {
            let asked = conversation.ask(&ask_replication()).await;
            let replies = asked.map_err(|interrupted| self.note_end_at(Step::Replication, interrupted))?;
            check_replication(replies.first().unwrap_or(&Value::Nil))?;
        }
        if greeted.node == Presence::Doubtful {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("CLUSTER").arg("SLOTS");
            let replies = conversation.ask(&pipeline).await?;
            self.handshake.read_map(replies.first().unwrap_or(&Value::Nil))?;
        }
        if let Some(fences) = self.fences.as_ref().filter(|fences| !fences.identities.is_empty()) {
            Fences::read(&conversation.ask(&fences.pipeline()).await?)?;
        }
        // What the server says goes before its having closed the connection.
        let stream = conversation.end().await?;
        self.lessons.greeted();
        let about = About { login_not_needed: greeted.login_not_needed, lacks_multi: greeted.lacks_multi };
        Ok((stream, Opening::Greeted(greeted.name), about))
    }

    /// Sends the handshake one command at a time, so that it is known at which one the server hangs up.
    async fn ask_by_step(&self, conversation: &mut Conversation) -> Result<Vec<Value>, ConnectError> {
        let mut control = Pipeline::new();
        control.cmd("PING");
        let asked = conversation.ask(&control).await;
        let said = asked.map_err(|interrupted| self.note_end_at(Step::Control, interrupted))?;
        // Behind such words the server closes the connection, whatever comes next.
        let words = said.first().and_then(error_reply);
        if let Some(words) = words.filter(|words| words.code != "NOAUTH" && refuses_connection(words)) {
            return Err(ConnectError::handshake(words));
        }
        let mut replies = Vec::new();
        for (step, command) in self.handshake.commands() {
            let asked = conversation.ask(&command).await;
            replies.append(&mut asked.map_err(|interrupted| self.note_end_at(step, interrupted))?);
        }
        Ok(replies)
    }

    fn note_end(&self, interrupted: Interrupted) -> ConnectError {
        if interrupted.hung_up {
            self.lessons.hung_up();
        }
        interrupted.into()
    }

    fn note_end_at(&self, step: Step, interrupted: Interrupted) -> ConnectError {
        let is_sure = interrupted.hung_up && self.lessons.hung_up_at(step, std::time::Instant::now());
        let command = match step {
            Step::Auth => "AUTH",
            Step::Select => "SELECT",
            _ => return interrupted.into(),
        };
        if is_sure { ConnectError::hangs_up_at(&self.address, command) } else { interrupted.into() }
    }
}
