//! What the admin API asks the servers through: an object made of the same arguments as a store, whose functions name the
//! servers and send commands to one of them. What the replies mean is in `lib/admin`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use idioteque_redis_core::config::options::Options;
use idioteque_redis_core::error::StoreError;
use idioteque_redis_core::store::ErrorReply;
use idioteque_redis_core::transport::{Answer, Command, Console, Done, Node, Reply};
use napi::sys;

use crate::environment::Environment;
use crate::error;
use crate::js_builtins::JsBuiltins;
use crate::native_store::{NativeStore, Origin};
use crate::node_api::{Engine, Thrown, Value};

/// What the functions of a console share.
struct ConsoleContext {
    environment: Rc<Environment>,
    /// Has the settings; is never connected.
    store: Rc<NativeStore>,
    console: Arc<Console>,
}

/// Makes the object. `owned` has the values that the console uses: each of its functions keeps them alive.
///
/// - `nodes()`: the servers that have keys, as `{ name, slots }`
/// - `send(node, commands, timeout)`: one reply for each command, or `{ refusal }` in its place
/// - `close()`: closes the connections
/// - `backend`, `keyPrefix`, `hashTags`, `ttl`, `commandTimeout`: the settings that were found
/// - `leases`, `guards`, `claims`: whether there are `inProgressTtl`, `orphanTtl`, `claim`
pub fn create(
    environment: Rc<Environment>,
    realm: JsBuiltins,
    owned: Value,
    origin: Origin,
    options: Options,
) -> Result<Value, Thrown> {
    let engine = environment.engine();
    let backend = origin.backend();
    let (owner, completions) = (environment.handle.refer(owned)?, environment.completions.clone());
    let store = Rc::new(NativeStore::new(realm, owner, completions, origin, options.clone()));
    let target = store.target().map_err(|error| Thrown(error::store_error(&store.realm, &error, None)))?;
    let object = engine.object()?;
    let set = |name, value| engine.set(object, name, value);
    set(c"backend", engine.text(backend.as_bytes())?)?;
    set(c"keyPrefix", engine.text(options.key_prefix_or(&target.settings.key_prefix).as_bytes())?)?;
    set(c"hashTags", engine.boolean(options.hash_tags))?;
    set(c"ttl", options.ttl.map_or(engine.undefined(), |ttl| engine.number(ttl as f64)))?;
    set(c"leases", engine.boolean(options.in_progress_ttl.is_some()))?;
    set(c"guards", engine.boolean(options.orphan_ttl.is_some()))?;
    set(c"claims", engine.boolean(options.claims))?;
    set(c"commandTimeout", engine.number(target.command_timeout.as_millis() as f64))?;
    set(c"encrypted", engine.boolean(target.settings.is_encrypted()))?;
    let context = Rc::new(ConsoleContext { environment: environment.clone(), store, console: Console::new() });
    let functions = [(c"nodes", nodes as _), (c"send", send as _), (c"close", close as _)];
    for (name, callback) in functions {
        let function = engine.function_sharing(&name.to_string_lossy(), callback, context.clone())?;
        environment.ownership.give(function, owned)?;
        set(name, function)?;
    }
    Ok(object)
}

impl ConsoleContext {
    /// A promise, and what is told when there is an answer.
    fn ask(&self) -> Result<(Done, Value), Thrown> {
        let (deferred, promise) = self.environment.engine().promise()?;
        let token = self.environment.begin_question(deferred, self.store.clone());
        let completions = self.environment.completions.clone();
        Ok((Done::new(move |outcome| completions.answer((token, outcome))), promise))
    }
}

/// `nodes()`
///
/// # Safety
/// Called by N-API as a function made with a share of a console context.
unsafe extern "C" fn nodes(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |_, context: &Rc<ConsoleContext>, _| {
            let (done, promise) = context.ask()?;
            match context.store.target() {
                Ok(target) => context.console.nodes(target, done),
                Err(error) => done.finish(Err(error)),
            }
            Ok(promise)
        })
    }
}

/// `send(node, commands, timeout)`
///
/// # Safety
/// Called by N-API as a function made with a share of a console context.
unsafe extern "C" fn send(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, context: &Rc<ConsoleContext>, [node, commands, timeout, ..]| {
            let node = engine.string(node).unwrap_or_default();
            let commands = read_commands(engine, commands)?;
            let limit = engine.to_f64(timeout).filter(|ms| *ms > 0.0).map(|ms| Duration::from_millis(ms as u64));
            let (done, promise) = context.ask()?;
            match context.store.target() {
                Ok(target) => context.console.send(target, &node, commands, limit, done),
                Err(error) => done.finish(Err(error)),
            }
            Ok(promise)
        })
    }
}

/// `close()`
///
/// # Safety
/// Called by N-API as a function made with a share of a console context.
unsafe extern "C" fn close(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: see above.
    unsafe {
        Engine::enter(env, info, |engine, context: &Rc<ConsoleContext>, _| {
            context.console.close();
            Ok(engine.undefined())
        })
    }
}

/// Reads lists of strings.
fn read_commands(engine: Engine, commands: Value) -> Result<Vec<Command>, Thrown> {
    let mut read = Vec::new();
    for command in engine.items(commands)? {
        let mut arguments = Vec::new();
        for argument in engine.items(command)? {
            let mut bytes = Vec::new();
            if !engine.append_text(argument, &mut bytes) {
                return Err(Thrown(engine.plain_error("an argument of a command is not a string")));
            }
            bytes.shrink_to_fit();
            arguments.push(bytes);
        }
        read.push(arguments);
    }
    Ok(read)
}

/// Settles the promise of a question.
pub fn settle(environment: &Environment, token: u32, outcome: Result<Answer, StoreError>) {
    let Some((deferred, store)) = environment.end_question(token) else { return };
    let engine = environment.engine();
    let outcome = match outcome {
        Ok(Answer::Nodes(nodes)) => engine.array(&nodes, |node| node_value(engine, node)).map_err(|thrown| thrown.0),
        Ok(Answer::Replies(replies)) => {
            engine.array(&replies, |reply| reply_value(engine, reply)).map_err(|thrown| thrown.0)
        }
        Err(error) => Err(error::store_error(&store.realm, &error, None)),
    };
    engine.settle(deferred, outcome);
}

fn node_value(engine: Engine, node: &Node) -> Result<Value, Thrown> {
    let object = engine.object()?;
    engine.set(object, c"name", engine.text(node.name.as_bytes())?)?;
    let range = |(first, last): &(u16, u16)| engine.array(&[*first, *last], |slot| Ok(engine.number((*slot).into())));
    engine.set(object, c"slots", engine.array(&node.slots, range)?)?;
    Ok(object)
}

/// A reply as JavaScript has it: texts, numbers, `null`, arrays, and `{ refusal }` for an error.
fn reply_value(engine: Engine, reply: &Reply) -> Result<Value, Thrown> {
    match reply {
        Reply::Nil => Ok(engine.null()),
        Reply::Int(number) => Ok(engine.number(*number as f64)),
        Reply::Double(number) => Ok(engine.number(*number)),
        Reply::Boolean(flag) => Ok(engine.boolean(*flag)),
        Reply::BulkString(bytes) => engine.text(bytes),
        Reply::SimpleString(text) => engine.text(text.as_bytes()),
        Reply::Okay => engine.text(b"OK"),
        Reply::Array(items) => engine.array(items, |item| reply_value(engine, item)),
        Reply::ServerError(error) => {
            let ErrorReply { code, detail } = ErrorReply::new(error);
            let object = engine.object()?;
            engine.set(object, c"refusal", engine.text(format!("{code} {detail}").trim_end().as_bytes())?)?;
            Ok(object)
        }
        // No command that is sent is answered with anything else in RESP2.
        _ => Ok(engine.undefined()),
    }
}
