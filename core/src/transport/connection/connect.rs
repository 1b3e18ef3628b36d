//! Makes a connection: dialled, encrypted where that is asked for, logged in, and the connections fenced off that it replaces.

use std::io;

use redis::{Pipeline, Value};
use tokio::time::timeout_at;

use super::attempts::Reached;
use super::handshake::{Fences, Handshake, Presence};
use super::session::Opening;
use crate::config::{Address, Settings, Topology};
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
    /// Who is at the other end.
    pub peer: Address,
    /// How it begins.
    pub opening: Opening,
    /// The settings that were right.
    pub settings: Settings,
    /// What works and is likely wrong.
    pub warnings: Vec<Warning>,
}

/// Connects and shakes hands, within the time limit. Returns the settings that were right, too. `proven` says whether the
/// target's have been before.
pub async fn connect(
    target: Target,
    proven: bool,
    fences: Fences,
    reached: Reached,
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
    reached.note();
    let progress = stream.progress();
    let peer = stream.peer_or(address);
    let (at_once, fences) = if fences.one_is_used { (Vec::new(), Some(fences)) } else { (fences.identities, None) };
    let handshake = Handshake::new(&target, &settings, &at_once);
    let greeted = match &settings.tls {
        None => timeout_at(deadline, greet(Box::new(stream), handshake, fences, false)).await,
        Some(tls) => {
            let encrypted = timeout_at(deadline, encrypt(stream, tls, address)).await;
            let stream = encrypted.unwrap_or_else(|_| Err(tls::handshake_timeout(address)))?;
            let alert = stream.alert();
            // The server may still have something against our certificate.
            let greeted = timeout_at(deadline, greet(Box::new(stream), handshake, fences, true)).await;
            greeted
                .map(|greeted| greeted.map_err(|connect_error| alert.connect_error(address).unwrap_or(connect_error)))
        }
    };
    let (stream, opening, login_not_needed) = greeted.unwrap_or_else(|_| Err(ConnectError::unresponsive(address)))?;
    warnings.extend(login_not_needed.then(|| Credentials::not_needed(address)));
    Ok(Connected { stream, progress, peer, opening, settings, warnings })
}

/// Logs in over a stream. Where nothing in the handshake has to come first, and not `wait`, that is left to the session, and
/// reads go out right behind it, one round trip earlier. Ends `fences` once the server has answered. Returns whether a login was
/// sent for nothing, too.
async fn greet(
    stream: Box<dyn AsyncStream>,
    handshake: Handshake,
    fences: Option<Fences>,
    wait: bool,
) -> Result<(Box<dyn AsyncStream>, Opening, bool), ConnectError> {
    if !wait && fences.is_none() && !handshake.comes_first() {
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
    if let Some(fences) = fences.filter(|fences| !fences.identities.is_empty()) {
        Fences::read(&conversation.ask(&fences.pipeline()).await?)?;
    }
    // What the server says goes before its having closed the connection.
    let stream = conversation.end().await?;
    Ok((stream, Opening::Greeted(greeted.name), greeted.login_not_needed))
}
