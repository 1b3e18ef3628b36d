//! Clusters: which server has a key, and calls in parts that are sent there.

mod credit;
pub(super) mod nodes;
pub(super) mod router;
pub(super) mod slot_table;
pub(super) mod split_call;
pub mod topology;
