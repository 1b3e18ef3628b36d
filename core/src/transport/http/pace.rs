//! When requests may be sent: always, or, after the endpoint refused or failed, not before a pause is over, and then one call
//! first to see whether it works again. And when they may be given up.

use std::time::{Duration, Instant};

use crate::transport::backoff::Backoff;

/// How long the call that goes first is waited for before the others follow all the same.
const MAX_PROBE: Duration = Duration::from_secs(1);

/// When requests may be sent.
pub struct Pace {
    state: State,
    backoff: Backoff,
    /// No pause is longer, so that a call that was made during it is tried before its time is over.
    longest: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Always.
    Open,
    /// Not before this moment, and then one call.
    Paused(Instant),
    /// One call is under way; the others follow when it is answered, or at this moment.
    Probing(Instant),
}

/// How many calls may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// As many as there are.
    All,
    /// The oldest one.
    One,
    /// None.
    None,
}

impl Allowed {
    /// As a number.
    pub fn most(self) -> usize {
        match self {
            Allowed::All => usize::MAX,
            Allowed::One => 1,
            Allowed::None => 0,
        }
    }
}

/// Whether time was noticed late, because the process was stopped or had no time. Then the answers that came meanwhile are still in
/// the sockets, which others read, and nothing is given up until they had a moment for it.
#[derive(Default)]
pub struct Punctuality {
    planned: Option<Instant>,
    late_until: Option<Instant>,
}

impl Punctuality {
    /// How late is late.
    const TOLERANCE: Duration = Duration::from_millis(10);
    /// The moment.
    const CATCH_UP: Duration = Duration::from_millis(20);

    /// It is this moment now.
    pub fn woke(&mut self, now: Instant) {
        match self.late_until {
            // Once: what is not there by now is given up.
            Some(until) if until <= now => (self.late_until, self.planned) = (None, None),
            Some(_) => {}
            None => {
                let is_late = self.planned.take().is_some_and(|planned| planned + Self::TOLERANCE < now);
                self.late_until = is_late.then(|| now + Self::CATCH_UP);
            }
        }
    }

    /// Until when is slept that wants to sleep until then.
    pub fn sleeps_until(&mut self, moment: Option<Instant>) -> Option<Instant> {
        self.planned = moment.max(self.late_until);
        match (self.late_until, moment) {
            (Some(until), Some(moment)) => Some(until.max(moment)),
            _ => moment,
        }
    }

    /// Whether nothing is to be given up yet.
    pub fn is_late(&self) -> bool {
        self.late_until.is_some()
    }
}

impl Pace {
    /// For calls that have this long.
    pub fn new(command_timeout: Duration) -> Self {
        Self { state: State::Open, backoff: Backoff::default(), longest: command_timeout / 2 }
    }

    /// What may be sent now.
    pub fn allows(&mut self, now: Instant) -> Allowed {
        match self.state {
            State::Open => Allowed::All,
            State::Paused(until) | State::Probing(until) if now < until => Allowed::None,
            State::Paused(_) => Allowed::One,
            State::Probing(_) => {
                self.state = State::Open;
                Allowed::All
            }
        }
    }

    /// A request has been sent: after a pause, it is the one that goes first.
    pub fn request_sent(&mut self, now: Instant) {
        if let State::Paused(_) = self.state {
            self.state = State::Probing(now + MAX_PROBE.min(self.longest));
        }
    }

    /// The endpoint refused or failed: nothing is sent for as long as it says, within limits, and at least for a pause that
    /// grows each time.
    pub fn pause(&mut self, asked: Option<Duration>, now: Instant) {
        // Of several requests that fail together, one counts.
        if asked.is_none() && self.next_moment(now).is_some() && matches!(self.state, State::Paused(_)) {
            return;
        }
        let pause = self.backoff.next().max(asked.unwrap_or_default()).min(self.longest);
        let until = now + pause;
        self.state = match self.state {
            State::Paused(earlier) if earlier > until => self.state,
            _ => State::Paused(until),
        };
    }

    /// The endpoint answered a request.
    pub fn answered(&mut self) {
        self.backoff.reset();
        if let State::Probing(_) = self.state {
            self.state = State::Open;
        }
    }

    /// When more may be sent than now.
    pub fn next_moment(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Paused(until) | State::Probing(until) => Some(until).filter(|until| *until > now),
            State::Open => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn no_pause_is_longer_than_half_the_time_of_a_call() {
        let now = Instant::now();
        for asked in [Duration::from_secs(3600), Duration::from_secs(u64::MAX), Duration::MAX] {
            let mut pace = Pace::new(TIMEOUT);
            pace.pause(Some(asked), now);
            assert_eq!(pace.next_moment(now), Some(now + TIMEOUT / 2));
            assert_eq!(pace.allows(now + TIMEOUT / 2), Allowed::One);
        }
    }

    #[test]
    fn what_the_endpoint_asks_for_is_waited_for_and_never_nothing() {
        let now = Instant::now();
        let mut pace = Pace::new(TIMEOUT);
        pace.pause(Some(Duration::from_secs(2)), now);
        assert_eq!(pace.next_moment(now), Some(now + Duration::from_secs(2)));
        let mut pace = Pace::new(TIMEOUT);
        pace.pause(Some(Duration::ZERO), now);
        assert!(pace.next_moment(now).is_some_and(|until| until > now));
        pace.pause(Some(Duration::from_secs(1)), now);
        pace.pause(None, now);
        assert_eq!(pace.next_moment(now), Some(now + Duration::from_secs(1)), "a longer pause is kept");
    }

    #[test]
    fn one_call_goes_first_and_the_others_when_it_is_answered_or_takes_long() {
        let now = Instant::now();
        let mut pace = Pace::new(TIMEOUT);
        assert_eq!(pace.allows(now), Allowed::All);
        pace.pause(None, now);
        assert_eq!(pace.allows(now), Allowed::None);
        let later = now + TIMEOUT;
        assert_eq!(pace.allows(later), Allowed::One);
        pace.request_sent(later);
        assert_eq!(pace.allows(later), Allowed::None);
        assert_eq!(pace.next_moment(later), Some(later + MAX_PROBE));
        assert_eq!(pace.allows(later + MAX_PROBE), Allowed::All);
        pace.pause(None, now);
        assert_eq!(pace.allows(later), Allowed::One);
        pace.request_sent(later);
        pace.answered();
        assert_eq!(pace.allows(later), Allowed::All);
    }
}
