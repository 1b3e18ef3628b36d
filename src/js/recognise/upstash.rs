//! Upstash's `Redis` and Vercel KV, which speak to Redis over HTTP. By default they are proxies.

use super::{has_method, owns_all};
use crate::js::engine::{Engine, Thrown, Type, Value};

/// What the HTTP client inside owns, unless it is a requester of the caller's own.
const HTTP_CLIENT: [&str; 4] = ["baseUrl", "headers", "options", "retry"];

/// Whether the object is an Upstash client.
pub fn is_client(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    let requester = engine.get(redis, c"client")?;
    if engine.type_of(requester) != Type::Object || !has_method(engine, requester, "request")? {
        return Ok(false);
    }
    Ok(owns_all(engine, requester, &HTTP_CLIENT)
        || (has_method(engine, redis, "use")? && has_method(engine, redis, "addTelemetry")?))
}

/// Whether the object is a pipeline or transaction.
pub fn is_transaction(engine: Engine, redis: Value) -> bool {
    owns_all(engine, redis, &["commands", "multiExec"])
}
