//! The realm of a store: the built-in functions and the error class of the global object in which its package was loaded.
//! Test runners load the package once for each of their `vm` contexts, but the addon only once, so that these are not the
//! addon's own: results must be objects of the caller's realm, and its errors instances of the caller's class.

use std::rc::Rc;

use crate::environment::Environment;
use crate::node_api::{Engine, Reference, Thrown, Value};

/// What one store calls of JavaScript.
pub struct JsBuiltins {
    environment: Rc<Environment>,
    /// Present until it is dropped.
    functions: Option<Functions>,
}

struct Functions {
    parse: Reference,
    stringify: Reference,
    set_prototype_of: Reference,
    error_class: Reference,
}

impl JsBuiltins {
    /// The realm of what `index.js` hands over.
    pub fn new(environment: Rc<Environment>, helpers: Value) -> Result<Self, Thrown> {
        let engine = environment.engine;
        let keep = |name| engine.keep(engine.get(helpers, name)?);
        let functions = Functions {
            parse: keep(c"parse")?,
            stringify: keep(c"stringify")?,
            set_prototype_of: keep(c"setPrototypeOf")?,
            error_class: keep(c"RedisStoreError")?,
        };
        Ok(Self { environment, functions: Some(functions) })
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        self.environment.engine
    }

    /// `JSON.parse(text)`
    pub fn parse(&self, json: &[u8]) -> Result<Value, Thrown> {
        let text = self.engine().text(json)?;
        self.call(|functions| &functions.parse, &[text])
    }

    /// `JSON.stringify(value)`: a string, or `undefined` for what has no JSON form.
    pub fn stringify(&self, value: Value) -> Result<Value, Thrown> {
        self.call(|functions| &functions.stringify, &[value])
    }

    /// `Object.setPrototypeOf(object, null)`
    pub fn without_prototype(&self, object: Value) -> Result<(), Thrown> {
        self.call(|functions| &functions.set_prototype_of, &[object, self.engine().null()]).map(drop)
    }

    /// `new RedisStoreError(message, details)`
    pub fn error(&self, message: &str, details: Value) -> Result<Value, Thrown> {
        let engine = self.engine();
        let class = self.function(|functions| &functions.error_class);
        engine.construct(class, &[engine.text(message.as_bytes())?, details])
    }

    fn call(&self, which: impl Fn(&Functions) -> &Reference, arguments: &[Value]) -> Result<Value, Thrown> {
        self.engine().call(self.function(which), self.engine().undefined(), arguments)
    }

    fn function(&self, which: impl Fn(&Functions) -> &Reference) -> Value {
        let engine = self.engine();
        self.functions.as_ref().map_or(engine.undefined(), |functions| engine.kept(which(functions)))
    }
}

impl Drop for JsBuiltins {
    fn drop(&mut self) {
        if self.environment.ended.get() {
            return;
        }
        if let Some(Functions { parse, stringify, set_prototype_of, error_class }) = self.functions.take() {
            for reference in [parse, stringify, set_prototype_of, error_class] {
                self.environment.engine.forget(reference);
            }
        }
    }
}
