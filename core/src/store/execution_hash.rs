//! What tables know an execution by.

use super::known::hash;

/// An execution's id in eight bytes, which are worked out once for each call. Two ids may share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExecutionHash(pub(super) u64);

impl ExecutionHash {
    /// That of no execution.
    pub const NONE: ExecutionHash = ExecutionHash(0);

    /// That of an id.
    pub fn of(id: &[u8]) -> Self {
        Self(hash(id))
    }

    /// Its place in a table of so many.
    pub fn place_in(self, length: usize) -> usize {
        self.0 as usize % length
    }
}
