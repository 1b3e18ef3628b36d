//! What a connection is made to: everything that makes two stores share one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::ConnectError;
use super::handover::Learnt;
use super::node_id::ExpectedNode;
use super::settings_provider::SettingsProvider;
use crate::config::Settings;

/// A server for tests that connect to none.
#[cfg(test)]
pub(super) fn test_target() -> Target {
    let settings = crate::config::from_input(&crate::config::Input::Text("redis://127.0.0.1:1".into()));
    Target {
        settings: settings.expect("a URL that is right"),
        source: None,
        connect_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(1),
        member: Member::Alone,
    }
}

/// Everything that makes two stores share one connection.
#[derive(Clone)]
pub struct Target {
    /// The server and how to log in. With a source, its last answer.
    pub settings: Settings,
    /// The live client the settings are of; without one, they are as they are.
    pub source: Option<Arc<dyn SettingsProvider>>,
    /// Limit for one connection attempt, the handshake included.
    pub connect_timeout: Duration,
    /// Deadline of one call, reconnecting and re-sending included.
    pub command_timeout: Duration,
    /// What is at the address.
    pub member: Member,
}

/// What is at an address.
#[derive(Clone, Debug)]
pub enum Member {
    /// All there is: it gets whole calls.
    Alone,
    /// One server of a cluster: it gets calls or parts of calls, and what it cannot answer goes back to be sent to another one.
    Node(ExpectedNode),
    /// All shards behind one address, or a server in cluster mode without others: it gets parts of calls.
    Shards(Learnt),
}

impl Member {
    /// Whether calls come from a router, to which those go back that it has no connection for.
    pub(super) fn is_routed(&self) -> bool {
        matches!(self, Member::Node(_) | Member::Shards(_))
    }
}

impl Target {
    /// What to connect with: for a live client what it is set to now, or, where it does not answer in time, what worked last,
    /// if anything was: `proven`.
    pub(super) async fn settings_now(&self, proven: bool) -> Result<Settings, ConnectError> {
        let Some(source) = &self.source else { return Ok(self.settings.clone()) };
        let known = proven.then(|| self.settings.clone());
        let asked = source.current(self.settings.database);
        match tokio::time::timeout(self.connect_timeout / 2, asked).await {
            Ok(Some(Ok(settings))) => Ok(settings),
            Ok(Some(Err(connect_error @ ConnectError::Fatal(_)))) => Err(connect_error),
            Ok(Some(Err(connect_error))) => known.ok_or(connect_error),
            Ok(None) | Err(_) => known.ok_or_else(ConnectError::unresponsive_client),
        }
    }

    /// Whether one connection can serve both. With the same live client it can even if that was changed in between: all its
    /// connections follow it, but each stays in the database that was selected when its calls were made.
    pub(super) fn shares_with(&self, other: &Target) -> bool {
        let same_server = match (&self.source, &other.source) {
            (Some(one), Some(other_source)) => {
                Arc::ptr_eq(one, other_source) && self.settings.database == other.settings.database
            }
            (None, None) => self.settings == other.settings,
            _ => false,
        };
        same_server && self.connect_timeout == other.connect_timeout && self.command_timeout == other.command_timeout
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("settings", &self.settings)
            .field("live", &self.source.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .finish()
    }
}
