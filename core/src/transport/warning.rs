//! What works and is likely wrong: said once for each server, not in the way of any call.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::config::Address;

/// Servers that are remembered as warned about. Beyond them nothing more is said.
const MAX_REMEMBERED: usize = 1024;

/// Something for `process.emitWarning`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The warning's `code`.
    pub code: &'static str,
    /// A sentence for a person that says what to do. Never contains a secret.
    pub message: String,
    /// The server it is about.
    server: Address,
}

/// What was said in this process.
static SAID: LazyLock<Mutex<HashSet<(&'static str, Address)>>> = LazyLock::new(Mutex::default);

impl Warning {
    /// A warning about a server.
    pub fn new(code: &'static str, server: &Address, message: String) -> Self {
        Self { code, message, server: server.clone() }
    }

    /// Whether nobody has been told yet; from now on somebody has.
    pub fn is_first(&self) -> bool {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        said.len() < MAX_REMEMBERED && said.insert((self.code, self.server.clone()))
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
