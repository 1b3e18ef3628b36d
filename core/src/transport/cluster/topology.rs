//! The map of a cluster: which server each slot belongs to. <https://redis.io/docs/latest/commands/cluster-slots/>

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use crate::config::{Address, Settings, Topology};
use crate::error_texts::connections as texts;
use crate::store::slot::SLOTS;
use crate::transport::error::ConnectError;
// Public for the fuzz targets, which compare the ids in a map.
pub use crate::transport::node_id::NodeId;
use crate::transport::node_id::{are_related, nodes_of, read_node_id, read_nodes};
use crate::transport::probe::{AuthConfig, Open, ask, error_reply, next, text};
use crate::transport::target::Target;

/// Servers that are asked for the map at once.
const MAX_ASKED: usize = 8;
/// The limit for one of them.
const LIMIT: Duration = Duration::from_secs(2);

/// A server of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Where it is.
    pub address: Address,
    /// Its node id. Redirects have none, nor have maps of servers before Redis 4.
    pub id: Option<NodeId>,
}

/// Slots from the first to the last, and the server that has them.
pub type Range = (u16, u16, Owner);

/// One server's map: the ranges, and all nodes that it names.
type Drawn = (Vec<Range>, Vec<NodeId>);

/// A map of a cluster.
#[derive(Debug)]
pub struct Map {
    /// The ranges.
    pub ranges: Vec<Range>,
    /// All nodes that it names.
    pub nodes: Vec<NodeId>,
    /// It names none of the nodes that were known before, and no other server's map does.
    pub is_foreign: bool,
}

/// Reads a reply to `CLUSTER SLOTS`. A server without an address in it is the one that was asked.
pub fn read_slots(reply: &Value, asked: &Address) -> Option<Vec<Range>> {
    let Value::Array(ranges) = reply else { return None };
    let bound = |value: &Value| match value {
        Value::Int(slot) => u16::try_from(*slot).ok().filter(|&slot| usize::from(slot) < SLOTS),
        _ => None,
    };
    let range = |range: &Value| {
        let Value::Array(parts) = range else { return None };
        let Value::Array(primary) = parts.get(2)? else { return None };
        let port = match primary.get(1)? {
            Value::Int(port) => u16::try_from(*port).ok()?,
            _ => return None,
        };
        let host = text(primary.first()?).unwrap_or_default();
        let (first, last) = (bound(parts.first()?)?, bound(parts.get(1)?)?);
        let owner = Owner { address: at(&host, port, asked)?, id: primary.get(2).and_then(read_node_id) };
        (first <= last).then_some((first, last, owner))
    };
    let ranges: Vec<Range> = ranges.iter().filter_map(range).collect();
    (!ranges.is_empty()).then_some(ranges)
}

/// Where `MOVED 3999 host:port` or `ASK …` leads; the first word is already taken off.
pub fn read_redirect(detail: &str, asked: &Address) -> Option<Address> {
    let (_, address) = detail.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    at(host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?, asked)
}

fn at(host: &str, port: u16, asked: &Address) -> Option<Address> {
    match (host, asked) {
        ("" | "?", Address::Tcp(asked, _)) => Some(Address::Tcp(asked.clone(), port)),
        ("" | "?", Address::Unix(_)) => None,
        (host, _) => Some(Address::Tcp(host.to_owned(), port)),
    }
}

/// Asks the known servers and the start-up nodes, all at once, for the map. The first that names one of the `known` nodes
/// counts, or the first of all while none are known: a server of another cluster may have got one of the addresses. Returned
/// with the settings with which it was read.
///
/// # Errors
/// When none of them answers with a map.
pub async fn fetch(
    target: Target,
    proven: bool,
    addresses: Vec<Address>,
    known: Arc<[NodeId]>,
) -> Result<(Map, Settings), ConnectError> {
    let settings = target.settings_now(proven).await?;
    let mut addresses = addresses;
    if let Topology::Cluster(nodes) = &settings.topology {
        let new: Vec<_> = nodes.iter().filter(|node| !addresses.contains(node)).cloned().collect();
        addresses.splice(0..0, new);
    }
    addresses.truncate(MAX_ASKED);
    let auth_config = AuthConfig::to_servers(&settings);
    let limit = LIMIT.min(target.connect_timeout);
    let mut open: Open<'_, Result<Drawn, ConnectError>> = Vec::new();
    for address in &addresses {
        open.push(Box::pin(map_of(address, &auth_config, limit, &known)));
    }
    let (mut foreign, mut last) = (None, None);
    while !open.is_empty() {
        match next(&mut open).await {
            Ok((ranges, nodes)) if are_related(&nodes, &known) => {
                drop(open);
                return Ok((Map { ranges, nodes, is_foreign: false }, settings));
            }
            Ok(map) => foreign = foreign.or(Some(map)),
            Err(connect_error) => last = Some(connect_error),
        }
    }
    match foreign {
        Some((ranges, nodes)) => Ok((Map { ranges, nodes, is_foreign: true }, settings)),
        None => Err(last.unwrap_or_else(|| ConnectError::connecting(&target.settings.address))),
    }
}

async fn map_of(
    address: &Address,
    auth_config: &AuthConfig,
    limit: Duration,
    known: &[NodeId],
) -> Result<Drawn, ConnectError> {
    let answers = ask(address, auth_config, &[&["CLUSTER", "SLOTS"]], limit).await?;
    let Some(reply) = answers.replies.first() else { return Err(ConnectError::unresponsive(address)) };
    if let Some(error_reply) = error_reply(reply) {
        return Err(ConnectError::handshake(error_reply));
    }
    let Some(ranges) = read_slots(reply, address) else {
        return Err(ConnectError::Transient(texts::no_slots().error()));
    };
    let mut nodes = nodes_of(reply);
    if !are_related(&nodes, known) {
        // The map of slots leaves out failed nodes, and all nodes known before may have failed; `CLUSTER NODES` has them too.
        // Where the user may not run it, the map is taken only when no other server answers.
        let answers = ask(address, auth_config, &[&["CLUSTER", "NODES"]], limit).await?;
        nodes.extend(answers.replies.first().map(read_nodes).unwrap_or_default());
    }
    Ok((ranges, nodes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unnamed_server_is_the_one_that_was_asked() {
        let asked = Address::Tcp("cluster.example".into(), 1);
        let server = |host: Value| Value::Array(vec![host, Value::Int(7000)]);
        let range = |host| Value::Array(vec![Value::Int(0), Value::Int(16_383), server(host)]);
        for (host, expected) in [
            (Value::Nil, "cluster.example"),
            (Value::BulkString(Vec::new()), "cluster.example"),
            (Value::BulkString(b"10.0.0.1".to_vec()), "10.0.0.1"),
        ] {
            let read = read_slots(&Value::Array(vec![range(host)]), &asked);
            let owner = Owner { address: Address::Tcp(expected.into(), 7000), id: None };
            assert_eq!(read, Some(vec![(0, 16_383, owner)]));
        }
        assert_eq!(read_slots(&Value::Array(vec![]), &asked), None);
        let backwards = Value::Array(vec![Value::Int(9), Value::Int(3), server(Value::Nil)]);
        assert_eq!(read_slots(&Value::Array(vec![backwards]), &asked), None);
        assert_eq!(read_redirect("3999 :7001", &asked), Some(Address::Tcp("cluster.example".into(), 7001)));
        assert_eq!(read_redirect("3999 ::1:7001", &asked), Some(Address::Tcp("::1".into(), 7001)));
        assert_eq!(read_redirect("nonsense", &asked), None);
    }

    #[test]
    fn a_map_that_names_no_known_node_is_another_clusters() {
        let node = |id: &str| Value::Array(vec![Value::Nil, Value::Int(1), Value::BulkString(id.as_bytes().to_vec())]);
        let map = |primary, replica| {
            let range = Value::Array(vec![Value::Int(0), Value::Int(9), node(primary), node(replica)]);
            nodes_of(&Value::Array(vec![range.clone(), range]))
        };
        let known = [NodeId::new("x"), NodeId::new("y")];
        assert_eq!(map("b", "a"), [NodeId::new("a"), NodeId::new("b")]);
        assert!(!are_related(&map("a", "b"), &known));
        // After a failover, the primary is one that was a replica.
        assert!(are_related(&map("a", "y"), &known) && are_related(&map("x", "b"), &known));
        assert!(are_related(&map("", ""), &known) && are_related(&map("a", "b"), &[]));
        let table =
            "y 10.0.0.1:1@2 master,fail - 0 0 1 disconnected\nb 10.0.0.2:1@2 myself,master - 0 0 2 connected 0-16383\n";
        assert_eq!(read_nodes(&Value::BulkString(table.into())), [NodeId::new("y"), NodeId::new("b")]);
        assert_eq!(read_nodes(&Value::Nil), []);
    }
}
