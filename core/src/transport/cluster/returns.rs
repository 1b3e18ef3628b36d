//! Where parts of calls come back to from the connections of nodes.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use crate::transport::request::{CompletionSink, Finished};
use crate::transport::result_budget::ResultBudget;
use crate::transport::runtime;
use crate::transport::warning::Warning;

/// Where parts of calls come back to.
#[derive(Default)]
pub struct Returns {
    state: Mutex<Returned>,
}

#[derive(Default)]
struct Returned {
    parts: Vec<Finished>,
    /// Warnings of the servers' connections.
    warnings: Vec<Warning>,
    sleeper: Option<Waker>,
}

impl Returns {
    fn lock(&self) -> MutexGuard<'_, Returned> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come back.
    pub fn take(&self) -> (Vec<Finished>, Vec<Warning>) {
        let mut state = self.lock();
        (mem::take(&mut state.parts), mem::take(&mut state.warnings))
    }

    /// Leaves word to be woken; false when something has come back already.
    pub fn register_waker(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        state.sleeper = Some(cx.waker().clone());
        state.parts.is_empty() && state.warnings.is_empty()
    }

    fn change(&self, change: impl FnOnce(&mut Returned)) {
        let mut state = self.lock();
        change(&mut state);
        let sleeper = state.sleeper.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            runtime::wake(sleeper);
        }
    }
}

impl CompletionSink for Returns {
    fn deliver(&self, mut batch: Vec<Finished>) {
        self.change(|state| match state.parts.is_empty() {
            true => state.parts = batch,
            false => state.parts.append(&mut batch),
        });
    }

    fn warn(&self, warning: Warning) {
        self.change(|state| state.warnings.push(warning));
    }

    /// Whoever closes a cluster's connections waits for them itself.
    fn closed(&self, _: u32) {}

    /// Each part counts against the budget of the environment that made its call.
    fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
        None
    }
}
