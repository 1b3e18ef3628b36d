//! How many calls may be in flight while several stores use a connection: what one of them has in flight the others wait for.

use std::time::Duration;

use super::session::WINDOW_CALLS;

/// As many as keep the way to the server and back full, and few more: it grows while answers come about as soon as they can,
/// and shrinks while calls wait for each other at the server (as TCP Vegas does it).
#[derive(Debug)]
pub struct SharedWindow {
    /// That many.
    pub calls: usize,
    /// The shortest time in which a call was answered.
    shortest: Duration,
}

/// Enough for a server on the same machine.
const FEWEST: usize = 256;
/// What calls may wait for each other.
const WAIT: Duration = Duration::from_millis(1);

impl Default for SharedWindow {
    fn default() -> Self {
        Self { calls: FEWEST, shortest: Duration::MAX }
    }
}

impl SharedWindow {
    /// A call was answered after so long.
    pub fn answered_after(&mut self, time: Duration) {
        self.shortest = self.shortest.min(time);
        self.calls = match time > self.shortest.saturating_mul(2).saturating_add(WAIT) {
            true => (self.calls - 1).max(FEWEST),
            false => (self.calls + 1).min(WINDOW_CALLS),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_over_a_long_way_and_shrinks_where_calls_wait() {
        let mut window = SharedWindow::default();
        (0..20_000).for_each(|_| window.answered_after(Duration::from_millis(50)));
        assert_eq!(window.calls, WINDOW_CALLS);
        (0..20_000).for_each(|_| window.answered_after(Duration::from_millis(150)));
        assert_eq!(window.calls, FEWEST);
    }
}
