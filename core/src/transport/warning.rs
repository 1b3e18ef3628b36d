//! Warnings about settings that work and are likely wrong: given once for each server, without delaying any call.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::error::display_address;
use crate::config::Address;
use crate::error_texts::connections::expiry_apart;

/// Servers and other subjects that have been warned about. Beyond this number no more warnings are given.
const MAX_REMEMBERED: usize = 1024;

/// Something for `process.emitWarning`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The warning's `code`.
    pub code: &'static str,
    /// A sentence for a person that says what to do. Never contains a secret.
    pub message: String,
    /// What it is about, mostly a server.
    subject: String,
}

/// What to say about a server that takes a write and its expiry one after the other.
pub fn not_atomic(address: &Address) -> Warning {
    Warning::new("IDIOTEQUE_REDIS_NOT_ATOMIC", address, expiry_apart(display_address(address)))
}

/// The warnings that were given in this process.
static GIVEN: LazyLock<Mutex<HashSet<(&'static str, String)>>> = LazyLock::new(Mutex::default);

impl Warning {
    /// A warning about a server.
    pub fn new(code: &'static str, server: &Address, message: String) -> Self {
        Self::about(code, display_address(server), message)
    }

    /// A warning about something else than a server.
    pub fn about(code: &'static str, subject: String, message: String) -> Self {
        Self { code, message, subject }
    }

    /// Whether this is the first such warning about its subject; later ones are not.
    pub fn is_first(&self) -> bool {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        given.len() < MAX_REMEMBERED && given.insert((self.code, self.subject.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_warned_about_once() {
        let warning = |port| Warning::new("CODE", &Address::Tcp("warned.example".into(), port), String::new());
        assert!(warning(1).is_first() && warning(2).is_first());
        assert!(!warning(1).is_first());
    }
}
