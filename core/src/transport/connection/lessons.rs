//! What is learnt of a server that ends connections where others refuse a command, as some proxies do at every command that they do
//! not know.
//!
//! After a connection that ended before its handshake was answered, the next handshake goes step by step behind a `PING`, which
//! shows that there is a server at all. Where the server then hangs up at the same step again, that step is left out, if it can be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a server has to hang up at a step, until it is known to do so at all.
const SURE: u32 = 2;
/// After this time a step that was left out is tried once more: another server may have got the address.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// One command of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `PING`, before all others, when they go one by one.
    Control,
    /// `AUTH`.
    Auth,
    /// `SELECT`.
    Select,
    /// `ROLE`.
    Role,
    /// `INFO replication`, where there is no `ROLE`.
    Replication,
    /// `CLUSTER MYID`.
    ClusterId,
    /// `CLIENT KILL`.
    Fence,
    /// `CLIENT SETNAME` and `CLIENT SETINFO`.
    SetName,
    /// `CLIENT INFO`.
    Info,
    /// `MULTI`, when it is in doubt.
    Multi,
    /// `DISCARD`, behind that.
    Discard,
}

/// Steps that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Omitted(u16);

impl Omitted {
    /// Whether a step is.
    pub fn has(self, step: Step) -> bool {
        self.0 & 1 << step as u16 != 0
    }

    /// Whether any is.
    pub fn any(self) -> bool {
        self.0 != 0
    }

    fn add(&mut self, step: Step) {
        self.0 |= 1 << step as u16;
    }
}

/// How the next handshake goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// One command after the other, so that it is known at which one the server hangs up.
    pub by_step: bool,
    /// Steps that are left out.
    pub omitted: Omitted,
    /// Whether the server has transactions is asked.
    pub asks_multi: bool,
}

/// What is known of one server. All its handshakes share it.
#[derive(Clone, Debug, Default)]
pub struct Lessons(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    by_step: bool,
    /// At which step the server hung up last, and how often in a row.
    suspect: Option<(Step, u32)>,
    omitted: Omitted,
    learnt_at: Option<Instant>,
}

impl Lessons {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the next handshake goes. `doubts_multi` is whether the server may hang up at `MULTI`.
    pub fn manner(&self, doubts_multi: bool, now: Instant) -> Manner {
        let mut state = self.state();
        if state.omitted.any() && state.learnt_at.is_none_or(|at| now.saturating_duration_since(at) >= FORGOTTEN) {
            (state.omitted, state.by_step) = (Omitted::default(), true);
        }
        Manner { by_step: state.by_step || doubts_multi, omitted: state.omitted, asks_multi: doubts_multi }
    }

    /// A connection ended before its handshake was answered, and it is not known at what.
    pub fn hung_up(&self) {
        self.state().by_step = true;
    }

    /// The server hung up at a step. Returns whether it does so each time.
    pub fn hung_up_at(&self, step: Step, now: Instant) -> bool {
        let mut state = self.state();
        state.by_step = true;
        if step == Step::Control {
            // It is no server that knows a command or not.
            (state.suspect, state.omitted) = (None, Omitted::default());
            return false;
        }
        let count = state.suspect.filter(|(suspect, _)| *suspect == step).map_or(1, |(_, count)| count + 1);
        let is_sure = count >= if state.learnt_at.is_some() { 1 } else { SURE };
        state.suspect = (!is_sure).then_some((step, count));
        if is_sure && !matches!(step, Step::Auth | Step::Select) {
            state.learnt_at = Some(now);
            state.omitted.add(step);
        }
        is_sure
    }

    /// A handshake was answered.
    pub fn greeted(&self) {
        let mut state = self.state();
        (state.by_step, state.suspect) = (false, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_left_out_when_the_server_has_hung_up_at_it_twice_in_a_row() {
        let (lessons, now) = (Lessons::default(), Instant::now());
        assert_eq!(lessons.manner(false, now), Manner::default());
        lessons.hung_up();
        assert!(lessons.manner(false, now).by_step);
        assert!(!lessons.hung_up_at(Step::SetName, now));
        assert!(!lessons.hung_up_at(Step::Info, now), "another step");
        assert!(!lessons.manner(false, now).omitted.any());
        assert!(lessons.hung_up_at(Step::Info, now));
        let omitted = lessons.manner(false, now).omitted;
        assert!(omitted.has(Step::Info) && !omitted.has(Step::SetName));
        // It is a server of that kind.
        assert!(lessons.hung_up_at(Step::SetName, now));
        lessons.greeted();
        assert!(!lessons.manner(false, now).by_step && lessons.manner(false, now).omitted.any());
        let later = lessons.manner(false, now + FORGOTTEN);
        assert!(later.by_step && !later.omitted.any());
    }

    #[test]
    fn nothing_is_learnt_of_what_hangs_up_at_everything() {
        let (lessons, now) = (Lessons::default(), Instant::now());
        for _ in 0..9 {
            lessons.hung_up();
            assert!(!lessons.hung_up_at(Step::Control, now));
        }
        assert!(!lessons.manner(false, now).omitted.any());
        lessons.hung_up_at(Step::Info, now);
        lessons.hung_up_at(Step::Control, now);
        assert!(!lessons.hung_up_at(Step::Info, now), "not in a row");
        lessons.greeted();
        assert_eq!(lessons.manner(false, now), Manner::default());
    }

    #[test]
    fn no_login_is_left_out() {
        let (lessons, now) = (Lessons::default(), Instant::now());
        assert!(!lessons.hung_up_at(Step::Auth, now) && lessons.hung_up_at(Step::Auth, now));
        assert!(!lessons.manner(false, now).omitted.any());
    }
}
