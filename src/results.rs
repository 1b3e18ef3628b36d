//! Answers as JavaScript values: stored results are parsed as JSON, in the realm of their store.

use std::mem;

use idioteque_redis_core::store::answer::{Results, SplicedResults};
use idioteque_redis_core::store::{Answer, Call};

use crate::error;
use crate::js_builtins::JsBuiltins;
use crate::node_api::{Engine, Kept, Thrown, Value};

/// What a promise is settled with: the answer, or the error when a stored result is not JSON.
pub fn value_of(realm: &JsBuiltins, call: &Call, answer: Answer) -> Result<Value, Value> {
    match answer {
        Answer::Value(Some(json)) => {
            realm.parse(&json).map_err(|thrown| error::unparsable(realm, call, call.task(), &json, thrown))
        }
        Answer::Results(results) => table(realm, results).map_err(|broken| unparsable(realm, call, broken)),
        plain => Ok(self::plain(realm.engine(), &plain).unwrap_or_else(|| realm.engine().undefined())),
    }
}

/// The answer as it is, if it needs no parsing.
pub fn plain(engine: Engine, answer: &Answer) -> Option<Value> {
    match answer {
        Answer::Nothing | Answer::Value(None) => Some(engine.undefined()),
        Answer::Flag(flag) => Some(engine.boolean(*flag)),
        Answer::Value(Some(_)) | Answer::Results(_) => None,
    }
}

/// Parses the next of several texts of results into a table, which the first text makes. What it throws is the error for the
/// caller.
pub fn parse_next(
    realm: &JsBuiltins,
    call: &Call,
    results: &mut SplicedResults,
    table: Option<Kept>,
) -> Result<Kept, Value> {
    let parsed = match table {
        None => begin_table(realm, mem::take(&mut results.object))
            .and_then(|table| realm.keep(table).map_err(|thrown| (Vec::new(), Vec::new(), thrown))),
        Some(table) => {
            let array = results.arrays.pop_front();
            array.map_or(Ok(()), |array| add_to_table(realm, table.value(), array)).map(|()| table)
        }
    };
    parsed.map_err(|broken| unparsable(realm, call, broken))
}

fn unparsable(realm: &JsBuiltins, call: &Call, (task, json, thrown): Unparsable) -> Value {
    error::unparsable(realm, call, &task, &json, thrown)
}

type Unparsable = (Vec<u8>, Vec<u8>, Thrown);

/// The results as an object without prototype: a task may be called `constructor` or `__proto__`.
fn table(realm: &JsBuiltins, results: Results) -> Result<Value, Unparsable> {
    match results {
        Results::Unchecked(unchecked) => table(realm, unchecked.checked()),
        Results::Entries(entries) => table_of(realm, entries),
        Results::Spliced(SplicedResults { object, arrays }) => {
            let table = begin_table(realm, object)?;
            for array in arrays {
                add_to_table(realm, table, array)?;
            }
            Ok(table)
        }
    }
}

fn begin_table(realm: &JsBuiltins, json: Vec<u8>) -> Result<Value, Unparsable> {
    // What every execution begins with. To parse it would be one more call into JavaScript.
    let table = if json == b"{}" { realm.engine().object() } else { realm.parse(&json) };
    let made = table.and_then(|table| {
        realm.without_prototype(table)?;
        Ok(table)
    });
    made.map_err(|thrown| (Vec::new(), json, thrown))
}

/// Adds the names and values of an array, which the table has not.
fn add_to_table(realm: &JsBuiltins, table: Value, json: Vec<u8>) -> Result<(), Unparsable> {
    let added = realm.parse(&json).and_then(|entries| realm.add_entries(table, entries));
    added.map_err(|thrown| (Vec::new(), json, thrown))
}

fn table_of(realm: &JsBuiltins, entries: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Value, Unparsable> {
    let engine = realm.engine();
    let broken = |thrown| (Vec::new(), Vec::new(), thrown);
    let table = engine.object().map_err(broken)?;
    // Before any property is set, so that `__proto__` is a name like any other.
    realm.without_prototype(table).map_err(broken)?;
    for (task, json) in entries {
        let value = match realm.parse(&json) {
            Ok(value) => value,
            Err(thrown) => return Err((task, json, thrown)),
        };
        let name = engine.text(&task).map_err(broken)?;
        engine.set_by(table, name, value).map_err(broken)?;
    }
    Ok(table)
}
