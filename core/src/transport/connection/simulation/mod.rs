//! A simulation of one connection: the real [`Machine`](super::machine::Machine) and the real handshake, with simulated time, a
//! simulated network and a simulated server. A seed determines everything: who calls what when, which bytes arrive when and in what
//! pieces, and what goes wrong.
//!
//! What is checked, at every moment and at the end of each history:
//!
//! - each call settles once, at its deadline at the latest;
//! - answers, and what the server holds in the end, follow from the writes of each execution in the order of their calls:
//!   acknowledged ones were applied, those whose error says that they may have been applied perhaps, others not;
//! - nothing is asked of the time, the network or the server without bound;
//! - once nothing goes wrong any more, calls succeed.
//!
//! What is excepted: what another process writes, and what is sent over HTTP, cannot be fenced off by a connection; and where the
//! server never tells names, bytes that a closed socket has already handed to the network are taken to be lost with it.
//!
//! `npm run test:simulation -- --seeds 100000` runs many seeds, `--first 17 --seeds 1` one, whose events are printed.

mod attempt;
mod connections;
mod faults;
mod network;
mod plan;
mod tests;
mod workload;
mod world;
