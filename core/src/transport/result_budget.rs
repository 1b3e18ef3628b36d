//! How many bytes of results one JavaScript environment's calls may have brought that it has not been handed: beyond them,
//! what it asks for waits, so that an environment that has no time does not take all memory.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::request::Request;
use super::runtime;
use crate::error::StoreError;
use crate::error_texts::calls as texts;

/// Bytes of one environment's results: with so many, a thousand reads of 1 MB take no more memory than with ioredis, and no more
/// time than with twice as many.
const LIMIT: usize = 32 * 1024 * 1024;
/// A result below this is not counted: the rest of its call takes as much, and `maxPending` bounds that.
pub const SMALL: usize = 1024;

/// The budget of one environment. The I/O thread takes from it, and gives back what it threw away; the environment's thread
/// gives back what it has settled.
#[derive(Debug)]
pub struct ResultBudget {
    limit: usize,
    state: Mutex<State>,
    /// More has come than may, and less than half of it has been given back since.
    is_over: AtomicBool,
    /// Changes when there may be room for what waits.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Of results that are complete.
    complete: usize,
    /// Of results that are coming, or have been asked for and are known to be so large.
    coming: usize,
    /// One of those is let through, however large it is.
    passing: bool,
    waiting: Vec<Waker>,
}

impl Default for ResultBudget {
    fn default() -> Self {
        Self::new(LIMIT)
    }
}

impl ResultBudget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), is_over: AtomicBool::new(false), changes: AtomicU64::new(0) }
    }

    /// Numbers, valid at every step, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing more is to be asked for.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether a result of a size may be asked for; 0 where that is not known.
    pub(super) fn admits(&self, expected: usize) -> bool {
        if expected == 0 {
            return !self.is_over();
        }
        let state = self.lock();
        let taken = state.complete + state.coming;
        taken == 0 || !self.is_over() && taken + expected <= self.limit
    }

    /// A number that changes when there may be room for what waits.
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Leaves word to be woken when there may be room; false when that has been so since `seen`.
    fn register(&self, waker: &Waker, seen: u64) -> bool {
        let mut state = self.lock();
        if self.changes() != seen {
            return false;
        }
        if !state.waiting.iter().any(|other| other.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        true
    }

    /// Why a call has no answer that waits for the environment to take what others have brought.
    pub(super) fn why_waiting(&self) -> StoreError {
        texts::results_wait(self.limit >> 20).error()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let before = (state.complete + state.coming, state.complete, state.passing);
        let changed = change(&mut state);
        let taken = state.complete + state.coming;
        let half = self.limit / 2;
        if taken > self.limit {
            self.is_over.store(true, Ordering::Relaxed);
        } else if taken <= half {
            self.is_over.store(false, Ordering::Relaxed);
        }
        let passes = state.complete == 0 && !state.passing;
        let has_room = before.0 > half && taken <= half || passes && (before.1 > 0 || before.2);
        let waiting = if has_room {
            self.changes.fetch_add(1, Ordering::Release);
            mem::take(&mut state.waiting)
        } else {
            Vec::new()
        };
        drop(state);
        waiting.into_iter().for_each(runtime::wake);
        changed
    }
}

/// An environment that has to take results before it is asked for more, as it was when it was looked at.
pub(super) struct Blocked {
    budget: Arc<ResultBudget>,
    seen: u64,
}

impl Blocked {
    pub(super) fn new(budget: &Arc<ResultBudget>) -> Self {
        Self { budget: budget.clone(), seen: budget.changes() }
    }

    /// Notes an environment, if it is not among those.
    pub(super) fn note(blocked: &mut Vec<Blocked>, budget: &Arc<ResultBudget>) {
        if !blocked.iter().any(|other| Arc::ptr_eq(&other.budget, budget)) {
            blocked.push(Self::new(budget));
        }
    }

    /// Whether a call may be sent. If not, its environment is noted.
    pub(super) fn admits(blocked: &mut Vec<Blocked>, request: &Request) -> bool {
        let Some(budget) = request.counted_by() else { return true };
        if request.is_within_budget() {
            return true;
        }
        Self::note(blocked, budget);
        // There may be room since.
        request.is_within_budget()
    }

    /// As if something had changed.
    pub(super) fn look_again(&mut self) {
        self.seen = self.seen.wrapping_sub(1);
    }

    /// Whether it may have taken some since.
    pub(super) fn has_changed(&self) -> bool {
        self.budget.changes() != self.seen
    }

    /// Leaves word to be woken when it may have taken some; false when that is so.
    pub(super) fn register(&self, cx: &Context<'_>) -> bool {
        self.budget.register(cx.waker(), self.seen)
    }
}

/// What one call has taken of its environment's budget. Given back when it is dropped, with the call.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<ResultBudget>,
    stage: Stage,
    bytes: usize,
    /// How much it brought when it was last thrown away.
    expected: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Coming,
    /// The same, and it may take more than there is.
    Passing,
    Complete,
}

impl Charge {
    /// Nothing yet.
    pub(super) fn new(budget: Arc<ResultBudget>) -> Self {
        Self { budget, stage: Stage::Coming, bytes: 0, expected: 0 }
    }

    /// So many bytes have come of a result that is incomplete, or was until now. Returns whether it may go on: it fits, or
    /// nothing is complete that the environment could settle first, so that it would wait for itself.
    pub(super) fn coming(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let (limit, stage) = (self.budget.limit, &mut self.stage);
        self.bytes += more;
        self.budget.change(|state| {
            state.coming += more;
            if *stage == Stage::Coming && state.complete + state.coming > limit && state.complete == 0 && !state.passing
            {
                (state.passing, *stage) = (true, Stage::Passing);
            }
            *stage != Stage::Coming || state.complete + state.coming <= limit
        })
    }

    /// The result is complete, and takes so many bytes.
    pub(super) fn complete(&mut self, bytes: usize) {
        let (before, passed) = (mem::replace(&mut self.bytes, bytes), self.stage == Stage::Passing);
        if mem::replace(&mut self.stage, Stage::Complete) == Stage::Complete {
            return;
        }
        self.budget.change(|state| {
            state.coming -= before;
            state.complete += bytes;
            state.passing &= !passed;
        });
    }

    /// What has come is thrown away, so that nothing is taken any more.
    pub(super) fn give_back(&mut self) {
        let (bytes, stage) = (mem::take(&mut self.bytes), mem::replace(&mut self.stage, Stage::Coming));
        if bytes == 0 && stage != Stage::Passing {
            return;
        }
        self.budget.change(|state| match stage {
            Stage::Complete => state.complete -= bytes,
            Stage::Coming | Stage::Passing => {
                state.coming -= bytes;
                state.passing &= stage != Stage::Passing;
            }
        });
    }

    /// The result, of so many bytes, is thrown away and asked for again.
    pub(super) fn put_back(&mut self, bytes: usize) {
        self.give_back();
        self.expected = bytes;
    }

    /// How many bytes are expected; 0 when that is not known.
    pub(super) fn expected(&self) -> usize {
        self.expected
    }

    /// The result is asked for: nobody else may take what it is known to need.
    pub(super) fn reserve(&mut self) {
        self.coming(self.expected);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(budget: &Arc<ResultBudget>) -> Charge {
        Charge::new(budget.clone())
    }

    #[test]
    fn one_result_passes_however_large_and_the_next_waits_until_it_is_taken() {
        let budget = Arc::new(ResultBudget::new(100));
        let (mut first, mut second) = (charge(&budget), charge(&budget));
        assert!(first.coming(500));
        assert!(!second.coming(10), "while another one passes");
        first.complete(500);
        assert!(budget.is_over() && !second.coming(10), "while it has not been taken");
        let seen = budget.changes();
        drop(first);
        assert!(!budget.is_over() && budget.changes() != seen && second.coming(10));
    }

    #[test]
    fn two_that_are_coming_do_not_wait_for_each_other() {
        let budget = Arc::new(ResultBudget::new(100));
        let (mut first, mut second) = (charge(&budget), charge(&budget));
        assert!(first.coming(60));
        assert!(second.coming(60), "nothing is complete, so one of them passes");
        assert!(!first.coming(61));
        second.complete(60);
        assert!(!first.coming(61));
        drop(second);
        assert!(first.coming(61));
    }

    #[test]
    fn one_of_a_known_size_is_asked_for_when_there_is_room_for_it() {
        let budget = Arc::new(ResultBudget::new(100));
        let (mut first, mut second, mut third) = (charge(&budget), charge(&budget), charge(&budget));
        second.put_back(60);
        third.put_back(500);
        assert!(first.coming(50) && !budget.admits(second.expected()) && !budget.admits(third.expected()));
        first.complete(50);
        drop(first);
        assert!(budget.admits(second.expected()) && budget.admits(third.expected()));
        second.reserve();
        assert!(!budget.admits(60) && !budget.admits(third.expected()));
        assert!(second.coming(60));
        second.give_back();
        assert!(budget.admits(third.expected()));
    }
}
