//! What the nodes of a cluster are called.

use std::sync::{Arc, OnceLock};

use redis::Value;

use super::probe::text;

/// What a node of a cluster is called for as long as it is one of it (`CLUSTER MYID`), wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Vec<u8>);

impl NodeId {
    /// A node's name.
    pub fn new(name: &str) -> Self {
        Self(name.as_bytes().to_vec())
    }
}

/// Reads the answer to `CLUSTER MYID`, or a name in a map.
pub fn read_node_id(reply: &Value) -> Option<NodeId> {
    match reply {
        Value::BulkString(id) if !id.is_empty() => Some(NodeId(id.clone())),
        Value::SimpleString(id) if !id.is_empty() => Some(NodeId(id.clone().into_bytes())),
        _ => None,
    }
}

/// The nodes that the map of a cluster names, primaries and replicas.
pub fn nodes_of(map: &Value) -> Vec<NodeId> {
    let Value::Array(ranges) = map else { return Vec::new() };
    let nodes = ranges.iter().flat_map(|range| match range {
        Value::Array(parts) => parts.get(2..).unwrap_or_default(),
        _ => &[],
    });
    let ids = nodes.filter_map(|node| match node {
        Value::Array(node) => node.get(2).and_then(read_node_id),
        _ => None,
    });
    let mut ids: Vec<NodeId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The names in an answer to `CLUSTER NODES`: the first word of each line.
pub fn read_nodes(reply: &Value) -> Vec<NodeId> {
    let lines = text(reply).unwrap_or_default();
    lines.lines().filter_map(|line| Some(NodeId(line.split_ascii_whitespace().next()?.into()))).collect()
}

/// Whether the nodes of one map belong to the cluster known before. Without node ids nothing speaks against it.
pub fn are_related(named: &[NodeId], known: &[NodeId]) -> bool {
    named.is_empty() || known.is_empty() || named.iter().any(|id| known.contains(id))
}

/// The node of a cluster that should be at an address.
#[derive(Clone, Debug, Default)]
pub struct ExpectedNode {
    /// What the cluster's map calls it, once it does. A redirect does not.
    pub id: Arc<OnceLock<NodeId>>,
    /// The nodes that the map named when the address was met.
    pub known: Arc<[NodeId]>,
}
