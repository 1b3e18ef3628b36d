//! Makes a connection: dialled, encrypted where that is asked for, logged in, and the connections fenced off that it replaces.

use std::io;

use redis::{Pipeline, Value};
use tokio::time::timeout_at;

use super::handshake::{Handshake, Identity, Presence};
use super::session::Opening;
use crate::config::{Settings, Topology};
use crate::transport::conversation::Conversation;
use crate::transport::error::ConnectError;
use crate::transport::io::AsyncStream;
use crate::transport::io::tcp::{Progress, dial};
use crate::transport::io::tls;
use crate::transport::io::tls::encrypt;
use crate::transport::probe::AuthConfig;
use crate::transport::protocol::auth::Credentials;
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

/// Connects and shakes hands, within the time limit. Returns the settings that were right, too. `proven` says whether the
/// target's have been before.
pub async fn connect(target: Target, proven: bool, abandoned: Vec<Identity>) -> Result<Connected, ConnectError> {
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
            greeted
                .map(|greeted| greeted.map_err(|connect_error| alert.connect_error(address).unwrap_or(connect_error)))
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
