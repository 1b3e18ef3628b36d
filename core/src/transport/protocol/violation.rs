//! What no server may send.

use std::fmt;

/// Why a server is not listened to any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolViolation {
    /// A reply that nothing asked for, by which all later ones would be taken for those of other calls.
    Unsolicited,
    /// A reply larger than any that can be used.
    TooLarge,
    /// Something that is not the Redis protocol.
    Malformed,
}

impl fmt::Display for ProtocolViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolViolation::Unsolicited => "the server sent a reply that nothing asked for",
            ProtocolViolation::TooLarge => "the server sent a reply of more than 512 MB or 16 million values",
            ProtocolViolation::Malformed => {
                "what the server sent is not the Redis protocol (RESP2): is it a Redis server?"
            }
        })
    }
}

impl std::error::Error for ProtocolViolation {}
