//! Settings that may change while they are in use, because they are those of a live client: what a connection asks for
//! whenever it is made, and whether it is still needed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::connection::probe::AuthConfig;
use super::sentinel::discovery::SentinelSubscriptions;
use super::target::Target;
use super::{ConnectError, sentinel};
use crate::config::{Settings, Topology};

/// How often the live client that the settings are of is asked whether it has ended.
const LOOK_AT_CLIENT: Duration = Duration::from_secs(2);

/// Where the settings of a live client are asked for, because they may change while it lives. One per client.
pub trait SettingsProvider: Send + Sync {
    /// The settings that the next connection should use. `database` is the one that its calls were made for; only a client
    /// of which we do not see when it selects another goes before that.
    ///
    /// Fails with [`ConnectError::Fatal`] when there can be none, because the client has ended or was changed into something
    /// that a native connection cannot do; with [`ConnectError::Transient`] when the client cannot say right now.
    fn current(&self, database: u32) -> Asked<Result<Settings, ConnectError>>;

    /// Whether the client has ended, in which case its connection is not needed any more.
    fn ended(&self) -> Asked<Option<ConnectError>>;
}

/// A question to another thread; `None` when that one has no time to answer, or does not exist any more.
pub type Asked<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

/// Resolves when the live client has ended; without one, never.
pub async fn client_ended(source: Option<Arc<dyn SettingsProvider>>) -> ConnectError {
    let Some(source) = source else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK_AT_CLIENT).await;
        if let Some(Some(connect_error)) = source.ended().await {
            return connect_error;
        }
    }
}

/// Resolves when the sentinels name another primary than the one in use; without sentinels, never.
pub async fn primary_moved(settings: Settings, subscriptions: &mut SentinelSubscriptions) -> ConnectError {
    match &settings.topology {
        Topology::Sentinel(sentinels) => {
            sentinel::discovery::moved(sentinels, &AuthConfig::to_servers(&settings), &settings.address, subscriptions)
                .await
        }
        Topology::Single | Topology::Cluster(_) | Topology::Upstash(_) => std::future::pending().await,
    }
}

/// What to connect with: for a live client what it is set to now, or, where it has no time to say so, what was good last,
/// if anything was.
pub async fn settings_now(target: &Target, proven: bool) -> Result<Settings, ConnectError> {
    let Some(source) = &target.source else { return Ok(target.settings.clone()) };
    let known = proven.then(|| target.settings.clone());
    let asked = source.current(target.settings.database);
    match tokio::time::timeout(target.connect_timeout / 2, asked).await {
        Ok(Some(Ok(settings))) => Ok(settings),
        Ok(Some(Err(connect_error @ ConnectError::Fatal(_)))) => Err(connect_error),
        Ok(Some(Err(connect_error))) => known.ok_or(connect_error),
        Ok(None) | Err(_) => known.ok_or_else(ConnectError::silent_client),
    }
}
