//! Reads what names a cluster: an array of start-up nodes, node-redis's `{ rootNodes, defaults }`, and live clusters.

mod ioredis;
mod node_redis;
mod nodes;

pub use ioredis::from_ioredis;
pub use node_redis::{from_config, from_node_redis};
pub use nodes::from_nodes;

#[cfg(test)]
mod tests;
