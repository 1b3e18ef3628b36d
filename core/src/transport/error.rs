//! Why there is no connection.

use std::io;

use super::io::is_lookup_error;
use super::retry_policy::{RetryDecision, connection_refused, retry_decision};
use crate::config::Address;
use crate::error::StoreError;
use crate::error_texts::connections as texts;
use crate::store::ErrorReply;

/// Why there is no connection.
#[derive(Clone, Debug)]
pub enum ConnectError {
    /// It could not be made, or broke; the next attempt may succeed.
    Transient(StoreError),
    /// The server answered and refused us (credentials, database): waiting calls are rejected at once.
    Fatal(StoreError),
}

impl ConnectError {
    /// The error for the calls that waited.
    pub fn error(&self) -> &StoreError {
        match self {
            ConnectError::Transient(error) | ConnectError::Fatal(error) => error,
        }
    }

    /// The server refused the handshake.
    pub fn handshake(error_reply: ErrorReply) -> Self {
        match retry_decision(&error_reply) {
            RetryDecision::Report => ConnectError::Fatal(connection_refused(error_reply)),
            RetryDecision::Retry | RetryDecision::Reconnect => ConnectError::Transient(connection_refused(error_reply)),
        }
    }

    /// No attempt has ended yet.
    pub fn connecting(address: &Address) -> Self {
        ConnectError::Transient(texts::connecting(display_address(address)).error())
    }

    /// Dialling failed.
    pub fn dial(error: &io::Error, address: &Address) -> Self {
        let server = display_address(address);
        let text = match error.kind() {
            _ if is_lookup_error(error) => texts::host_not_found(server),
            io::ErrorKind::ConnectionRefused => texts::refused(server),
            io::ErrorKind::TimedOut => texts::timed_out(server),
            io::ErrorKind::HostUnreachable => texts::host_unreachable(server),
            io::ErrorKind::NetworkUnreachable => texts::network_unreachable(server),
            io::ErrorKind::PermissionDenied => texts::not_permitted(server),
            io::ErrorKind::NotFound => texts::not_found(server),
            _ => texts::cannot_connect(server),
        };
        ConnectError::Transient(text.caused_by(error.to_string()))
    }

    /// The server accepted the connection and does not answer.
    pub fn unresponsive(address: &Address) -> Self {
        ConnectError::Transient(texts::unresponsive(display_address(address)).error())
    }

    /// Another server has got the address of a cluster's node.
    pub fn stranger(address: &Address) -> Self {
        ConnectError::Transient(texts::another_server(display_address(address)).error())
    }

    /// A live client has no settings to connect with.
    pub fn unresponsive_client() -> Self {
        ConnectError::Transient(texts::client_does_not_answer().error())
    }

    /// The server closed the connection before it had said anything.
    pub fn hung_up(address: &Address, detail: Option<String>) -> Self {
        let detail = detail.unwrap_or_else(|| texts::CLOSED_BY_SERVER.into());
        ConnectError::Transient(texts::hung_up(display_address(address)).caused_by(detail))
    }

    /// The server closes the connection at a command that cannot be left out.
    pub fn hangs_up_at(address: &Address, command: &str) -> Self {
        ConnectError::Fatal(texts::hangs_up_at(display_address(address), command).error())
    }

    /// The server closed the connection.
    pub fn closed() -> Self {
        Self::lost(texts::CLOSED_BY_SERVER)
    }

    /// A connection that was in use ended.
    pub fn lost(detail: &str) -> Self {
        ConnectError::Transient(texts::lost().caused_by(detail))
    }
}

/// An address as a person writes it.
pub fn display_address(address: &Address) -> String {
    match address {
        Address::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Address::Tcp(host, port) => format!("{host}:{port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}
