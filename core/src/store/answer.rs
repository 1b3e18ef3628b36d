//! The answer to a call: nothing, a flag, one result, or all results of an execution as text or entry by entry.

use std::collections::VecDeque;
use std::mem;
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
            Answer::Value(Some(json)) => json.len(),
            Answer::Results(Results::Spliced(spliced)) => {
                spliced.object.len() + spliced.arrays.iter().map(Vec::len).sum::<usize>()
            }
            Answer::Results(Results::Unchecked(unchecked)) => {
                unchecked.pieces.iter().map(|piece| piece.text.len()).sum()
            }
            Answer::Results(Results::Entries(entries)) => {
                entries.iter().map(|(task, json)| task.len() + json.len()).sum()
            }
        }
    }
}

/// All results of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    /// JSON texts that are turned into the table one by one. Every value in them was checked by itself.
    Spliced(SplicedResults),
    /// The same, but large values in them have still to be checked.
    Unchecked(UncheckedResults),
    /// One by one, because one of them is not JSON and has to be named.
    Entries(Vec<Entry>),
}

impl Results {
    /// Checks what has not been checked. Takes about a millisecond for each MiB, so it is not for the I/O thread.
    pub fn check(&mut self) {
        if let Results::Unchecked(unchecked) = self {
            *self = mem::take(unchecked).checked();
        }
    }
}

/// Results as JSON text, in pieces of which each is parsed in a short time, if it has no large value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplicedResults {
    /// The first results, and most often all: an object.
    pub object: Vec<u8>,
    /// The others, in their order: arrays of task ids and values in turn, which a table takes in faster than objects.
    pub arrays: VecDeque<Vec<u8>>,
}

impl SplicedResults {
    /// Results that are one object.
    pub fn whole(object: Vec<u8>) -> Self {
        Self { object, arrays: VecDeque::new() }
    }
}

/// Results as JSON text in which some values, each larger than a MiB, may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UncheckedResults {
    /// The object, then the arrays.
    pub(super) pieces: Vec<Piece>,
}

/// One JSON text of results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// The object or the array.
    pub(super) text: Vec<u8>,
    /// Where the values are that have not been checked, in their order.
    pub(super) unchecked: Vec<Range<usize>>,
}

impl UncheckedResults {
    /// What [`Results::check`] makes of them.
    pub fn checked(self) -> Results {
        let is_checked = |piece: &Piece| piece.unchecked.iter().all(|value| is_json(&piece.text[value.clone()]));
        match self.pieces.iter().all(is_checked) {
            true => Results::Spliced(spliced(self.pieces)),
            false => Results::Entries(self.pieces.iter().flat_map(entries_of).collect()),
        }
    }
}

/// Pieces in which all has been checked.
pub(super) fn spliced(pieces: impl IntoIterator<Item = Piece>) -> SplicedResults {
    let mut texts = pieces.into_iter().map(|piece| piece.text);
    SplicedResults { object: texts.next().unwrap_or_default(), arrays: texts.collect() }
}

/// Task id and stored text. Of an id that is not UTF-8, what is not stands as U+FFFD.
pub type Entry = (Vec<u8>, Vec<u8>);
