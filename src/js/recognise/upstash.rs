//! Upstash's `Redis` and Vercel KV, which speak to Redis over HTTP. By default they are proxies.

use super::{has_method, owns_all};
use crate::js::engine::{Engine, Thrown, Type, Value};

/// What the HTTP client inside owns.
const HTTP_CLIENT: [&str; 4] = ["baseUrl", "headers", "options", "retry"];

/// Whether the object is an Upstash client: with its own HTTP client inside, or with a requester of the caller's making,
/// of which only `request` is known; then the methods of the class have to tell.
pub fn is_client(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    let http = engine.get(redis, c"client")?;
    Ok(engine.type_of(http) == Type::Object
        && has_method(engine, http, "request")?
        && (owns_all(engine, http, &HTTP_CLIENT)
            || (has_method(engine, redis, "createScript")? && has_method(engine, redis, "hset")?)))
}

/// Whether the object is a pipeline or transaction.
pub fn is_transaction(engine: Engine, redis: Value) -> bool {
    owns_all(engine, redis, &["commands", "multiExec"])
}
