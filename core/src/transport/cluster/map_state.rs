//! What is done about the map of a cluster: when it is read, and whether one that was read is believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::credit::Credit;
use super::topology::Map;
use crate::config::Address;
use crate::transport::backoff::Backoff;
use crate::transport::node_id::NodeId;

/// The shortest time between two readings of the map.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
/// And the longest while something is amiss.
const MAX_INTERVAL: Duration = Duration::from_millis(400);
/// How long a map is not believed that names no node that was known before. Then there is no other: the cluster was set up
/// anew.
const STALE_EPOCH_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of the map.
pub struct MapState {
    stage: Stage,
    kinship: Kinship,
    /// The nodes that the last map named.
    known: Arc<[NodeId]>,
    credit: Credit,
    backoff: Backoff,
}

/// What the map is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing suggests that it has changed. It is read again at this moment at the earliest.
    Current(Instant),
    /// It is to be read, at this moment at the earliest.
    Wanted(Instant),
    /// It is being read, and again at this moment at the earliest.
    Reading(Instant),
}

/// Whose maps are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinship {
    /// Those of the cluster that was known before.
    Ours,
    /// Since this moment only maps that name none of the nodes that were known before.
    Foreign(Instant),
}

impl MapState {
    /// A map that has not been read.
    pub fn new(now: Instant, backoff: Backoff) -> Self {
        let (stage, credit) = (Stage::Wanted(now), Credit::default());
        Self { stage, kinship: Kinship::Ours, known: Arc::default(), credit, backoff }
    }

    /// Something suggests that it has changed.
    pub fn want(&mut self) {
        if let Stage::Current(at) = self.stage {
            self.stage = Stage::Wanted(at);
        }
    }

    /// When it is read next.
    pub fn next_moment(&self) -> Option<Instant> {
        match self.stage {
            Stage::Wanted(at) => Some(at),
            Stage::Current(_) | Stage::Reading(_) => None,
        }
    }

    /// Whether it is to be read now, which it is from now on.
    pub fn begins(&mut self, now: Instant) -> bool {
        let begins = self.next_moment().is_some_and(|at| at <= now);
        if begins {
            self.stage = Stage::Reading(now + self.backoff.next().clamp(MIN_INTERVAL, MAX_INTERVAL));
        }
        begins
    }

    /// The nodes that the last map named.
    pub fn known(&self) -> &Arc<[NodeId]> {
        &self.known
    }

    /// The servers whose maps have led nowhere.
    pub fn discredited(&mut self) -> Vec<Address> {
        self.credit.discredited()
    }

    /// A part of a call has come back from where the map leads, with an answer or without one.
    pub fn led(&mut self, is_answered: bool) {
        match is_answered {
            true => self.credit.led_somewhere(),
            false => self.credit.led_nowhere(),
        }
    }

    /// It could not be read, and is read again unless whoever was asked will not give it.
    pub fn not_read(&mut self, again: bool) {
        if let Stage::Reading(at) = self.stage {
            self.stage = if again { Stage::Wanted(at) } else { Stage::Current(at) };
        }
    }

    /// One was read. Whether it is believed; what it says about that is told with [`MapState::drawn`].
    pub fn believes(&mut self, map: &Map, now: Instant) -> bool {
        if map.is_foreign {
            let since = match self.kinship {
                Kinship::Ours => now,
                Kinship::Foreign(since) => since,
            };
            if now < since + STALE_EPOCH_TIMEOUT {
                self.kinship = Kinship::Foreign(since);
                self.not_read(true);
                return false;
            }
        }
        self.kinship = Kinship::Ours;
        self.credit.taken(map.source.clone());
        self.known = map.nodes.as_slice().into();
        true
    }

    /// One was taken over. It is read again if something is still amiss.
    pub fn drawn(&mut self, is_amiss: bool) {
        self.not_read(is_amiss);
        if !is_amiss {
            self.backoff.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(nodes: &[&str], is_foreign: bool) -> Map {
        let source = Address::Tcp("127.0.0.1".into(), 1);
        Map { ranges: Vec::new(), nodes: nodes.iter().map(|node| NodeId::new(node)).collect(), source, is_foreign }
    }

    #[test]
    fn it_is_read_when_it_is_wanted_and_not_too_often() {
        let now = Instant::now();
        let mut state = MapState::new(now, Backoff::default());
        assert!(state.begins(now) && !state.begins(now));
        state.want();
        assert_eq!(state.next_moment(), None, "it is being read");
        assert!(state.believes(&map(&["a"], false), now));
        state.drawn(false);
        assert_eq!(state.next_moment(), None);
        state.want();
        assert_eq!(state.next_moment(), Some(now + MIN_INTERVAL));
        assert!(!state.begins(now) && state.begins(now + MIN_INTERVAL));
        state.not_read(true);
        assert!(state.next_moment().is_some_and(|at| at <= now + MIN_INTERVAL + MAX_INTERVAL));
    }

    #[test]
    fn a_map_of_strangers_is_believed_when_there_has_been_no_other_for_a_while() {
        let now = Instant::now();
        let mut state = MapState::new(now, Backoff::default());
        assert!(state.begins(now) && state.believes(&map(&["a"], false), now));
        state.drawn(false);
        let read = |state: &mut MapState, map: &Map, at| {
            state.want();
            assert!(state.begins(at));
            let believes = state.believes(map, at);
            if believes {
                state.drawn(false);
            }
            believes
        };
        let second = Duration::from_secs(1);
        assert!(!read(&mut state, &map(&["b"], true), now + second));
        assert!(read(&mut state, &map(&["a"], false), now + 2 * second));
        assert!(!read(&mut state, &map(&["b"], true), now + 3 * second));
        assert!(!read(&mut state, &map(&["b"], true), now + 7 * second));
        assert!(read(&mut state, &map(&["b"], true), now + 8 * second));
        assert_eq!(state.known().as_ref(), [NodeId::new("b")]);
    }
}
