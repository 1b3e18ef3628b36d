//! The map of a cluster: which server each slot belongs to. <https://redis.io/docs/latest/commands/cluster-slots/>

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, timeout_at};

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
/// How long the others may take when one has answered that can be believed.
const RESPONSE_GRACE: Duration = Duration::from_millis(100);
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

/// One server's map.
struct Drawn {
    ranges: Vec<Range>,
    /// All nodes that it names.
    nodes: Vec<NodeId>,
    /// What the server says of the cluster.
    view: View,
}

/// What a server says of the cluster (`CLUSTER INFO`): the later its epoch, the more it has heard.
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#cluster-current-epoch>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct View {
    epoch: u64,
    is_up: bool,
}

/// A map of a cluster.
#[derive(Debug)]
pub struct Map {
    /// The ranges.
    pub ranges: Vec<Range>,
    /// All nodes that it names.
    pub nodes: Vec<NodeId>,
    /// Whose it is.
    pub source: Address,
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

/// Asks the known servers and the start-up nodes, all at once, for the map. Those that name one of the `known` nodes count, or all
/// while none are known: a server of another cluster may have got one of the addresses. Of them, the one with the latest epoch does,
/// after those whose maps have led nowhere, `discredited`. Returned with the settings with which it was read.
///
/// # Errors
/// When none of them answers with a map.
pub async fn fetch(
    target: Target,
    proven: bool,
    addresses: Vec<Address>,
    known: Arc<[NodeId]>,
    discredited: Vec<Address>,
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
    let mut open: Open<'_, (&Address, Result<Drawn, ConnectError>)> = Vec::new();
    for address in &addresses {
        let (auth_config, known) = (&auth_config, &known);
        open.push(Box::pin(async move { (address, map_of(address, auth_config, limit, known).await) }));
    }
    let (mut best, mut last) = (None, None);
    let mut until = None;
    while !open.is_empty() {
        let answer = match until {
            None => next(&mut open).await,
            Some(until) => match timeout_at(until, next(&mut open)).await {
                Ok(answer) => answer,
                Err(_) => break,
            },
        };
        match answer {
            (source, Ok(drawn)) => {
                let rank = (are_related(&drawn.nodes, &known), !discredited.contains(source), drawn.view);
                if rank.0 && rank.1 && until.is_none() {
                    until = Some(Instant::now() + RESPONSE_GRACE);
                }
                if best.as_ref().is_none_or(|(best, _, _)| *best < rank) {
                    best = Some((rank, source, drawn));
                }
            }
            (_, Err(connect_error)) => last = Some(connect_error),
        }
    }
    drop(open);
    match best {
        Some(((is_related, _, _), source, Drawn { ranges, nodes, .. })) => {
            Ok((Map { ranges, nodes, source: source.clone(), is_foreign: !is_related }, settings))
        }
        None => Err(last.unwrap_or_else(|| ConnectError::connecting(&target.settings.address))),
    }
}

async fn map_of(
    address: &Address,
    auth_config: &AuthConfig,
    limit: Duration,
    known: &[NodeId],
) -> Result<Drawn, ConnectError> {
    let answers = ask(address, auth_config, &[&["CLUSTER", "SLOTS"], &["CLUSTER", "INFO"]], limit).await?;
    let Some(reply) = answers.replies.first() else { return Err(ConnectError::unresponsive(address)) };
    if let Some(error_reply) = error_reply(reply) {
        return Err(ConnectError::handshake(error_reply));
    }
    let Some(ranges) = read_slots(reply, address) else {
        return Err(ConnectError::Transient(texts::no_slots().error()));
    };
    let view = answers.replies.get(1).map(read_view).unwrap_or_default();
    let mut nodes = nodes_of(reply);
    if !are_related(&nodes, known) {
        // The map of slots leaves out failed nodes, and all nodes known before may have failed; `CLUSTER NODES` has them too.
        // Where the user may not run it, the map is taken only when no other server answers.
        let answers = ask(address, auth_config, &[&["CLUSTER", "NODES"]], limit).await.ok();
        let reply = answers.as_ref().and_then(|answers| answers.replies.first());
        nodes.extend(reply.map(read_nodes).unwrap_or_default());
    }
    Ok(Drawn { ranges, nodes, view })
}

/// Reads the answer to `CLUSTER INFO`; who does not tell has the earliest view.
fn read_view(reply: &Value) -> View {
    let info = text(reply).unwrap_or_default();
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    View {
        epoch: field("cluster_current_epoch:").and_then(|epoch| epoch.parse().ok()).unwrap_or(0),
        is_up: field("cluster_state:") == Some("ok"),
    }
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
    fn a_later_epoch_is_a_better_view_and_then_a_cluster_that_is_up() {
        let view = |text: &str| read_view(&Value::BulkString(text.as_bytes().to_vec()));
        let up = view("cluster_state:ok\r\ncluster_current_epoch:7\r\ncluster_my_epoch:2\r\n");
        assert_eq!(up, View { epoch: 7, is_up: true });
        let down = view("cluster_state:fail\r\ncluster_current_epoch:7\r\n");
        assert!(down < up && up < view("cluster_state:fail\r\ncluster_current_epoch:8\r\n"));
        assert!(read_view(&Value::Nil) < down);
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
