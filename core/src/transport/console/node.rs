//! Which servers have the keys: the one that there is, the primary that sentinels name, the primaries of a cluster, or what is
//! behind an endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::{Address, Topology};
use crate::transport::cluster::topology;
use crate::transport::error::{ConnectError, display_address};
use crate::transport::probe::AuthConfig;
use crate::transport::sentinel::discovery;
use crate::transport::target::Target;

/// A server that has keys.
pub struct Node {
    /// Its address, by which it is asked.
    pub name: String,
    /// The slots that it has, from the first to the last of each range; empty where there is one server.
    pub slots: Vec<(u16, u16)>,
}

/// Finds them.
///
/// # Errors
/// When nobody who knows them can be asked.
pub async fn find(target: &Target) -> Result<Vec<(Node, Address)>, ConnectError> {
    let settings = target.settings_now(false).await?;
    let address = match &settings.topology {
        Topology::Single | Topology::Upstash(_) => settings.address,
        Topology::Sentinel(sentinels) => {
            let servers = AuthConfig::to_servers(&settings);
            let deadline = Instant::now() + target.connect_timeout;
            discovery::locate(&mut sentinels.clone(), &servers, deadline, &mut Vec::new()).await?
        }
        Topology::Cluster(_) => return of_cluster(target).await,
    };
    Ok(vec![(Node { name: display_address(&address), slots: Vec::new() }, address)])
}

async fn of_cluster(target: &Target) -> Result<Vec<(Node, Address)>, ConnectError> {
    let (map, _) = topology::fetch(target.clone(), false, Vec::new(), Arc::new([]), Vec::new()).await?;
    let mut nodes: BTreeMap<String, (Node, Address)> = BTreeMap::new();
    for (first, last, owner) in map.ranges {
        let name = display_address(&owner.address);
        let node = nodes.entry(name.clone());
        node.or_insert_with(|| (Node { name, slots: Vec::new() }, owner.address)).0.slots.push((first, last));
    }
    Ok(nodes.into_values().collect())
}
