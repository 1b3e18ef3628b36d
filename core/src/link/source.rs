//! Settings that may change while they are in use, because they are those of a live client: what a connection asks for
//! whenever it is made, and whether it is still needed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::sentinel::{self, Ears};
use super::short::Access;
use super::{Target, Trouble};
use crate::config::{Settings, Topology};

/// How often the live client that the settings are of is asked whether it has ended.
const LOOK_AT_CLIENT: Duration = Duration::from_secs(2);

/// Where the settings of a live client are asked for, because they may change while it lives. One per client.
pub trait Source: Send + Sync {
    /// The settings that the next connection should use. `database` is the one that its calls were made for; only a client
    /// of which we do not see when it selects another goes before that.
    ///
    /// Fails with [`Trouble::Refused`] when there can be none, because the client has ended or was changed into something
    /// that a native connection cannot do; with [`Trouble::Passing`] when the client cannot say right now.
    fn current(&self, database: u32) -> Asked<Result<Settings, Trouble>>;

    /// Whether the client has ended, in which case its connection is not needed any more.
    fn ended(&self) -> Asked<Option<Trouble>>;
}

/// A question to another thread; `None` when that one has no time to answer, or does not exist any more.
pub type Asked<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

/// Resolves when the live client has ended; without one, never.
pub async fn client_ended(source: Option<Arc<dyn Source>>) -> Trouble {
    let Some(source) = source else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK_AT_CLIENT).await;
        if let Some(Some(trouble)) = source.ended().await {
            return trouble;
        }
    }
}

/// Resolves when the sentinels name another primary than the one in use; without sentinels, never.
pub async fn primary_moved(settings: Settings, ears: &mut Ears) -> Trouble {
    match &settings.topology {
        Topology::Sentinel(sentinels) => {
            sentinel::moved(sentinels, &Access::to_servers(&settings), &settings.address, ears).await
        }
        Topology::Single | Topology::Cluster(_) | Topology::Upstash(_) => std::future::pending().await,
    }
}

/// What to connect with: for a live client what it is set to now, or, where it has no time to say so, what was good last,
/// if anything was.
pub async fn settings_now(target: &Target, proven: bool) -> Result<Settings, Trouble> {
    let Some(source) = &target.source else { return Ok(target.settings.clone()) };
    let known = proven.then(|| target.settings.clone());
    let asked = source.current(target.settings.database);
    match tokio::time::timeout(target.connect_timeout / 2, asked).await {
        Ok(Some(Ok(settings))) => Ok(settings),
        Ok(Some(Err(trouble @ Trouble::Refused(_)))) => Err(trouble),
        Ok(Some(Err(trouble))) => known.ok_or(trouble),
        Ok(None) | Err(_) => known.ok_or_else(Trouble::silent_client),
    }
}
