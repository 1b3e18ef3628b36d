//! How commands and replies look on a connection: how replies are told apart, and how a login is sent.

pub(super) mod auth;
pub mod decode;
pub mod encode;
pub mod value_visitor;
pub mod violation;
