//! What a call is answered with, and results spliced into one JSON text.

use serde::de::IgnoredAny;

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `undefined`
    Nothing,
    /// A boolean.
    Flag(bool),
    /// A stored result as JSON text, or `undefined` when there is none.
    Value(Option<Vec<u8>>),
    /// All results.
    Results(Results),
}

/// All results of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    /// One JSON object that one `JSON.parse` turns into the table. Every value in it was checked by itself.
    Spliced(Vec<u8>),
    /// One by one, because one of them is not JSON and has to be named.
    Entries(Vec<Entry>),
}

/// Task id and stored text.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Makes one JSON object of the entries, if each value by itself is JSON; a value such as `1,"x":2` must not add a field.
pub fn splice(entries: Vec<Entry>) -> Results {
    if !entries.iter().all(|(_, value)| is_json(value)) {
        return Results::Entries(entries);
    }
    let size = entries.iter().map(|(field, value)| field.len() + value.len() + 4).sum::<usize>() + 2;
    let mut json = Vec::with_capacity(size);
    json.push(b'{');
    for (index, (field, value)) in entries.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        serde_json::to_writer(&mut json, &String::from_utf8_lossy(field)).expect("a string always has a JSON form");
        json.push(b':');
        json.extend_from_slice(value);
    }
    json.push(b'}');
    Results::Spliced(json)
}

/// Whether the bytes are exactly one JSON value. Builds nothing and does not recurse, however deep it is nested.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_is_checked_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(is_json(deep.as_bytes()));
        assert!(!is_json(&deep.as_bytes()[1..]));
    }
}
