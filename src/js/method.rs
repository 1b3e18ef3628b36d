//! What happens when JavaScript calls one of the store's functions: arguments in, promise out, the call queued.

use std::rc::Rc;
use std::sync::Arc;

use napi::sys;

use super::engine::{Callback, Engine, Thrown, Type, Value};
use super::store_object::Store;
use super::{error, settle};
use idioteque_redis_core::link::{Link, Request};
use idioteque_redis_core::store::{Ahead, Call, Kind};

/// A scratch buffer larger than this is given away with its call instead of being copied and kept.
const MOST_SCRATCH: usize = 64 * 1024;

/// The function behind one of the eight methods.
pub fn callback(kind: Kind) -> Callback {
    macro_rules! entry {
        ($kind:ident) => {{
            /// # Safety
            /// Called by N-API as a function made with a share of a store.
            unsafe extern "C" fn entry(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
                // SAFETY: see above.
                unsafe { Engine::enter(env, info, |_, store, arguments| store_call(store, Kind::$kind, arguments)) }
            }
            entry
        }};
    }
    match kind {
        Kind::BeginExecution => entry!(BeginExecution),
        Kind::IsExecutionInProgress => entry!(IsExecutionInProgress),
        Kind::BeginTask => entry!(BeginTask),
        Kind::IsTaskInProgress => entry!(IsTaskInProgress),
        Kind::CommitResult => entry!(CommitResult),
        Kind::GetResult => entry!(GetResult),
        Kind::GetResults => entry!(GetResults),
        Kind::Dispose => entry!(Dispose),
    }
}

/// `close()`
///
/// # Safety
/// Called by N-API as a function made with a share of a store.
pub unsafe extern "C" fn close(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, store: &Rc<Store>, _| {
            let (deferred, promise) = engine.promise()?;
            store.close(deferred);
            Ok(promise)
        })
    }
}

/// One of the eight calls. Throws only where not even a promise can be made.
fn store_call(store: &Rc<Store>, kind: Kind, [id, task, value]: [Value; 3]) -> Result<Value, Thrown> {
    let engine = store.environment.engine;
    // First, because it may run the caller's code (`toJSON`), and everything after it must not be interrupted.
    let json = if kind == Kind::CommitResult { Some(store.realm.stringify(value)) } else { None };
    let (deferred, promise) = engine.promise()?;
    match prepare(store, kind, id, task, json) {
        Err(error) => engine.settle(deferred, Err(error)),
        Ok(Prepared::Known(value)) => engine.settle(deferred, Ok(value)),
        Ok(Prepared::ToSend(call, link)) => {
            let environment = &store.environment;
            store.call_begun(call.size());
            let token = environment.begin_call(deferred, store.clone(), &call);
            environment.outbox.send(engine, link, Request::new(call, token, environment.mailbox.clone()));
        }
    }
    Ok(promise)
}

/// A call whose arguments are good.
enum Prepared {
    /// The answer is known already.
    Known(Value),
    /// Redis has to be asked.
    ToSend(Call, Arc<Link>),
}

/// Checks the arguments and makes the call of them, or the error to reject with.
fn prepare(
    store: &Rc<Store>,
    kind: Kind,
    id: Value,
    task: Value,
    json: Option<Result<Value, Thrown>>,
) -> Result<Prepared, Value> {
    let environment = &store.environment;
    let engine = environment.engine;
    // Taken, not borrowed: making an error may run the caller's code, which may call the store again.
    let mut text = environment.scratch.take();
    text.clear();
    append_id(engine, "executionId", id, &mut text)?;
    let id_end = text.len();
    if kind.has_task() {
        append_id(engine, "taskId", task, &mut text)?;
    }
    let task_end = text.len();
    let (style, link) = match store.admit(kind) {
        Ok(admitted) => admitted,
        Err((style, error)) => {
            let call = Call::new(kind, style, text, id_end, task_end);
            return Err(error::store_error(&store.realm, &error, Some(&call)));
        }
    };
    let (id_bytes, task_bytes) = (&text[..id_end], &text[id_end..]);
    if kind.writes() {
        environment.turn.forget(id_bytes);
    } else if let Some(answer) = environment.turn.answer(store, kind, id_bytes, task_bytes) {
        if let Some(value) = settle::plain(engine, &answer) {
            environment.scratch.replace(text);
            return Ok(Prepared::Known(value));
        }
        let call = Call::new(kind, style, text, id_end, task_end);
        return settle::value_of(&store.realm, &call, answer).map(Prepared::Known);
    } else {
        environment.turn.missed(store, kind, id_bytes);
    }
    match json {
        None => {}
        Some(Ok(json)) if engine.append_text(json, &mut text) => {}
        Some(json) => {
            let call = Call::new(kind, style, text, id_end, task_end);
            return Err(error::unserialisable(&store.realm, json.err(), &call));
        }
    }
    if let Err(error) = store.make_room(kind, text.len()) {
        let call = Call::new(kind, style, text, id_end, task_end);
        return Err(error::store_error(&store.realm, &error, Some(&call)));
    }
    let own = if text.len() > MOST_SCRATCH {
        text
    } else {
        let own = text.as_slice().to_vec();
        environment.scratch.replace(text);
        own
    };
    let call = Call::new(kind, style, own, id_end, task_end);
    let beside = environment.turn.is_beside(kind, call.id());
    let ahead = if beside { Ahead::Nothing } else { store.ahead(kind) };
    Ok(Prepared::ToSend(call.carrying(ahead), link))
}

/// Appends an id, or makes the error for what is none.
fn append_id(engine: Engine, name: &str, value: Value, text: &mut Vec<u8>) -> Result<(), Value> {
    let start = text.len();
    let code = match engine.append_text(value, text) {
        true if text.len() > start => return Ok(()),
        true => "ERR_INVALID_ARG_VALUE",
        false => "ERR_INVALID_ARG_TYPE",
    };
    let received = match engine.type_of(value) {
        Type::Text => "an empty string",
        Type::Undefined => "undefined",
        Type::Null => "null",
        Type::Boolean => "boolean",
        Type::Number => "number",
        Type::Symbol => "symbol",
        Type::Function => "function",
        Type::BigInt => "bigint",
        Type::Object | Type::Other => "object",
    };
    let message = format!("The \"{name}\" argument must be a non-empty string. Received {received}");
    Err(engine.argument_error(false, code, &message).unwrap_or_else(|thrown| thrown.0))
}
