//! Rust errors as JavaScript errors: the one converter.

use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::error_texts::calls as texts;
use idioteque_redis_core::store::Call;
use idioteque_redis_core::store::keys::Role;

use crate::js_builtins::JsBuiltins;
use crate::node_api::{Engine, Thrown, Type, Value};

/// How much of a stored value an error message quotes, in characters.
const MAX_QUOTED: usize = 200;

/// A `RedisStoreError`, with the ids of the call it belongs to.
pub fn store_error(realm: &JsBuiltins, error: &StoreError, call: Option<&Call>) -> Value {
    let cause = error.cause.as_deref().map(|cause| realm.engine().plain_error(cause));
    with_cause(realm, error, cause, call)
}

/// The `RedisStoreError` for a value that has no JSON form; `cause` is what `JSON.stringify` threw, if it did.
pub fn unserialisable(realm: &JsBuiltins, cause: Option<Thrown>, call: &Call) -> Value {
    let reason = match &cause {
        Some(thrown) => message_of(realm.engine(), thrown.0),
        None => texts::NO_JSON_FORM.into(),
    };
    let task = String::from_utf8_lossy(call.task());
    let error = texts::not_json(task, reason).error();
    with_cause(realm, &error, cause.map(|thrown| thrown.0), Some(call))
}

/// The `RedisStoreError` for a stored result that is not JSON, in the words of the TypeScript package.
pub fn unparsable(realm: &JsBuiltins, call: &Call, task: &[u8], json: &[u8], thrown: Thrown) -> Value {
    let key = String::from_utf8_lossy(&call.key(Role::Results).to_bytes()).into_owned();
    let field = String::from_utf8_lossy(task);
    let raw: String = String::from_utf8_lossy(json).chars().take(MAX_QUOTED).collect();
    let reason = message_of(realm.engine(), thrown.0);
    let error = texts::unparsable(key, field, reason, raw).error();
    build(realm, &error, Some(thrown.0), Some((call, task)))
}

fn with_cause(realm: &JsBuiltins, error: &StoreError, cause: Option<Value>, call: Option<&Call>) -> Value {
    build(realm, error, cause, call.map(|call| (call, call.task())))
}

/// `new RedisStoreError(message, { code, reply, cause, executionId, taskId, key })`
fn build(realm: &JsBuiltins, error: &StoreError, cause: Option<Value>, about: Option<(&Call, &[u8])>) -> Value {
    let engine = realm.engine();
    let make = || -> Result<Value, Thrown> {
        let details = engine.object()?;
        let text = |text: &str| engine.text(text.as_bytes());
        engine.set(details, c"code", text(error.code.as_str())?)?;
        if let Some(reply) = &error.reply {
            engine.set(details, c"reply", text(reply)?)?;
        }
        if let Some(cause) = cause {
            engine.set(details, c"cause", cause)?;
        }
        if let Some((call, task)) = about {
            engine.set(details, c"executionId", engine.text(call.id())?)?;
            engine.set(details, c"key", engine.text(&call.key(call.operation.role()).to_bytes())?)?;
            if !task.is_empty() {
                engine.set(details, c"taskId", engine.text(task)?)?;
            }
        }
        realm.error(&error.message, details)
    };
    make().unwrap_or_else(|_| engine.plain_error(&error.message))
}

/// A thrown value as text.
fn message_of(engine: Engine, thrown: Value) -> String {
    let message = match engine.type_of(thrown) {
        Type::Text => engine.string(thrown),
        Type::Object => engine.get(thrown, c"message").ok().and_then(|message| engine.string(message)),
        _ => None,
    };
    message.unwrap_or_else(|| texts::NOT_AN_ERROR.into())
}
