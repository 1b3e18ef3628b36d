//! valkey-glide, whose connection is its own native one and cannot be shared.

use super::shape::{has_object, owns_all};
use crate::node_api::{Engine, Thrown, Type, Value};

/// Whether the object is a glide client, standalone or cluster.
pub fn is_client(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    if !owns_all(engine, redis, &["config", "defaultDecoder", "inflightRequestsLimit"]) {
        return Ok(false);
    }
    let config = engine.get(redis, c"config")?;
    Ok(engine.type_of(config) == Type::Object && has_object(engine, config, "addresses")?)
}

/// Whether the client has been closed for good.
pub fn is_closed(engine: Engine, redis: Value) -> Result<bool, Thrown> {
    Ok(engine.to_bool(engine.get(redis, c"isClosed")?) == Some(true))
}

/// Whether the object is a batch or transaction.
pub fn is_transaction(engine: Engine, redis: Value) -> bool {
    owns_all(engine, redis, &["isAtomic", "commands", "setCommandsIndexes"])
}
