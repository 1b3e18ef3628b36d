//! What happens when JavaScript calls one of the store's functions: arguments in, promise out, the call queued.

use std::rc::Rc;
use std::sync::Arc;

use idioteque_redis_core::error_texts::calls as texts;
use idioteque_redis_core::store::prefetch_policy::Depth;
use idioteque_redis_core::store::{Call, ExecutionHash, Operation, Prefetch};
use idioteque_redis_core::transport::{Request, SharedConnection};
use napi::sys;

use crate::environment::Environment;
use crate::native_store::NativeStore;
use crate::node_api::{Callback, Engine, Thrown, Type, Value};
use crate::seen::TracedCall;
use crate::{error, results};

/// A scratch buffer larger than this is given away with its call instead of being copied and kept.
const MAX_SCRATCH: usize = 64 * 1024;

/// What the functions of a store share.
pub struct MethodContext {
    /// The environment of the store.
    pub environment: Rc<Environment>,
    /// The store.
    pub store: Rc<NativeStore>,
}

/// The function behind one of the methods that make a call.
pub fn callback(kind: Operation) -> Callback {
    macro_rules! entry {
        ($kind:ident) => {{
            /// # Safety
            /// Called by N-API as a function made with a share of a method context.
            unsafe extern "C" fn entry(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
                // SAFETY: see above.
                unsafe {
                    Engine::enter(env, info, |_, context: &Rc<MethodContext>, arguments| {
                        store_call(context, Operation::$kind, arguments)
                    })
                }
            }
            entry
        }};
    }
    match kind {
        Operation::BeginExecution => entry!(BeginExecution),
        Operation::IsExecutionInProgress => entry!(IsExecutionInProgress),
        Operation::BeginTask => entry!(BeginTask),
        Operation::IsTaskInProgress => entry!(IsTaskInProgress),
        Operation::CommitResult => entry!(CommitResult),
        Operation::GetResult => entry!(GetResult),
        Operation::GetResults => entry!(GetResults),
        Operation::Dispose => entry!(Dispose),
        Operation::Touch => entry!(Touch),
    }
}

/// `close()`
///
/// # Safety
/// Called by N-API as a function made with a share of a method context.
pub unsafe extern "C" fn close(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, context: &Rc<MethodContext>, _| {
            let (deferred, promise) = engine.promise()?;
            context.store.close(deferred, &context.environment);
            // The calls in flight are the client's then.
            match context.store.carrier() {
                Some(carrier) => engine.call(engine.get(carrier, c"close")?, carrier, &[]),
                None => Ok(promise),
            }
        })
    }
}

/// One call; `number` is there if it is traced. Throws only where not even a promise can be made.
fn store_call(
    context: &MethodContext,
    kind: Operation,
    [id, task, value, number]: [Value; 4],
) -> Result<Value, Thrown> {
    let MethodContext { environment, store } = context;
    let engine = environment.engine();
    let trace = engine.to_f64(number).map(|number| number as u32);
    if let Some(promise) = store.carried(kind, &[id, task, value]) {
        store.note_traced(trace, TracedCall::carried);
        return promise;
    }
    store.counts.call();
    // First, because it may run the caller's code (`toJSON`), and everything after it must not be interrupted.
    let json = match kind {
        Operation::CommitResult => Some(store.realm.stringify(value)),
        // The token of the claim, which `index.js` makes.
        Operation::BeginTask if store.claims() => Some(Ok(value)),
        _ => None,
    };
    let (deferred, promise) = engine.promise()?;
    match prepare(context, kind, id, task, json) {
        Err(error) => {
            store.counts.error();
            store.note_traced(trace, TracedCall::refused);
            engine.settle(deferred, Err(error));
        }
        Ok(Prepared::Known(value)) => {
            store.counts.read_ahead_hit();
            store.note_traced(trace, TracedCall::known);
            engine.settle(deferred, Ok(value));
        }
        Ok(Prepared::ToSend { call, execution, connection, beside }) => {
            store.call_begun(call.size());
            let token = environment.begin_call(deferred, store.clone(), (&call, execution), beside, trace);
            let request = Request::new(call, token, environment.completions.clone());
            environment.outbox.send(connection, request, environment.turn.is_watched());
        }
    }
    Ok(promise)
}

/// A call whose arguments are good.
enum Prepared {
    /// The answer is known already.
    Known(Value),
    /// Redis has to be asked.
    ToSend {
        call: Call,
        execution: ExecutionHash,
        connection: Arc<SharedConnection>,
        /// The call before it that could have carried this question, and whether one about the same execution was made just before it.
        beside: (Option<(Operation, Depth)>, bool),
    },
}

/// Checks the arguments and makes the call of them, or the error to reject with.
fn prepare(
    MethodContext { environment, store }: &MethodContext,
    kind: Operation,
    id: Value,
    task: Value,
    json: Option<Result<Value, Thrown>>,
) -> Result<Prepared, Value> {
    let engine = environment.engine();
    // Taken, not borrowed: making an error may run the caller's code, which may call the store again.
    let mut text = environment.scratch.take();
    text.clear();
    append_id(engine, "executionId", id, &mut text)?;
    let id_end = text.len();
    let is_about_task = match kind {
        // The task may be left out.
        Operation::Touch => !matches!(engine.type_of(task), Type::Undefined | Type::Null),
        _ => kind.has_task(),
    };
    if is_about_task {
        append_id(engine, "taskId", task, &mut text)?;
    }
    let task_end = text.len();
    let (key_options, connection) = match store.admit(kind, || environment.turn.end()) {
        Ok(admitted) => admitted,
        Err((key_options, error)) => {
            let call = Call::new(kind, key_options, text, id_end, task_end);
            return Err(error::store_error(&store.realm, &error, Some(&call)));
        }
    };
    let (id_bytes, task_bytes) = (&text[..id_end], &text[id_end..]);
    let execution = ExecutionHash::of(id_bytes);
    let mut behind = None;
    environment.turn.comes_to(store, kind, execution, task_bytes);
    if kind.writes() {
        if kind == Operation::Dispose {
            store.disposes();
        }
        match kind {
            Operation::BeginTask | Operation::CommitResult => environment.turn.forget_task(execution, task_bytes),
            _ => environment.turn.forget(execution),
        }
    } else if let Some(answer) = environment.turn.answer(store, kind, (id_bytes, execution), task_bytes) {
        if let Some(value) = results::plain(engine, &answer) {
            environment.scratch.replace(text);
            return Ok(Prepared::Known(value));
        }
        let call = Call::new(kind, key_options, text, id_end, task_end);
        return results::value_of(&store.realm, &call, answer).map(Prepared::Known);
    } else {
        behind = environment.turn.missed(store, kind, execution);
    }
    match json {
        None => {}
        Some(Ok(json)) if engine.append_text(json, &mut text) => {}
        Some(json) => {
            let call = Call::new(kind, key_options, text, id_end, task_end);
            return Err(error::unserialisable(&store.realm, json.err(), &call));
        }
    }
    if let Err(error) = store.make_room(kind, text.len()) {
        let call = Call::new(kind, key_options, text, id_end, task_end);
        return Err(error::store_error(&store.realm, &error, Some(&call)));
    }
    let own = if text.len() > MAX_SCRATCH {
        text
    } else {
        let own = text.as_slice().to_vec();
        environment.scratch.replace(text);
        own
    };
    let call = Call::new(kind, key_options, own, id_end, task_end);
    let before = environment.turn.beside(kind, execution);
    let prefetch = carried(environment, store, &call, (execution, before), &connection);
    let beside = (behind, before.is_some());
    Ok(Prepared::ToSend { call: call.prefetching(prefetch), execution, connection, beside })
}

/// What a call about to be sent carries along. Of several about an execution in one turn the last does, whose answer is the newest,
/// where their answers come together. Where they come one by one, each goes on with what it asked for before the last one's is there:
/// then the first question carries what it can use itself, and the last write what follows from all of them. `before` is the call
/// before it in this turn, if that is about the same execution.
fn carried(
    environment: &Environment,
    store: &NativeStore,
    call: &Call,
    (execution, before): (ExecutionHash, Option<Operation>),
    connection: &Arc<SharedConnection>,
) -> Prefetch {
    let kind = call.operation;
    let is_together = store.is_answered_together();
    let taken = match before {
        Some(before) if is_together || before.writes() && kind.writes() => {
            environment.outbox.take_prefetch(connection, call)
        }
        _ => None,
    };
    // What a script answers is not read together with anything else.
    if call.is_claim() || before.is_some() && !is_together && !kind.writes() {
        return Prefetch::Nothing;
    }
    let with_marks = is_together && taken.is_some_and(|(kind, prefetch)| prefetch.is_for_results(kind));
    store.prefetch(kind, Depth::of(call.task()), environment.turn.expects(execution), with_marks)
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
    let message = texts::wrong_id(name, received);
    Err(engine.argument_error(false, code, &message).unwrap_or_else(|thrown| thrown.0))
}
