//! What an object has: its methods, its own properties, and those of its prototypes.

use crate::node_api::{Engine, Thrown, Type, Value};
use idioteque_redis_core::error_texts::clients as texts;

/// The longest chain of prototypes that is looked through; those of real clients have five at most.
pub(super) const MAX_PROTOTYPES: usize = 16;

/// Whether `object[name]` is a function.
pub fn has_method(engine: Engine, object: Value, name: &str) -> Result<bool, Thrown> {
    let member = engine.get_by(object, engine.text(name.as_bytes())?)?;
    Ok(engine.type_of(member) == Type::Function)
}

/// Whether `object[name]` is an object.
pub(super) fn has_object(engine: Engine, object: Value, name: &str) -> Result<bool, Thrown> {
    let member = engine.get_by(object, engine.text(name.as_bytes())?)?;
    Ok(engine.type_of(member) == Type::Object)
}

/// Whether the object itself, not its prototypes, has all these properties.
pub(super) fn owns_all(engine: Engine, object: Value, names: &[&str]) -> bool {
    names.iter().all(|name| engine.has_own(object, name))
}

/// The nearest prototype that owns any of these properties.
pub(super) fn nearest_owner(engine: Engine, object: Value, names: &[&str]) -> Result<Option<Value>, Thrown> {
    let mut prototype = engine.prototype(object)?;
    for _ in 0..MAX_PROTOTYPES {
        if engine.type_of(prototype) != Type::Object {
            break;
        }
        if names.iter().any(|name| engine.has_own(prototype, name)) {
            return Ok(Some(prototype));
        }
        prototype = engine.prototype(prototype)?;
    }
    Ok(None)
}

/// Which of the methods the store calls have been replaced, by a spy or by a class of the caller's own, so that the
/// client is to be called. `witness` is a method that only the client's own class has beside them.
pub(super) fn replaced(
    engine: Engine,
    client: Value,
    methods: &[&str],
    witness: &str,
) -> Result<Option<String>, Thrown> {
    if let Some(name) = methods.iter().find(|name| engine.has_own(client, name)) {
        return Ok(Some(texts::method_replaced(name)));
    }
    let intact = match nearest_owner(engine, client, methods)? {
        Some(owner) => owns_all(engine, owner, methods) && engine.has_own(owner, witness),
        None => false,
    };
    Ok((!intact).then(|| texts::METHODS_REPLACED.into()))
}

/// Which of the methods by which a client connects and sends has been replaced: what does so may choose the server, the login or
/// the command anew each time. They are those of the client's own class, the only one that has `witness` beside them.
pub(super) fn works_otherwise(engine: Engine, client: Value, witness: &str) -> Result<Option<String>, Thrown> {
    for method in ["sendCommand", "connect"] {
        let owner = match engine.has_own(client, method) {
            true => None,
            false => nearest_owner(engine, client, &[method])?,
        };
        if owner.is_none_or(|owner| !engine.has_own(owner, witness)) {
            return Ok(Some(texts::method_replaced(method)));
        }
    }
    Ok(None)
}
