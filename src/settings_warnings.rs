//! Warnings about what a store is made with: it works and is likely wrong. Given once for each server, like those of connections.

use idioteque_redis_core::config::{Options, Settings, Topology};
use idioteque_redis_core::error_texts::clients::replicas_are_read;
use idioteque_redis_core::error_texts::values::ttl_in_seconds;
use idioteque_redis_core::transport::Warning;

use crate::node_api::{Engine, Type, Value};

/// An expiry below this, in milliseconds, is likely to be meant in seconds.
const SHORT_TTL: u64 = 60_000;

const REPLICA_READS: &str = "IDIOTEQUE_REDIS_REPLICA_READS";

/// What is likely wrong with a store that connects with these settings.
pub fn of_settings(options: &Options, settings: &Settings) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(ttl) = options.ttl
        && ttl < SHORT_TTL
        && !settings.address.is_local()
    {
        warnings.push(Warning::new("IDIOTEQUE_REDIS_TTL", &settings.address, ttl_in_seconds(ttl)));
    }
    if matches!(&settings.topology, Topology::Upstash(upstash) if !upstash.read_your_writes) {
        let text = replicas_are_read("`readYourWrites` is false");
        warnings.push(Warning::new(REPLICA_READS, &settings.address, text));
    }
    warnings
}

/// What is likely wrong with a store over the methods of a client that is set to read from replicas.
pub fn of_replica_reads(setting: &str) -> Warning {
    Warning::about(REPLICA_READS, setting.to_owned(), replicas_are_read(setting))
}

/// Passes on what has not been said before. `emit` is `emitWarning(message, code)` of `index.js`.
pub fn give(engine: Engine, emit: Value, warnings: Vec<Warning>) {
    for warning in warnings.into_iter().filter(Warning::is_first) {
        let texts = [&warning.message, warning.code].map(|text| engine.text(text.as_bytes()));
        if let [Ok(message), Ok(code)] = texts
            && engine.type_of(emit) == Type::Function
        {
            // A warning must not keep a store from being made.
            let _ = engine.call(emit, engine.undefined(), &[message, code]);
        }
    }
}
