//! Settings that may change while they are in use, because they are those of a live client: what a connection asks for
//! whenever it is made, and whether it is still needed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::error::ConnectError;
use crate::config::Settings;

/// How often the live client that the settings are of is asked whether it has ended.
const LOOK_AT_CLIENT: Duration = Duration::from_secs(2);

/// Where the settings of a live client are asked for, because they may change while it is open. One per client.
pub trait SettingsProvider: Send + Sync {
    /// The settings that the next connection should use. `database` is the one that its calls were made for; only a client
    /// of which we do not see when it selects another goes before that.
    ///
    /// Fails with [`ConnectError::Fatal`] when there can be none, because the client has ended or was changed into something
    /// that a native connection cannot do; with [`ConnectError::Transient`] when the client cannot answer right now.
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
