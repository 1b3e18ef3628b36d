//! Values that live for as long as a function of ours does, in a way that the garbage collector sees: the client that a store
//! was made from may hold the store, and the two are garbage together.

use crate::node_api::{EnvHandle, Kept, Thrown, Value};

/// A `WeakMap` from functions to what they own. It is itself kept by the environment and holds no function.
pub struct Ownership {
    env: EnvHandle,
    map: Kept,
    /// `WeakMap.prototype.set`, as it was when the environment was set up.
    set: Kept,
}

impl Ownership {
    /// The map of an environment.
    pub fn new(env: &EnvHandle) -> Result<Self, Thrown> {
        let engine = env.engine();
        let map = engine.construct(engine.get(engine.global()?, c"WeakMap")?, &[])?;
        Ok(Self { env: env.clone(), map: env.keep(map)?, set: env.keep(engine.get(map, c"set")?)? })
    }

    /// From now on, `value` lives at least as long as `owner`.
    pub fn give(&self, owner: Value, value: Value) -> Result<(), Thrown> {
        self.env.engine().call(self.set.value(), self.map.value(), &[owner, value]).map(drop)
    }
}
