//! When calls are given up.

use std::collections::VecDeque;
use std::time::Instant;

use slab::Slab;

use super::{CallKey, Entry};

/// The deadlines of all calls, earliest first. Calls nearly always come in the order of their deadlines, and nearly always
/// are over before them: those that are over are only looked at when they come first.
#[derive(Default)]
pub(super) struct Deadlines {
    pub(super) queue: VecDeque<(Instant, CallKey, u64)>,
}

impl Deadlines {
    /// Entries of calls that are over, beyond which they are thrown out.
    pub(super) const SURPLUS: usize = 1024;

    pub(super) fn push(&mut self, deadline: Instant, key: CallKey, serial: u64) {
        match self.queue.back() {
            Some((last, ..)) if *last > deadline => {
                let index = self.queue.partition_point(|(other, ..)| *other <= deadline);
                self.queue.insert(index, (deadline, key, serial));
            }
            _ => self.queue.push_back((deadline, key, serial)),
        }
    }

    pub(super) fn is_alive(calls: &Slab<Entry>, key: CallKey, serial: u64) -> bool {
        calls.get(key.0 as usize).is_some_and(|entry| entry.serial == serial)
    }

    pub(super) fn earliest(&mut self, calls: &Slab<Entry>) -> Option<Instant> {
        if self.queue.len() > 2 * calls.len() + Self::SURPLUS {
            self.queue.retain(|(_, key, serial)| Self::is_alive(calls, *key, *serial));
        }
        while let Some(&(deadline, key, serial)) = self.queue.front() {
            if Self::is_alive(calls, key, serial) {
                return Some(deadline);
            }
            self.queue.pop_front();
        }
        None
    }

    pub(super) fn take_past(&mut self, now: Instant, calls: &Slab<Entry>) -> Option<CallKey> {
        self.earliest(calls).filter(|deadline| *deadline <= now)?;
        self.queue.pop_front().map(|(_, key, _)| key)
    }
}
