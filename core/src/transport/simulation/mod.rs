//! What the simulations of one connection and of a cluster have in common: random numbers, keys and commands of a server, callers,
//! what was called and what has to have come of it, and how histories are played.

pub mod callers;
pub mod history;
pub mod play;
pub mod random;
pub mod resp;
pub mod server;
pub mod time;
