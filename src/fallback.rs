//! What a store does whose native connection turns out to be impossible, when it was made from a live client: that client's own
//! methods carry its calls from then on. Nothing of a call has been sent then.

use idioteque_redis_core::config::Address;
use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::error_texts::connections as texts;
use idioteque_redis_core::store::{Call, Operation};
use idioteque_redis_core::transport::Warning;

use crate::node_api::{Engine, Reference, Thrown, Type, Value};

/// Notes in `owned`, which a store keeps alive, what it can fall back on: `client` and what a store over its methods is opened with.
pub fn prepare(engine: Engine, owned: Value, client: Value, settings: Value) -> Result<(), Thrown> {
    engine.set(owned, c"ownClient", client)?;
    engine.set(owned, c"ownSettings", settings)
}

/// Notes the store's functions as index.js has them, whose `backend` changes then, and which get the `carrier`.
pub fn attach(engine: Engine, owned: Value, store: Value) -> Result<(), Thrown> {
    match engine.type_of(engine.get(owned, c"ownSettings")?) {
        Type::Undefined => Ok(()),
        _ => engine.set(owned, c"storeObject", store),
    }
}

/// The store over the client's own methods, if there is one by now.
pub fn carrier(engine: Engine, owned: &Reference) -> Option<Value> {
    let carrier = engine.get(owned.get()?, c"carrier").ok()?;
    (engine.type_of(carrier) == Type::Object).then_some(carrier)
}

/// Opens the store over the client's own methods; `None` where there is nothing to fall back on.
pub fn open(engine: Engine, owned: &Reference) -> Option<Value> {
    if let Some(carrier) = carrier(engine, owned) {
        return Some(carrier);
    }
    let owned = owned.get()?;
    let open = || -> Result<Option<Value>, Thrown> {
        let settings = engine.get(owned, c"ownSettings")?;
        if engine.type_of(settings) != Type::Object {
            return Ok(None);
        }
        let open = engine.get(engine.get(owned, c"helpers")?, c"openCarrier")?;
        let carrier = engine.call(open, engine.undefined(), &[engine.get(owned, c"ownClient")?, settings])?;
        engine.set(owned, c"carrier", carrier)?;
        let natives = engine.get(owned, c"storeObject")?;
        engine.set(natives, c"backend", engine.get(carrier, c"backend")?)?;
        engine.set(natives, c"carrier", carrier)?;
        Ok(Some(carrier))
    };
    open().unwrap_or(None)
}

/// Says that the store is slower than it could be, and why.
pub fn warn(engine: Engine, owned: &Reference, address: &Address, why: &StoreError) {
    // Without the advice, which is not needed any more.
    let reason = why.message.split(": ").next().unwrap_or_default();
    let warning = Warning::new("IDIOTEQUE_REDIS_CLIENT", address, texts::carried_by_client(reason));
    let emit = || -> Result<(), Thrown> {
        let Some(owned) = owned.get() else { return Ok(()) };
        let emit = engine.get(engine.get(owned, c"helpers")?, c"emitWarning")?;
        let texts = [engine.text(warning.message.as_bytes())?, engine.text(warning.code.as_bytes())?];
        engine.call(emit, engine.undefined(), &texts).map(drop)
    };
    if warning.is_first() {
        let _ = emit();
    }
}

/// Makes a call on a store over a client's own methods. Returns its promise.
pub fn call(engine: Engine, carrier: Value, kind: Operation, arguments: &[Value]) -> Result<Value, Thrown> {
    let method = engine.get_by(carrier, engine.text(kind.name().as_bytes())?)?;
    engine.call(method, carrier, arguments)
}

/// The arguments that a call was made with; `parse` makes a value of JSON.
pub fn arguments(
    engine: Engine,
    call: &Call,
    parse: impl FnOnce(&[u8]) -> Result<Value, Thrown>,
) -> Result<Vec<Value>, Thrown> {
    let mut arguments = vec![engine.text(call.id())?];
    if !call.task().is_empty() {
        arguments.push(engine.text(call.task())?);
    }
    if call.operation == Operation::CommitResult {
        arguments.push(parse(call.value())?);
    }
    Ok(arguments)
}
