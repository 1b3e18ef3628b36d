//! The answer to a call: nothing, a flag, one result, or all results of an execution as text or entry by entry.

use std::ops::Range;

use super::json::is_json;
use super::splice::entries_of;

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

impl Answer {
    /// The bytes to be parsed for it.
    pub fn size(&self) -> usize {
        match self {
            Answer::Nothing | Answer::Flag(_) | Answer::Value(None) => 0,
            Answer::Value(Some(json)) | Answer::Results(Results::Spliced(json)) => json.len(),
            Answer::Results(Results::Unchecked(unchecked)) => unchecked.text.len(),
            Answer::Results(Results::Entries(entries)) => {
                entries.iter().map(|(task, json)| task.len() + json.len()).sum()
            }
        }
    }
}

/// All results of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    /// One JSON object that one `JSON.parse` turns into the table. Every value in it was checked by itself.
    Spliced(Vec<u8>),
    /// The same, but large values in it have still to be checked.
    Unchecked(UncheckedResults),
    /// One by one, because one of them is not JSON and has to be named.
    Entries(Vec<Entry>),
}

/// One JSON object in which some values, each larger than a MiB, may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncheckedResults {
    /// The object.
    pub(super) text: Vec<u8>,
    /// Where those values are, in their order.
    pub(super) unchecked: Vec<Range<usize>>,
}

impl UncheckedResults {
    /// Checks what has not been checked. Takes about a millisecond for each MiB, so it is not for the I/O thread.
    pub fn check(self) -> Results {
        match self.unchecked.iter().all(|value| is_json(&self.text[value.clone()])) {
            true => Results::Spliced(self.text),
            false => Results::Entries(entries_of(&self.text, &self.unchecked)),
        }
    }
}

/// Task id and stored text. Of an id that is not UTF-8, what is not stands as U+FFFD.
pub type Entry = (Vec<u8>, Vec<u8>);
