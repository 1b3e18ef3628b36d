//! Upstash's `Redis` and Vercel KV, which reach Redis over HTTP. By default they are proxies.

use idioteque_redis_core::config::{Input, Settings, upstash};
use idioteque_redis_core::error_texts::clients as texts;

use super::shape::{has_method, owns_all};
use crate::js_values::{read_keys, read_map};
use crate::node_api::{Engine, Thrown, Type, Value};

/// What the HTTP client inside owns, unless it is a requester of the caller's own.
const HTTP_CLIENT: [&str; 4] = ["baseUrl", "headers", "options", "retry"];
/// The headers that it sends by itself.
const HEADERS: [&str; 4] = ["authorization", "content-type", "upstash-encoding", "upstash-sync-token"];
/// And how others begin, which only count clients.
const TELEMETRY: &str = "upstash-telemetry-";
/// Options that change how a request is sent.
const OPTIONS: [&str; 3] = ["agent", "backend", "signal"];
/// How often a client tries again by default.
const ATTEMPTS: f64 = 5.0;
/// What is in the text of the function by which it then waits longer each time.
const BACKOFF: &str = "Math.exp(";

/// Whether the object is an Upstash client.
pub fn is_client(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    let requester = engine.get(redis, c"client")?;
    if engine.type_of(requester) != Type::Object || !has_method(engine, requester, "request")? {
        return Ok(false);
    }
    Ok(owns_all(engine, requester, &HTTP_CLIENT)
        || (has_method(engine, redis, "use")? && has_method(engine, redis, "addTelemetry")?))
}

/// Whether the client's own requests may not see what those before them wrote.
pub fn is_stale(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    let requester = engine.get(redis, c"client")?;
    Ok(engine.to_bool(engine.get(requester, c"readYourWrites")?) == Some(false))
}

/// Whether the object is a pipeline or transaction.
pub fn is_transaction(engine: Engine, redis: Value) -> bool {
    owns_all(engine, redis, &["commands", "multiExec"])
}

/// What the client is set to, or why its requests cannot be ours.
pub fn settings(engine: Engine, redis: Value) -> Result<Result<Settings, String>, Thrown> {
    let requester = engine.get(redis, c"client")?;
    if !owns_all(engine, requester, &HTTP_CLIENT) {
        return Ok(Err(texts::OWN_REQUESTER.into()));
    }
    if engine.has_own(requester, "request") || !engine.has_own(engine.prototype(requester)?, "request") {
        return Ok(Err(texts::MIDDLEWARE.into()));
    }
    for (option, value) in read_keys(engine, engine.get(requester, c"options")?, &OPTIONS, 1)? {
        if !matches!(value, Input::Null | Input::Bool(false)) {
            return Ok(Err(texts::option_changes_requests(option)));
        }
    }
    if !tries_as_usual(engine, engine.get(requester, c"retry")?)? {
        return Ok(Err(texts::RETRY_CHANGED.into()));
    }
    let mut token = None;
    for (name, value) in read_map(engine, engine.get(requester, c"headers")?, 1)? {
        let lower = name.to_ascii_lowercase();
        match value {
            Input::Text(text) if lower == "authorization" => token = text.strip_prefix("Bearer ").map(str::to_owned),
            _ if HEADERS.contains(&lower.as_str()) || lower.starts_with(TELEMETRY) => {}
            _ => return Ok(Err(texts::header_of_its_own(name))),
        }
    }
    let Some(token) = token else { return Ok(Err(texts::NO_TOKEN.into())) };
    let url = engine.string(engine.get(requester, c"baseUrl")?).unwrap_or_default();
    // Whatever the client is set to for its other uses: the store has to see what it wrote.
    let settings = upstash::settings(&url, "its `url`", &token, "its `token`", true);
    Ok(settings.map_err(|error| error.message))
}

/// Whether requests are tried again as often as they are by default. The function that waits is not called, but read.
fn tries_as_usual(engine: Engine, retry: Value) -> Result<bool, Thrown> {
    let backoff = engine.get(retry, c"backoff")?;
    if engine.to_f64(engine.get(retry, c"attempts")?) != Some(ATTEMPTS) || engine.type_of(backoff) != Type::Function {
        return Ok(false);
    }
    let text = engine.call(engine.get(backoff, c"toString")?, backoff, &[])?;
    Ok(engine.string(text).is_some_and(|text| text.contains(BACKOFF)))
}
