//! Reads JavaScript values as configuration.

use idioteque_redis_core::config::Input;

use crate::node_api::{Engine, Thrown, Type, Value};

/// How deep a configuration object is read; the deepest setting of any client is at three.
pub const MAX_DEPTH: usize = 6;

/// Reads a value, objects down to `depth`.
pub fn read(engine: Engine, value: Value, depth: usize) -> Result<Input, Thrown> {
    Ok(match engine.type_of(value) {
        Type::Null => Input::Null,
        Type::Boolean => Input::Bool(engine.to_bool(value).unwrap_or_default()),
        Type::Number => Input::Number(engine.to_f64(value).unwrap_or(f64::NAN)),
        Type::Text => Input::Text(engine.string(value).unwrap_or_default()),
        Type::Function => Input::Function,
        Type::Undefined => Input::Other("undefined".into()),
        Type::Symbol => Input::Other("a symbol".into()),
        Type::BigInt => Input::Other("a bigint".into()),
        Type::Other => Input::Other("a value of another kind".into()),
        Type::Object if let Some(bytes) = engine.bytes(value) => Input::Bytes(bytes),
        Type::Object if depth == 0 => Input::Other("an object".into()),
        Type::Object if engine.is_array(value) => {
            let items = engine.items(value)?.into_iter().map(|item| read(engine, item, depth - 1));
            Input::List(items.collect::<Result<_, _>>()?)
        }
        Type::Object => match class_name(engine, value)? {
            Some(name) => Input::Other(format!("an instance of {name}")),
            None => Input::Map(read_map(engine, value, depth)?),
        },
    })
}

/// Reads an object's own enumerable keys; those that are `undefined` are left out.
pub fn read_map(engine: Engine, object: Value, depth: usize) -> Result<Vec<(String, Input)>, Thrown> {
    let mut map = Vec::new();
    for key in engine.keys(object)? {
        let value = engine.get_by(object, key)?;
        if engine.type_of(value) != Type::Undefined {
            map.push((engine.string(key).unwrap_or_default(), read(engine, value, depth - 1)?));
        }
    }
    Ok(map)
}

/// Reads some keys of an object, as `object[key]` does; those that are `undefined` are left out.
pub fn read_keys(engine: Engine, object: Value, keys: &[&str], depth: usize) -> Result<Vec<(String, Input)>, Thrown> {
    let mut map = Vec::new();
    for key in keys {
        let value = engine.get_by(object, engine.text(key.as_bytes())?)?;
        if engine.type_of(value) != Type::Undefined {
            map.push(((*key).to_owned(), read(engine, value, depth - 1)?));
        }
    }
    Ok(map)
}

/// The class of an object, or `None` for a plain one, of whichever realm.
fn class_name(engine: Engine, object: Value) -> Result<Option<String>, Thrown> {
    let prototype = engine.prototype(object)?;
    if engine.type_of(prototype) != Type::Object || engine.type_of(engine.prototype(prototype)?) == Type::Null {
        return Ok(None);
    }
    let constructor = engine.get(prototype, c"constructor")?;
    let name = match engine.type_of(constructor) {
        Type::Function => engine.string(engine.get(constructor, c"name")?),
        _ => None,
    };
    Ok(Some(name.filter(|name| !name.is_empty()).unwrap_or_else(|| "an unnamed class".into())))
}
