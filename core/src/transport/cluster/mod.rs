//! Clusters: which server has a key, and calls in parts that are sent there.

mod counts;
mod credit;
pub(super) mod driver;
mod effect;
mod map_state;
mod nodes;
mod returns;
mod router;
#[cfg(test)]
mod simulation;
mod slot_table;
mod split_call;
pub mod topology;
