//! What is kept of an execution's results for later questions.

use std::hash::Hasher;

use rustc_hash::{FxHashSet, FxHasher};

use super::answer::Results;
use super::splice::splice;

/// Results beyond these are not kept for later questions, only which tasks have one: looking one up must stay cheaper than
/// asking Redis.
const MAX_RESULTS: usize = 256;
/// Bytes of results beyond which they are not kept.
pub(super) const MAX_RESULT_BYTES: usize = 64 * 1024;

/// What is known of the results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// All of them.
    All(KeptResults),
    /// Too many or too large to be kept: hashes of the tasks that have one. The worker asks for the result of a step
    /// when it has seen none, so the answer is nearly always that there is none.
    Tasks(FxHashSet<u64>),
}

impl Default for Known {
    /// No results.
    fn default() -> Self {
        Known::All(KeptResults::default())
    }
}

/// Results in one piece: task id and JSON, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptResults {
    bytes: Vec<u8>,
    /// Where each task id and each JSON text ends.
    ends: Vec<(usize, usize)>,
}

impl KeptResults {
    /// Task ids and their results.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(field, value)| {
            let from = std::mem::replace(&mut start, value);
            (&self.bytes[from..field], &self.bytes[field..value])
        })
    }

    /// The result of a task.
    pub fn find(&self, task: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(own, _)| *own == task).map(|(_, json)| json)
    }

    /// All results.
    pub fn splice(&self) -> Results {
        splice(self.iter())
    }
}

impl Known {
    /// How many tasks have a result.
    pub fn len(&self) -> usize {
        match self {
            Known::All(kept) => kept.ends.len(),
            Known::Tasks(tasks) => tasks.len(),
        }
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins an entry.
    pub fn field(&mut self, field: &[u8]) {
        match self {
            Known::All(kept) if kept.ends.len() < MAX_RESULTS && kept.bytes.len() + field.len() <= MAX_RESULT_BYTES => {
                kept.bytes.extend_from_slice(field);
                let end = kept.bytes.len();
                kept.ends.push((end, end));
            }
            Known::All(_) => {
                self.keep_tasks_only();
                self.field(field);
            }
            Known::Tasks(tasks) => {
                tasks.insert(hash(field));
            }
        }
    }

    /// Goes on with the entry's value.
    pub fn value_bytes(&mut self, bytes: &[u8]) {
        let Known::All(kept) = self else { return };
        if kept.bytes.len() + bytes.len() > MAX_RESULT_BYTES {
            self.keep_tasks_only();
            return;
        }
        kept.bytes.extend_from_slice(bytes);
        if let Some((_, end)) = kept.ends.last_mut() {
            *end = kept.bytes.len();
        }
    }

    fn keep_tasks_only(&mut self) {
        if let Known::All(kept) = self {
            *self = Known::Tasks(kept.iter().map(|(task, _)| hash(task)).collect());
        }
    }
}

/// A task or an execution in eight bytes.
pub fn hash(id: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(id);
    hasher.finish()
}
