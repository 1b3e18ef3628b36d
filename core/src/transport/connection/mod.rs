//! One connection to one server: made, kept, driven, and made again.

pub(super) mod attempts;
pub(super) mod connect;
pub(super) mod driver;
pub mod handshake;
pub(super) mod lessons;
pub(super) mod machine;
mod overdue;
mod reconnect;
pub(super) mod refusal;
pub(super) mod server_facts;
mod server_stream;
mod session;
mod shared_window;
#[cfg(test)]
mod simulation;
mod spin;
