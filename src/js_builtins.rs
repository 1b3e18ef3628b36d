//! The realm of a store: the built-in functions and the error class of the global object in which its package was loaded.
//! Test runners load the package once for each of their `vm` contexts, but the addon only once, so that these are not the
//! addon's own: results must be objects of the caller's realm, and its errors instances of the caller's class.

use crate::node_api::{Deferred, Engine, EnvHandle, Kept, Reference, Thrown, Value};

/// What one store calls of JavaScript, for as long as what `index.js` handed over is alive.
pub struct JsBuiltins {
    env: EnvHandle,
    parse: Reference,
    stringify: Reference,
    set_prototype_of: Reference,
    add_entries: Reference,
    error_class: Reference,
    reject_later: Reference,
}

impl JsBuiltins {
    /// The realm of what `index.js` passes.
    pub fn new(env: &EnvHandle, helpers: Value) -> Result<Self, Thrown> {
        let refer = |name| env.refer(env.engine().get(helpers, name)?);
        Ok(Self {
            env: env.clone(),
            parse: refer(c"parse")?,
            stringify: refer(c"stringify")?,
            set_prototype_of: refer(c"setPrototypeOf")?,
            add_entries: refer(c"addEntries")?,
            error_class: refer(c"RedisStoreError")?,
            reject_later: refer(c"rejectLater")?,
        })
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        self.env.engine()
    }

    /// Keeps a value alive.
    pub fn keep(&self, value: Value) -> Result<Kept, Thrown> {
        self.env.keep(value)
    }

    /// `JSON.parse(text)`
    pub fn parse(&self, json: &[u8]) -> Result<Value, Thrown> {
        let text = self.engine().text(json)?;
        self.call(&self.parse, &[text])
    }

    /// `JSON.stringify(value)`: a string, or `undefined` for what has no JSON form.
    pub fn stringify(&self, value: Value) -> Result<Value, Thrown> {
        self.call(&self.stringify, &[value])
    }

    /// `Object.setPrototypeOf(object, null)`
    pub fn without_prototype(&self, object: Value) -> Result<(), Thrown> {
        self.call(&self.set_prototype_of, &[object, self.engine().null()]).map(drop)
    }

    /// Sets the properties of an object that are in an array, names and values in turn.
    pub fn add_entries(&self, object: Value, entries: Value) -> Result<(), Thrown> {
        self.call(&self.add_entries, &[object, entries]).map(drop)
    }

    /// `new RedisStoreError(message, details)`
    pub fn error(&self, message: &str, details: Value) -> Result<Value, Thrown> {
        let engine = self.engine();
        engine.construct(self.error_class.value(), &[engine.text(message.as_bytes())?, details])
    }

    /// Rejects a promise that somebody may await, with an error whose stack says who: the engine knows that only in what runs
    /// for the promise. So it is resolved with a promise that rejects in a moment, which puts that into the error.
    pub fn reject(&self, deferred: Deferred, error: Value) {
        let outcome = self.call(&self.reject_later, &[error]).map_err(|_| error);
        self.engine().settle(deferred, outcome);
    }

    fn call(&self, function: &Reference, arguments: &[Value]) -> Result<Value, Thrown> {
        self.engine().call(function.value(), self.engine().undefined(), arguments)
    }
}
