//! How commands and replies look on a connection: how replies are told apart, and how a login is sent.

pub(super) mod auth;
pub mod decode;
pub mod encode;
pub(super) mod guarded_stream;
pub mod reply_framer;
pub mod value_visitor;
pub mod violation;
