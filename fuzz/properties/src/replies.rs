//! What servers answer: no reply is taken for more than it says, and no stored value changes another one's place.

use std::collections::HashMap;

use idioteque_redis_core::store::answer::{self, Entry, Results};
use idioteque_redis_core::store::{Answer, Call, Operation, Prefetch, reply};
use redis::Value;
use serde::de::IgnoredAny;
use serde_json::Value as Json;

/// The first byte chooses the call, the rest is what the server answers.
pub fn reply(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let kind = Operation::ALL[usize::from(choice) % Operation::ALL.len()];
    let text = b"runtask1".to_vec();
    let (task_end, value_end) = if kind.has_task() { (7, 8) } else { (3, 3) };
    let call = Call::new(kind, Default::default(), text[..value_end].to_vec(), 3, task_end);
    let call = if choice & 0x80 == 0 { call } else { call.prefetching(Prefetch::of(kind)) };
    let mut replies: Vec<Value> = super::values(bytes).collect();
    let Ok(read) = reply::read(&call, &mut replies) else { return };
    match (kind, &read.answer) {
        (Operation::GetResults, Answer::Results(results)) => check_results(results),
        (Operation::GetResult, Answer::Value(_)) => {}
        (Operation::IsExecutionInProgress | Operation::IsTaskInProgress, Answer::Flag(_)) => {}
        (kind, Answer::Nothing) if kind.writes() => {}
        (kind, answer) => panic!("{kind:?} was answered with {answer:?}"),
    }
    let snapshot = read.snapshot.as_ref();
    assert_eq!(snapshot.is_some(), call.prefetch != Prefetch::Nothing);
    for asked in Operation::ALL {
        if let Some(Answer::Results(results)) = snapshot.and_then(|snapshot| snapshot.answer(asked, b"task")) {
            check_results(&results);
        }
    }
}

/// Fields and values, one after the other, each ended by a byte that UTF-8 does not have.
pub fn splice(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == 0xff).map(<[u8]>::to_vec);
    let mut entries: Vec<Entry> = Vec::new();
    while let (Some(field), Some(value)) = (parts.next(), parts.next()) {
        entries.push((field, value));
    }
    let valid = entries.iter().all(|(_, value)| serde_json::from_slice::<IgnoredAny>(value).is_ok());
    match answer::splice(entries.clone()) {
        Results::Entries(kept) => {
            assert!(!valid);
            assert_eq!(kept, entries);
        }
        Results::Spliced(json) => {
            assert!(valid);
            check_table(&json, &entries);
        }
    }
}

/// The text is what parsing each value by itself gives.
fn check_table(json: &[u8], entries: &[Entry]) {
    let name = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let table: HashMap<String, IgnoredAny> = serde_json::from_slice(json).expect("what is spliced is JSON");
    let mut names: Vec<_> = table.into_keys().collect();
    let mut expected: Vec<_> = entries.iter().map(|(field, _)| name(field)).collect();
    names.sort_unstable();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(names, expected);
    // Text that is not UTF-8 and numbers that no f64 can hold are for the engine alone to decide.
    let each: Result<serde_json::Map<String, Json>, _> =
        entries.iter().map(|(field, value)| Ok((name(field), serde_json::from_slice(value)?))).collect();
    if let (Ok(each), Ok(together)) =
        (each.map_err(|error: serde_json::Error| error), serde_json::from_slice::<Json>(json))
    {
        assert_eq!(together, Json::Object(each));
    }
}

fn check_results(results: &Results) {
    match results {
        Results::Spliced(json) => assert!(serde_json::from_slice::<HashMap<String, IgnoredAny>>(json).is_ok()),
        Results::Entries(entries) => assert!(!entries.is_empty()),
    }
}
