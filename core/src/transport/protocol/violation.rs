//! What no server may send.

use std::fmt;

use crate::error_texts::connections as texts;

/// Why a server is not listened to any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolViolation {
    /// A reply that belongs to no command, by which all later ones would be taken for those of other calls.
    Unsolicited,
    /// A reply larger than any that can be used.
    TooLarge,
    /// Something that is not the Redis protocol.
    Malformed,
    /// A record of TLS: an alert, because the server took commands for a handshake.
    Encrypted,
}

impl fmt::Display for ProtocolViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolViolation::Unsolicited => texts::UNSOLICITED_REPLY,
            ProtocolViolation::TooLarge => texts::REPLY_TOO_LARGE,
            ProtocolViolation::Malformed => texts::NOT_REDIS,
            ProtocolViolation::Encrypted => texts::NOT_PLAINTEXT,
        })
    }
}

impl std::error::Error for ProtocolViolation {}
