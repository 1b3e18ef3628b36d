//! Results spliced into JSON texts, entry by entry while they come, each value checked by itself: one such as `1,"x":2` must
//! not add a field. Many results become several texts, so that the event loop gets its turn between them.

use std::mem;

use super::answer::{Entry, Piece, Results, SplicedResults, UncheckedResults, spliced};
use super::json::{end_of_string, is_json, write_string};

/// The largest value that is checked where it is spliced, which takes up to a millisecond.
pub const MAX_CHECKED: usize = 1024 * 1024;
/// With so many bytes the first text is complete. To parse so much may take as long as a few turns of the event loop, but a table takes in
/// one object in less time than arrays.
const FIRST_FULL: usize = 4 * 1024 * 1024;
/// With so many bytes each further text is complete: to parse it takes a fraction of a millisecond. Room of that size is kept for the
/// next results, and what is longer is handed over as it is, not copied.
const FULL: usize = 64 * 1024;

/// Behind a value of this size no text ends: to parse that takes long anyhow, and the next ones, which are likely as large, go where
/// there is room for them already.
const LARGE_VALUE: usize = 8 * 1024 * 1024;

/// Beyond this length, room is made for the largest text at once.
const LARGE: usize = 64 * 1024 * 1024;
/// As much as the text of the largest reply can take, names of tasks written as JSON aside.
const MOST_ROOM: usize = 528 * 1024 * 1024;

/// Makes JSON of the entries.
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

/// Makes JSON of entries that come one by one.
#[derive(Debug, Default)]
pub struct Splicer {
    /// What is full: an object, then arrays.
    full: Vec<Piece>,
    /// The object or array that is coming, without its last bracket.
    coming: Piece,
    /// Where the value that is coming begins.
    value: usize,
    /// All entries, once one of the values has turned out not to be JSON.
    entries: Option<Vec<Entry>>,
}

impl Splicer {
    /// Begins the first text.
    pub fn begin(&mut self) {
        self.clear();
        self.coming.text.push(b'{');
    }

    /// Gives back what is left of the results before.
    pub fn clear(&mut self) {
        self.full = Vec::new();
        self.coming.text.clear();
        self.coming.text.shrink_to(FULL);
        self.coming.unchecked = Vec::new();
        self.entries = None;
    }

    /// Begins an entry.
    pub fn field(&mut self, field: &[u8]) {
        if let Some(entries) = &mut self.entries {
            // As it would be in the text.
            entries.push((String::from_utf8_lossy(field).into_owned().into_bytes(), Vec::new()));
            return;
        }
        let length = self.coming.text.len();
        let full = if self.full.is_empty() { FIRST_FULL } else { FULL };
        if length >= full && length - self.value < LARGE_VALUE {
            self.close();
            let mut text = Vec::with_capacity(FULL);
            text.push(b'[');
            let full = mem::replace(&mut self.coming, Piece { text, unchecked: Vec::new() });
            self.full.push(full);
        }
        let colon = if self.full.is_empty() { b':' } else { b',' };
        let text = &mut self.coming.text;
        if text.len() > 1 {
            text.push(b',');
        }
        write_string(field, text);
        text.push(colon);
        self.value = text.len();
    }

    /// Ends the text that is coming.
    fn close(&mut self) {
        let bracket = if self.full.is_empty() { b'}' } else { b']' };
        self.coming.text.push(bracket);
        let text = &mut self.coming.text;
        if text.capacity() > LARGE && text.capacity() / 2 > text.len() {
            text.shrink_to_fit();
        }
    }

    /// Goes on with the entry's value.
    pub fn value_bytes(&mut self, bytes: &[u8]) {
        match self.entries.as_mut().and_then(|entries| entries.last_mut()) {
            Some((_, value)) => value.extend_from_slice(bytes),
            None => {
                self.make_room(bytes.len());
                self.coming.text.extend_from_slice(bytes);
            }
        }
    }

    /// Large texts are not copied to ever larger rooms: room that nothing is written to takes no memory, but each old room does,
    /// until the allocator has given it back.
    fn make_room(&mut self, bytes: usize) {
        let text = &mut self.coming.text;
        let needed = text.len() + bytes;
        if needed > text.capacity() && needed > LARGE {
            let room = needed.max(MOST_ROOM);
            // Where there is not that much, as much as is needed is made room for below.
            let _ = text.try_reserve_exact(room - text.len());
        }
    }

    /// Ends the entry.
    pub fn value_end(&mut self) {
        if self.entries.is_some() {
            return;
        }
        let value = self.value..self.coming.text.len();
        if value.len() > MAX_CHECKED {
            self.coming.unchecked.push(value);
        } else if !is_json(&self.coming.text[value.clone()]) {
            self.coming.unchecked.push(value);
            self.full.push(mem::take(&mut self.coming));
            self.entries = Some(mem::take(&mut self.full).iter().flat_map(entries_of).collect());
        }
    }

    /// The room that is taken.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.coming.text.capacity()
    }

    /// The texts, or the entries.
    pub fn finish(&mut self) -> Results {
        if let Some(entries) = self.entries.take() {
            return Results::Entries(entries);
        }
        self.close();
        if self.full.is_empty() && self.coming.unchecked.is_empty() && self.coming.text.len() <= FULL {
            return Results::Spliced(SplicedResults::whole(self.coming.text.clone()));
        }
        let mut pieces = mem::take(&mut self.full);
        if !pieces.is_empty() {
            self.coming.text.shrink_to_fit();
        }
        pieces.push(mem::take(&mut self.coming));
        match pieces.iter().all(|piece| piece.unchecked.is_empty()) {
            true => Results::Spliced(spliced(pieces)),
            false => Results::Unchecked(UncheckedResults { pieces }),
        }
    }
}

/// The entries of a text, whether its last bracket is there or not. The values at the places given there may be anything, all
/// others are JSON.
pub(super) fn entries_of(piece: &Piece) -> Vec<Entry> {
    let text = &piece.text;
    let mut entries = Vec::new();
    let mut anything = piece.unchecked.iter().peekable();
    let mut at = 1;
    while text.get(at) == Some(&b'"') {
        let separator = end_of_string(text, at);
        let field: String = serde_json::from_slice(&text[at..separator]).unwrap_or_default();
        let start = (separator + 1).min(text.len());
        let end = match anything.next_if(|value| value.start == start) {
            Some(value) => value.end,
            None => end_of_value(text, start),
        };
        entries.push((field.into_bytes(), text[start..end].to_vec()));
        at = end + 1;
    }
    entries
}

/// Where a JSON value ends that is followed by a comma, a bracket or nothing.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at) - 1,
            b'{' | b'[' => depth += 1,
            b',' | b'}' | b']' if depth == 0 => break,
            b'}' | b']' => depth -= 1,
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
            mut results @ Results::Unchecked(_) => {
                results.check();
                results
            }
            other => panic!("{other:?}"),
        };
        let all = entries(&[("a", "1"), ("b", &good), ("c", "{}")]);
        let object = format!(r#"{{"a":1,"b":{good},"c":{{}}}}"#).into_bytes();
        assert_eq!(checked(&all), Results::Spliced(SplicedResults::whole(object)));
        let all = entries(&[("a", "1"), ("b", &good), ("c", "{}"), ("d", &bad), ("e", &good), ("f", "2")]);
        assert_eq!(checked(&all), Results::Entries(all));
        // One that is not JSON is found among values that have not been checked.
        let all = entries(&[("a", &bad), ("b", &good), ("c", "}"), ("d", &bad)]);
        assert_eq!(spliced(&all), Results::Entries(all));
    }

    #[test]
    fn many_results_become_several_texts() {
        let value = format!("[{}1]", "1,".repeat(999));
        let names: Vec<_> = (0..4000).map(|number| format!("task {number}")).collect();
        let all = entries(&names.iter().map(|name| (name.as_str(), value.as_str())).collect::<Vec<_>>());
        let Results::Spliced(SplicedResults { object, arrays }) = spliced(&all) else { panic!("all of it is JSON") };
        let texts: Vec<_> = [object].into_iter().chain(arrays).collect();
        assert!(texts.len() > 10);
        let mut found = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            let full = if index == 0 { FIRST_FULL } else { FULL };
            assert!(text.len() < full + value.len() + 20 && (text.len() >= full || found.len() + 40 > all.len()));
            assert!(index == 0 || text.capacity() <= 2 * FULL);
            assert!(is_json(&text) && text[0] == if index == 0 { b'{' } else { b'[' });
            found.extend(entries_of(&Piece { text, unchecked: Vec::new() }));
        }
        assert_eq!(found, all);
        // One that is not JSON, in any of the texts.
        for place in [0, 1999, 2500, 3999] {
            let mut all = all.clone();
            all[place].1 = b"1,2".to_vec();
            assert_eq!(spliced(&all), Results::Entries(all));
        }
    }
}
