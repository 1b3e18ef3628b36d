//! Why there is no connection.

use std::io;

use super::retry_policy::{RetryDecision, refused, retry_decision};
use crate::config::Address;
use crate::error::{Code, StoreError};
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
            RetryDecision::Report => ConnectError::Fatal(refused(error_reply)),
            RetryDecision::Retry | RetryDecision::Reconnect => ConnectError::Transient(refused(error_reply)),
        }
    }

    /// No attempt has ended yet.
    pub fn connecting(address: &Address) -> Self {
        ConnectError::Transient(StoreError::new(
            Code::Connection,
            format!("no connection to {} yet.", display_address(address)),
        ))
    }

    /// Dialling failed.
    pub fn dial(error: &io::Error, address: &Address) -> Self {
        let (name, advice) = match error.kind() {
            io::ErrorKind::ConnectionRefused => ("ECONNREFUSED", ": is Redis running?"),
            io::ErrorKind::TimedOut => ("ETIMEDOUT", ": is the address right, and does a firewall let us through?"),
            io::ErrorKind::HostUnreachable => ("EHOSTUNREACH", ": there is no route to it."),
            io::ErrorKind::NetworkUnreachable => ("ENETUNREACH", ": there is no route to it."),
            io::ErrorKind::PermissionDenied => ("EACCES", ": this process may not open it."),
            io::ErrorKind::NotFound => ("ENOENT", ": there is no such socket, or the host name has no such address."),
            _ => ("cannot connect to", "."),
        };
        let server = display_address(address);
        ConnectError::Transient(StoreError {
            cause: Some(error.to_string()),
            ..StoreError::new(Code::Connection, format!("{name} {server}{advice}"))
        })
    }

    /// The server accepted the connection and does not answer.
    pub fn unresponsive(address: &Address) -> Self {
        let message = format!(
            "{} took the connection but does not answer: is the server stopped or overloaded?",
            display_address(address)
        );
        ConnectError::Transient(StoreError::new(Code::Timeout, message))
    }

    /// Another server has got the address of a cluster's node.
    pub fn stranger(address: &Address) -> Self {
        let message = format!(
            "another server answers at {}, and not the cluster's node that the cluster's map names there: nothing was sent to it.",
            display_address(address)
        );
        ConnectError::Transient(StoreError::new(Code::Connection, message))
    }

    /// A live client has no settings to connect with.
    pub fn unresponsive_client() -> Self {
        let message = "the client the store was made from does not answer the question for its settings.";
        ConnectError::Transient(StoreError::new(Code::Connection, message))
    }

    /// A connection that was in use ended.
    pub fn lost(detail: &str) -> Self {
        ConnectError::Transient(StoreError {
            cause: Some(detail.into()),
            ..StoreError::new(Code::Connection, "the connection to Redis was lost and did not come back in time.")
        })
    }
}

pub(crate) fn display_address(address: &Address) -> String {
    match address {
        Address::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Address::Tcp(host, port) => format!("{host}:{port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}
