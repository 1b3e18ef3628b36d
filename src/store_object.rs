//! The native side of a store as a JavaScript object of functions, each of which works without the others. `index.js` makes
//! the store of them.

use std::rc::Rc;

use idioteque_redis_core::config::options::Options;
use idioteque_redis_core::store::Operation;

use crate::environment::Environment;
use crate::fallback;
use crate::js_builtins::JsBuiltins;
use crate::method;
use crate::method::MethodContext;
use crate::native_store::{NativeStore, Origin};
use crate::node_api::{Thrown, Value};
use crate::seen;

/// Makes the store object. `owned` has the values that the store uses: each of its functions keeps them alive.
pub fn create(
    environment: Rc<Environment>,
    realm: JsBuiltins,
    owned: Value,
    origin: Origin,
    options: Options,
) -> Result<Value, Thrown> {
    let engine = environment.engine();
    let backend = origin.backend();
    let store =
        NativeStore::new(realm, environment.handle.refer(owned)?, environment.completions.clone(), origin, options);
    let context = Rc::new(MethodContext { environment: environment.clone(), store: Rc::new(store) });
    let object = engine.object()?;
    for kind in Operation::ALL {
        let function = engine.function_sharing(kind.name(), method::callback(kind), context.clone())?;
        environment.ownership.give(function, owned)?;
        engine.set_by(object, engine.text(kind.name().as_bytes())?, function)?;
    }
    let tools = engine.function_sharing("tools", seen::tools, context.clone())?;
    environment.ownership.give(tools, owned)?;
    engine.set(object, c"tools", tools)?;
    let close = engine.function_sharing("close", method::close, context)?;
    environment.ownership.give(close, owned)?;
    engine.set(object, c"close", close)?;
    engine.set(object, c"backend", engine.text(backend.as_bytes())?)?;
    fallback::attach(engine, owned, object)?;
    Ok(object)
}
