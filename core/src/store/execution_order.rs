//! Commits in a cluster write the result first and remove the task's entry among those in progress later. What comes after
//! one for the same task, and whatever comes after that for the same execution, waits until the second step is on its way.

use std::collections::VecDeque;
use std::mem;

use rustc_hash::FxHashMap;

use super::cluster_steps::holds_back_all;
use super::{Call, Operation};

/// Commits on their first step, and the calls that wait for them, by execution.
#[derive(Default)]
pub struct Order {
    executions: FxHashMap<Vec<u8>, Steps>,
    /// Scratch.
    key: Vec<u8>,
}

/// A commit on its first step, until [`Order::end`].
#[must_use = "what waits for it has to be let go"]
#[derive(Debug)]
pub struct Staged(());

impl Staged {
    /// The order that it has a place in is no more.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        debug_assert!(std::thread::panicking(), "what waits for a commit was not let go");
    }
}

#[derive(Default)]
struct Steps {
    /// The tasks whose commit is on its first step.
    tasks: Vec<Vec<u8>>,
    /// How many of them hold back all that follows.
    hold_all: usize,
    waiting: VecDeque<usize>,
}

impl Order {
    /// Whether the call has to wait, in which case its number is kept.
    pub fn waits(&mut self, call: &Call, number: usize) -> bool {
        if self.executions.is_empty() {
            return false;
        }
        write_key(call, &mut self.key);
        let Some(steps) = self.executions.get_mut(&self.key) else { return false };
        // Its result, and all results, are in one slot and need no help to stay in order.
        let of_marks =
            matches!(call.operation, Operation::BeginTask | Operation::IsTaskInProgress | Operation::CommitResult);
        let waits = !steps.waiting.is_empty()
            || steps.hold_all > 0
            || of_marks && steps.tasks.iter().any(|task| task == call.task());
        if waits {
            steps.waiting.push_back(number);
        }
        waits
    }

    /// A commit sets out on its first step.
    pub fn begin(&mut self, call: &Call) -> Staged {
        let mut key = Vec::new();
        write_key(call, &mut key);
        let steps = self.executions.entry(key).or_default();
        steps.tasks.push(call.task().to_vec());
        steps.hold_all += usize::from(holds_back_all(call));
        Staged(())
    }

    /// A call that waits is given up.
    pub fn give_up(&mut self, call: &Call, number: usize) {
        write_key(call, &mut self.key);
        if let Some(steps) = self.executions.get_mut(&self.key) {
            steps.waiting.retain(|other| *other != number);
        }
    }

    /// The second step of a commit is on its way, or there will be none. Returns what waited, to be tried again in order.
    pub fn end(&mut self, call: &Call, staged: Staged) -> VecDeque<usize> {
        staged.forget();
        write_key(call, &mut self.key);
        let Some(steps) = self.executions.get_mut(&self.key) else { return VecDeque::new() };
        steps.tasks.retain(|task| task != call.task());
        steps.hold_all -= usize::from(holds_back_all(call));
        let waiting = mem::take(&mut steps.waiting);
        if steps.tasks.is_empty() {
            self.executions.remove(&self.key);
        }
        waiting
    }
}

fn write_key(call: &Call, key: &mut Vec<u8>) {
    key.clear();
    for part in [call.key_options.key_prefix.as_bytes(), b"\0", call.id()] {
        key.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: Operation, task: &str) -> Call {
        let text = format!("run{task}").into_bytes();
        let end = text.len();
        Call::new(operation, Default::default(), text, 3, end)
    }

    #[test]
    fn what_follows_a_commit_for_the_same_task_waits_in_line() {
        let mut order = Order::default();
        let commit = call(Operation::CommitResult, "t");
        assert!(!order.waits(&commit, 0));
        let staged = order.begin(&commit);
        assert!(!order.waits(&call(Operation::BeginTask, "other"), 1));
        assert!(!order.waits(&call(Operation::GetResult, "t"), 2));
        assert!(order.waits(&call(Operation::BeginTask, "t"), 3));
        assert!(order.waits(&call(Operation::GetResult, "t"), 4));
        assert!(order.waits(&call(Operation::Dispose, ""), 5));
        order.give_up(&call(Operation::GetResult, "t"), 4);
        assert_eq!(order.end(&commit, staged), [3, 5]);
        assert!(order.executions.is_empty());
    }
}
