//! Results spliced into one JSON text, entry by entry while they come, each value checked by itself: one such as `1,"x":2` must
//! not add a field.

use std::ops::Range;

use super::answer::{Entry, Results, UncheckedResults};
use super::json::{end_of_string, is_json, write_string};

/// The largest value that is checked where it is spliced, which takes up to a millisecond.
pub const MAX_CHECKED: usize = 1024 * 1024;
/// Room that is kept for the next results. What is longer is handed over as it is, not copied.
const MAX_KEPT: usize = 64 * 1024;

/// Beyond this length, room is made for the largest text at once.
const LARGE: usize = 64 * 1024 * 1024;
/// As much as the text of the largest reply can take, names of tasks written as JSON aside.
const MOST_ROOM: usize = 528 * 1024 * 1024;

/// Makes one JSON object of the entries.
pub fn splice<'a>(entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Results {
    let mut splicer = Splicer::default();
    splicer.begin();
    for (field, value) in entries {
        splicer.field(field);
        splicer.value_bytes(value);
        splicer.value_end();
    }
    splicer.finish()
}

/// Makes one JSON object of entries that come one by one.
#[derive(Debug, Default)]
pub struct Splicer {
    /// The object as far as it has come, without its last brace.
    text: Vec<u8>,
    /// Where the value that is coming begins.
    value: usize,
    /// Where the values are that have not been checked.
    unchecked: Vec<Range<usize>>,
    /// All entries, once one of the values has turned out not to be JSON.
    entries: Option<Vec<Entry>>,
}

impl Splicer {
    /// Begins an object.
    pub fn begin(&mut self) {
        self.clear();
        self.text.push(b'{');
    }

    /// Gives back what is left of an object.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(MAX_KEPT);
        self.unchecked = Vec::new();
        self.entries = None;
    }

    /// Begins an entry.
    pub fn field(&mut self, field: &[u8]) {
        if let Some(entries) = &mut self.entries {
            // As it would be in the text.
            entries.push((String::from_utf8_lossy(field).into_owned().into_bytes(), Vec::new()));
            return;
        }
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        write_string(field, &mut self.text);
        self.text.push(b':');
        self.value = self.text.len();
    }

    /// Goes on with the entry's value.
    pub fn value_bytes(&mut self, bytes: &[u8]) {
        match self.entries.as_mut().and_then(|entries| entries.last_mut()) {
            Some((_, value)) => value.extend_from_slice(bytes),
            None => {
                self.make_room(bytes.len());
                self.text.extend_from_slice(bytes);
            }
        }
    }

    /// Large texts are not copied to ever larger rooms: room that nothing is written to takes no memory, but each old room does,
    /// until the allocator has given it back.
    fn make_room(&mut self, bytes: usize) {
        let needed = self.text.len() + bytes;
        if needed > self.text.capacity() && needed > LARGE {
            let room = needed.max(MOST_ROOM);
            // Where there is not that much, as much as is needed is made room for below.
            let _ = self.text.try_reserve_exact(room - self.text.len());
        }
    }

    /// Ends the entry.
    pub fn value_end(&mut self) {
        if self.entries.is_some() {
            return;
        }
        let value = self.value..self.text.len();
        if value.len() > MAX_CHECKED {
            self.unchecked.push(value);
        } else if !is_json(&self.text[value.clone()]) {
            self.unchecked.push(value);
            self.entries = Some(entries_of(&self.text, &self.unchecked));
            self.text = Vec::new();
            self.unchecked = Vec::new();
        }
    }

    /// The room that is taken.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// The object, or the entries.
    pub fn finish(&mut self) -> Results {
        if let Some(entries) = self.entries.take() {
            return Results::Entries(entries);
        }
        self.text.push(b'}');
        let mut text = if self.text.len() > MAX_KEPT { std::mem::take(&mut self.text) } else { self.text.clone() };
        if text.capacity() > LARGE && text.capacity() / 2 > text.len() {
            text.shrink_to_fit();
        }
        match std::mem::take(&mut self.unchecked) {
            none if none.is_empty() => Results::Spliced(text),
            unchecked => Results::Unchecked(UncheckedResults { text, unchecked }),
        }
    }
}

/// The entries of an object that was spliced, its last brace or not. The values at the places given may be anything, all others
/// are JSON.
pub fn entries_of(text: &[u8], anything: &[Range<usize>]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut anything = anything.iter().peekable();
    let mut at = 1;
    while text.get(at) == Some(&b'"') {
        let colon = end_of_string(text, at);
        let field: String = serde_json::from_slice(&text[at..colon]).unwrap_or_default();
        let start = (colon + 1).min(text.len());
        let end = match anything.next_if(|value| value.start == start) {
            Some(value) => value.end,
            None => end_of_value(text, start),
        };
        entries.push((field.into_bytes(), text[start..end].to_vec()));
        at = end + 1;
    }
    entries
}

/// Where a JSON value ends that is followed by a comma, a brace or nothing.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at) - 1,
            b'{' | b'[' => depth += 1,
            b',' | b'}' if depth == 0 => break,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pairs: &[(&str, &str)]) -> Vec<Entry> {
        pairs.iter().map(|(field, value)| (field.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn spliced(entries: &[Entry]) -> Results {
        splice(entries.iter().map(|(field, value)| (field.as_slice(), value.as_slice())))
    }

    #[test]
    fn entries_before_a_value_that_is_not_json_come_back_as_they_were() {
        let before = [
            ("", "null"),
            ("a\"\\b\u{0}é\u{2028}", r#"{"x":[1,{"y":"}],\"\\"}],"z":"\\\\"}"#),
            ("__proto__", " [ 1 , 2 ] "),
            ("s", r#""a,b:c}\u0022\"""#),
            ("n", "\t-1.5e+3\n"),
            ("a\"\\b\u{0}é\u{2028}", "{}"),
        ];
        for count in 0..=before.len() {
            let mut all = entries(&before[..count]);
            all.extend(entries(&[("bad", "1,\"x\":2"), ("behind", "7"), ("worse", "")]));
            assert_eq!(spliced(&all), Results::Entries(all));
        }
    }

    #[test]
    fn a_large_value_is_checked_elsewhere() {
        let large = |inside: &str| format!("[{}{inside}]", "1,".repeat(MAX_CHECKED / 2));
        let (good, bad) = (large("1"), large("1],\"x\":[1"));
        let checked = |all: &[Entry]| match spliced(all) {
            Results::Unchecked(unchecked) => unchecked.check(),
            other => panic!("{other:?}"),
        };
        let all = entries(&[("a", "1"), ("b", &good), ("c", "{}")]);
        assert_eq!(checked(&all), Results::Spliced(format!(r#"{{"a":1,"b":{good},"c":{{}}}}"#).into_bytes()));
        let all = entries(&[("a", "1"), ("b", &good), ("c", "{}"), ("d", &bad), ("e", &good), ("f", "2")]);
        assert_eq!(checked(&all), Results::Entries(all));
        // One that is not JSON is found among values that have not been checked.
        let all = entries(&[("a", &bad), ("b", &good), ("c", "}"), ("d", &bad)]);
        assert_eq!(spliced(&all), Results::Entries(all));
    }
}
