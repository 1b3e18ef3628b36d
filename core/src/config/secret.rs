//! Passwords and tokens.

use std::fmt;

/// A password or token. Its debug form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the handshake, and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a text shows it, or how it begins: who quotes it may cut it short.
    pub fn is_in(&self, text: &str) -> bool {
        let end = self.0.char_indices().nth(Self::TELLING).map_or(self.0.len(), |(end, _)| end);
        end > 0 && text.to_ascii_lowercase().contains(&self.0[..end].to_ascii_lowercase())
    }

    /// Characters at its beginning by which a secret is recognised.
    pub(super) const TELLING: usize = 6;
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}
