//! A call to a cluster while its parts are under way, and where the parts come back to.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use crate::error::StoreError;
use crate::store::keys::Role;
use crate::store::{Position, Reply};
use crate::transport::applied::{Applied, Delivery};
use crate::transport::request::{CompletionSink, Finished, Request};
use crate::transport::result_budget::ResultBudget;
use crate::transport::runtime;
use crate::transport::warning::Warning;

/// A call and what has become of its parts.
pub struct SplitCall {
    /// The call.
    pub request: Request,
    /// Its place in the order in which the calls came.
    pub sequence: u64,
    /// When it is given up.
    pub deadline: Instant,
    /// What was known of its delivery before it came here. Its request's own says that parts of it are under way.
    pub before: Delivery,
    /// The steps that are still to be made.
    pub steps: &'static [&'static [Role]],
    /// Parts of this step that have not been answered.
    pub left: usize,
    /// What the call is answered with.
    pub reply: Option<Reply>,
    /// The answer's position, if the call was sent whole.
    pub position: Option<Position>,
    /// Why it failed, and the deliveries of the part that did.
    pub failure: Option<(Box<StoreError>, Delivery)>,
    /// Others wait for its task's entry to be removed.
    pub staged: bool,
    /// How often the part was sent that was sent most often.
    pub attempts: u32,
    /// How much of it its parts have applied: in part as soon as one was answered with success.
    pub applied: Applied,
}

impl SplitCall {
    /// A call of which nothing has been sent.
    pub fn new(request: Request, sequence: u64, deadline: Instant) -> Self {
        Self {
            before: request.delivery,
            request,
            sequence,
            deadline,
            steps: &[],
            left: 0,
            reply: None,
            position: None,
            failure: None,
            staged: false,
            attempts: 0,
            applied: Applied::No,
        }
    }
}

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
