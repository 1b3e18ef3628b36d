//! What a server understands.

/// What a server understands; learnt from its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFeatures {
    /// `SET … GET`, since Redis 6.2: refuses a key of another type instead of overwriting it.
    pub set_get: bool,
    /// One command or transaction may use keys of different slots; not so where they are on different shards behind one
    /// address, or the server is in cluster mode (`CROSSSLOT`).
    pub cross_slot: bool,
}

impl Default for ServerFeatures {
    fn default() -> Self {
        Self { set_get: true, cross_slot: true }
    }
}
