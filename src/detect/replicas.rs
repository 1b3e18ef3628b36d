//! Clients that read from replicas. What a store has just written may not be there yet: an execution that has begun would pass
//! for one that has not. A native connection reads from the primary whatever a client is set to; through its own methods there
//! is no way around the setting.

use super::upstash;
use crate::node_api::{Engine, Thrown, Type, Value};

/// The setting by which an ioredis or iovalkey instance reads from a replica.
pub fn of_ioredis(engine: Engine, redis: Value) -> Result<Option<String>, Thrown> {
    let options = engine.get(redis, c"options")?;
    let sentinels = engine.type_of(engine.get(options, c"sentinels")?);
    // Without sentinels there is nothing to choose between.
    if matches!(sentinels, Type::Undefined | Type::Null) {
        return Ok(None);
    }
    Ok(text_other_than(engine, engine.get(options, c"role")?, "master").map(|role| format!("`role` is \"{role}\"")))
}

/// The setting by which a cluster of ioredis or iovalkey reads from replicas.
pub fn of_ioredis_cluster(engine: Engine, cluster: Value) -> Result<Option<String>, Thrown> {
    let scale_reads = engine.get(engine.get(cluster, c"options")?, c"scaleReads")?;
    Ok(match engine.type_of(scale_reads) {
        Type::Function => Some("`scaleReads` is a function".into()),
        _ => text_other_than(engine, scale_reads, "master").map(|kind| format!("`scaleReads` is \"{kind}\"")),
    })
}

/// The setting by which a client of valkey-glide reads from replicas.
pub fn of_glide(engine: Engine, redis: Value) -> Result<Option<String>, Thrown> {
    let read_from = engine.get(engine.get(redis, c"config")?, c"readFrom")?;
    Ok(text_other_than(engine, read_from, "primary").map(|from| format!("`readFrom` is \"{from}\"")))
}

/// The setting by which a client of Upstash may read from a region that has not got the last write yet.
pub fn of_upstash(engine: Engine, redis: Value) -> Result<Option<String>, Thrown> {
    Ok(upstash::is_stale(engine, redis)?.then(|| "`readYourWrites` is false".into()))
}

fn text_other_than(engine: Engine, value: Value, usual: &str) -> Option<String> {
    engine.string(value).filter(|text| !text.is_empty() && text != usual)
}
