//! Which of a host name's addresses are tried, and in what order: those of one IP version and the other in turn, as RFC 8305 has it,
//! and last those that failed lately or have been silent for a while, so that they do not cost the next attempt its time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time between two addresses, and how long one may be silent before the others go first
/// (<https://www.rfc-editor.org/rfc/rfc8305#section-5>, "Connection Attempt Delay").
pub const DELAY: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried within one attempt.
const MAX_TRIED: usize = 16;
/// How long an address goes last that failed.
const DEMOTED: Duration = Duration::from_secs(60);
/// Addresses that are remembered. The oldest is forgotten first.
const MAX_REMEMBERED: usize = 256;

/// The addresses that have not answered, oldest first.
static SILENT: Mutex<VecDeque<Silent>> = Mutex::new(VecDeque::new());
/// The number of the next trial.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// An address that has not answered.
struct Silent {
    address: SocketAddr,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is being tried, in the trial of this number, since this moment.
    Tried(u64, Instant),
    /// It failed at this moment.
    Failed(Instant),
}

impl Silent {
    /// Whether the others go first.
    fn goes_last(&self, now: Instant) -> bool {
        match self.state {
            State::Tried(_, since) => now.saturating_duration_since(since) >= DELAY,
            State::Failed(at) => now.saturating_duration_since(at) < DEMOTED,
        }
    }
}

fn silent() -> MutexGuard<'static, VecDeque<Silent>> {
    SILENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(silent: &mut VecDeque<Silent>, address: SocketAddr, state: State) {
    if silent.len() >= MAX_REMEMBERED {
        silent.pop_front();
    }
    silent.push_back(Silent { address, state });
}

/// The order in which addresses are tried; the system's own order decides which IP version is first.
pub fn order(addresses: Vec<SocketAddr>, now: Instant) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ones, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut ones, mut others) = (ones.into_iter(), others.into_iter());
    let mut order = Vec::new();
    loop {
        let pair = [ones.next(), others.next()];
        if pair == [None, None] {
            break;
        }
        for address in pair.into_iter().flatten() {
            if !order.contains(&address) {
                order.push(address);
            }
        }
    }
    let silent = silent();
    let goes_last = |address: &SocketAddr| silent.iter().any(|entry| entry.address == *address && entry.goes_last(now));
    order.sort_by_key(goes_last);
    order.truncate(MAX_TRIED);
    order
}

/// An address that is being tried, until its server has said something. One that is given up after a while has failed.
#[derive(Debug)]
pub struct Trial {
    address: SocketAddr,
    number: u64,
    begun: Instant,
}

impl Trial {
    /// An address is tried.
    pub fn new(address: SocketAddr) -> Self {
        let (number, begun) = (NEXT.fetch_add(1, Ordering::Relaxed), Instant::now());
        remember(&mut silent(), address, State::Tried(number, begun));
        Self { address, number, begun }
    }

    /// Its server answers.
    pub fn answered(self) {
        silent().retain(|entry| entry.address != self.address);
    }

    /// It cannot be reached, or its server has closed the connection without an answer.
    pub fn failed(self) {
        self.end(true);
    }

    fn end(&self, failed: bool) {
        let mut silent = silent();
        let is_this = |entry: &Silent| {
            entry.address == self.address && matches!(entry.state, State::Tried(number, _) if number == self.number)
        };
        // Otherwise it has ended, or its server has answered over another connection.
        let Some(place) = silent.iter().position(is_this) else { return };
        silent.remove(place);
        if failed {
            silent.retain(|entry| entry.address != self.address || matches!(entry.state, State::Tried(..)));
            remember(&mut silent, self.address, State::Failed(Instant::now()));
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.end(self.begun.elapsed() >= DELAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str) -> SocketAddr {
        SocketAddr::new(host.parse().unwrap(), 7)
    }

    fn ordered(hosts: &[&str], now: Instant) -> Vec<String> {
        let addresses = hosts.iter().map(|host| address(host)).collect();
        order(addresses, now).iter().map(|address| address.ip().to_string()).collect()
    }

    #[test]
    fn the_ip_versions_take_turns_and_no_address_is_tried_twice() {
        let now = Instant::now();
        let mixed = ["fd00::1", "fd00::2", "fd00::3", "10.7.0.1", "10.7.0.2", "10.7.0.1"];
        assert_eq!(ordered(&mixed, now), ["fd00::1", "10.7.0.1", "fd00::2", "10.7.0.2", "fd00::3"]);
        assert_eq!(ordered(&["10.7.0.1", "fd00::1", "10.7.0.2"], now), ["10.7.0.1", "fd00::1", "10.7.0.2"]);
        let many: Vec<SocketAddr> = (0..99).map(|number| SocketAddr::from(([10, 7, 1, number], 7))).collect();
        assert_eq!(order(many, now).len(), MAX_TRIED);
    }

    #[test]
    fn an_address_that_failed_goes_last_until_it_answers_or_for_a_while() {
        let (hosts, now) = (["10.8.0.1", "10.8.0.2", "10.8.0.3"], Instant::now());
        Trial::new(address("10.8.0.1")).failed();
        assert_eq!(ordered(&hosts, now), ["10.8.0.2", "10.8.0.3", "10.8.0.1"]);
        assert_eq!(ordered(&hosts, Instant::now() + DEMOTED), hosts);
        Trial::new(address("10.8.0.1")).answered();
        assert_eq!(ordered(&hosts, now), hosts);
    }

    #[test]
    fn an_address_that_is_silent_goes_last_while_it_is_still_waited_for() {
        let hosts = ["10.9.0.1", "10.9.0.2"];
        let trial = Trial::new(address("10.9.0.1"));
        assert_eq!(ordered(&hosts, trial.begun), hosts);
        assert_eq!(ordered(&hosts, trial.begun + DELAY), ["10.9.0.2", "10.9.0.1"]);
        // Another connection won at once: that says nothing about this one.
        drop(trial);
        assert_eq!(ordered(&hosts, Instant::now()), hosts);
    }
}
