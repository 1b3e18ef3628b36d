//! A simulation of a cluster: the real [`Router`](super::router::Router), with simulated time, connections and servers. A seed
//! determines everything: who calls what when, which node has which slot, and what goes wrong.
//!
//! What is modelled:
//!
//! - **Nodes.** Each has the keys and commands of the simulation of one connection. Before it carries a command out it asks, as
//!   Redis does, whether it has the slot: else it answers `MOVED`, `ASK`, `TRYAGAIN` or `CLUSTERDOWN`. It has a map of its own, which
//!   hears of changes late. Slots are migrated key by key; a primary that is killed, or stands still, is replaced by its replica,
//!   which has all that was acknowledged and perhaps more; a server of another cluster may get a node's address for a while.
//! - **Connections**, at the level of what they give back to the router: the part's reply, a refusal (sorted by the real
//!   [`decide`](crate::transport::connection::refusal::decide)), the part itself, unsent or perhaps applied, when there is no
//!   connection, or an error at its deadline. Over each, parts keep their order; between them nothing does. What was on its
//!   way when a connection was lost may be carried out until the next one is made, which ends it; when the router closes a
//!   connection, it is carried out at that moment or never. A connection finds out whether it has reached the node that it should, as
//!   the handshake does. All this is the concern of [`connection`](crate::transport::connection), which has a simulation of its own.
//! - **Maps.** Servers are asked as [`fetch`](super::topology::fetch) does it, and answer in any order, or not at all.
//!
//! What is checked, at every moment and at the end of each history:
//!
//! - each call settles once, at its deadline at the latest;
//! - for each key, answers, and what is held in the end, follow from the writes in the order of their calls: acknowledged ones
//!   were applied, those whose error says that they may have been applied perhaps, others not;
//! - what was carried out where bears out what an error says about that, part by part;
//! - a task is not taken from those in progress before its result is there;
//! - no server of another cluster is sent anything;
//! - the map is not read, and nothing is sent, without bound; what is counted as under way comes back;
//! - once nothing goes wrong any more, calls succeed, and the map is left alone.
//!
//! `npm run test:simulation -- --seeds 100000` runs many seeds, `--first 17 --seeds 1` one, whose events are printed.

mod carried_out;
mod faults;
mod links;
mod maps;
mod plan;
mod servers;
mod tests;
mod world;
