//! What servers answer: no reply is taken for more than it says, and no stored value changes another one's place.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use idioteque_redis_core::store::answer::{Entry, Results, SplicedResults};
use idioteque_redis_core::store::keys::Role;
use idioteque_redis_core::store::server_features::ServerFeatures;
use idioteque_redis_core::store::splice::splice as spliced;
use idioteque_redis_core::store::{Answer, Call, KeyOptions, Operation, Prefetch, ReplyReader, reply};
use idioteque_redis_core::transport::protocol::decode::Decoder;
use redis::Value;
use serde::de::{DeserializeOwned, Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::model;

/// The calls of a worker.
pub const OF_WORKER: &[Operation] = Operation::ALL.split_at(8).0;

/// A server that does what it can, and may or may not take a call and what it carries as one transaction.
pub fn features(isolates: bool, task_names: bool) -> ServerFeatures {
    ServerFeatures { isolates, task_names, ..ServerFeatures::default() }
}

/// The first byte chooses the call, the rest is what the server answers.
pub fn reply(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let kind = OF_WORKER[usize::from(choice) % OF_WORKER.len()];
    let prefetch = if choice & 0x80 == 0 { Prefetch::Nothing } else { Prefetch::of(kind) };
    let replies: Vec<Value> = super::values(bytes).collect();
    let (call, features) = (call(kind, prefetch, None, false, None), features(choice & 0x40 != 0, choice & 0x20 == 0));
    // The model knows the kinds of RESP2 alone, and no more replies than commands: those the decoder never hands over.
    let announced = call.append(features, &mut redis::Pipeline::new());
    let is_modelled = replies.iter().all(is_plain) && replies.len() <= announced;
    check(&call, features, &replies, is_modelled);
}

/// The first byte chooses the call, the second what it carries or which part of it is meant, the third where the bytes are cut;
/// the rest is what the server answers.
pub fn calls(data: &[u8]) {
    let Some((&[choice, options, cut], bytes)) = data.split_first_chunk() else { return };
    let kind = OF_WORKER[usize::from(choice) % OF_WORKER.len()];
    let prefetch = Prefetch::ALL[usize::from(options & 7) % Prefetch::ALL.len()];
    let ttl = (options & 8 != 0).then_some(86_400_000);
    let role =
        [None, Some(Role::Execution), Some(Role::Transactions), Some(Role::Results)][usize::from(options >> 5) % 4];
    let features = features(options & 128 != 0, choice & 8 == 0);
    read_in_pieces(&call(kind, prefetch, ttl, options & 16 != 0, role), features, usize::from(cut).max(1), bytes);
}

/// A call with a task `task`, or its part that is about a key.
pub fn call(kind: Operation, prefetch: Prefetch, ttl: Option<u64>, sliding_ttl: bool, role: Option<Role>) -> Call {
    let (task_end, value_end) = if kind.has_task() { (7, 8) } else { (3, 3) };
    let key_options = Arc::new(KeyOptions { ttl, sliding_ttl, ..KeyOptions::default() });
    let call = Call::new(kind, key_options, b"runtask1"[..value_end].to_vec(), 3, task_end);
    match role {
        Some(role) => call.part(role),
        None => call.prefetching(prefetch),
    }
}

/// Reads replies as they come, and as trees, and compares what they mean. Returns whether that many came.
pub fn read_in_pieces(call: &Call, features: ServerFeatures, size: usize, bytes: &[u8]) -> bool {
    let mut pipeline = redis::Pipeline::new();
    let expected = call.append(features, &mut pipeline);
    let (mut decoder, mut reader) = (Decoder::new(), ReplyReader::default());
    reader.begin(call, features);
    let (mut complete, mut used) = (0, 0);
    for mut piece in bytes.chunks(size) {
        while complete < expected && !piece.is_empty() {
            let Ok(progress) = decoder.read(piece, &mut reader) else { return false };
            (piece, used) = (&piece[progress.used..], used + progress.used);
            if progress.complete {
                reader.end_of_reply();
                complete += 1;
            }
        }
    }
    if complete < expected {
        return false;
    }
    assert!(reader.bytes() <= used + 8 * used);
    let read = reader.finish(call);
    let replies: Vec<Value> = super::values(&bytes[..used]).collect();
    // What is not UTF-8 the parser does not take for a status.
    let is_modelled = replies.len() == expected;
    if is_modelled {
        assert_eq!(read, reply::read(call, features, &replies));
        check(call, features, &replies, true);
    }
    is_modelled
}

/// What trees mean is what the model says, and of the kind that the call asks for.
fn check(call: &Call, features: ServerFeatures, replies: &[Value], is_modelled: bool) {
    let read = reply::read(call, features, replies);
    let model = is_modelled.then(|| model::read(call, features, replies));
    let read = match (read, model) {
        (Ok(read), model) => (read, model.map(|model| model.expect("the model refuses what is answered"))),
        (Err(error_reply), Some(model)) => return assert_eq!(model.err(), Some(error_reply)),
        (Err(_), None) => return,
    };
    let (reply::Reply { answer, snapshot }, model) = read;
    let answer = model::checked(answer);
    match (call.operation, &answer) {
        (Operation::GetResults, Answer::Results(results)) => check_results(results),
        (Operation::GetResult, Answer::Value(_)) => {}
        (Operation::IsExecutionInProgress | Operation::IsTaskInProgress, Answer::Flag(_)) => {}
        (kind, Answer::Nothing) if kind.writes() => {}
        (kind, answer) => panic!("{kind:?} was answered with {answer:?}"),
    }
    assert_eq!(snapshot.is_some(), call.prefetch != Prefetch::Nothing);
    if let Some(model) = model {
        assert_eq!(answer, model.answer);
        if let (Some(snapshot), Some(known)) = (snapshot, model.known) {
            known.check(&snapshot, call.task());
        }
    }
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Nil | Value::Int(_) | Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => true,
        Value::ServerError(_) => true,
        Value::Array(items) => items.iter().all(is_plain),
        _ => false,
    }
}

/// Fields and values, one after the other, each ended by a byte that UTF-8 does not have. The first byte says behind which of the
/// first few there is one that fills a text.
pub fn splice(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == 0xff).map(<[u8]>::to_vec);
    let mut entries: Vec<Entry> = Vec::new();
    while let (Some(field), Some(value)) = (parts.next(), parts.next()) {
        entries.push((field, value));
    }
    let behind = usize::from(data.first().copied().unwrap_or_default());
    if behind < entries.len().min(4) {
        entries.insert(behind, (b"full".to_vec(), b"1".repeat(model::FULL.0)));
    }
    let results = spliced(entries.iter().map(|(field, value)| (field.as_slice(), value.as_slice())));
    let Answer::Results(results) = model::checked(Answer::Results(results)) else { return };
    assert_eq!(results, model::splice(entries.clone()));
    if let Results::Spliced(results) = results {
        check_table(&results, &entries);
    }
}

/// An array of names and values in turn.
struct Pairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
    type Value = Pairs<V>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("names and values in turn")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Pairs<V>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(name) = items.next_element()? {
            let value = items.next_element()?.ok_or_else(|| A::Error::custom("a name has no value"))?;
            pairs.push((name, value));
        }
        Ok(Pairs(pairs))
    }
}

/// What the texts hold, each value as `V`.
fn table_of<V: DeserializeOwned>(results: &SplicedResults) -> serde_json::Result<HashMap<String, V>> {
    let mut table: HashMap<String, V> = serde_json::from_slice(&results.object)?;
    for array in &results.arrays {
        table.extend(serde_json::from_slice::<Pairs<V>>(array)?.0);
    }
    Ok(table)
}

/// The texts are what parsing each value by itself gives.
fn check_table(results: &SplicedResults, entries: &[Entry]) {
    let name = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let table = table_of::<IgnoredAny>(results).expect("what is spliced is JSON");
    let mut names: Vec<_> = table.into_keys().collect();
    let mut expected: Vec<_> = entries.iter().map(|(field, _)| name(field)).collect();
    names.sort_unstable();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(names, expected);
    // Text that is not UTF-8 and numbers that no f64 can hold are for the engine alone to decide.
    let each: Result<HashMap<String, Json>, _> =
        entries.iter().map(|(field, value)| Ok((name(field), serde_json::from_slice(value)?))).collect();
    if let (Ok(each), Ok(together)) = (each.map_err(|error: serde_json::Error| error), table_of::<Json>(results)) {
        assert_eq!(together, each);
    }
}

fn check_results(results: &Results) {
    match results {
        Results::Spliced(results) => assert!(table_of::<IgnoredAny>(results).is_ok()),
        Results::Entries(entries) => assert!(!entries.is_empty()),
        Results::Unchecked(_) => panic!("still unchecked"),
    }
}
