//! What was carried out where, and what is said about that.

use super::world::World;
use crate::error_texts::calls as texts;
use crate::store::cluster_steps::steps;
use crate::store::keys::Role;
use crate::store::slot::{slot_of, tag_of};
use crate::store::{Call, Operation};
use crate::transport::simulation::history::Outcome;
use crate::transport::simulation::server::Keys;

impl World {
    /// A part of a call was carried out.
    pub fn note_applied(&mut self, sequence: u64, call: &Call) {
        if !call.operation.writes() {
            return;
        }
        if (call.operation, call.only) == (Operation::CommitResult, Some(Role::Transactions)) {
            let result = (sequence, Some(Role::Results));
            assert!(self.applied.contains(&result), "call {sequence} took its task from those in progress too early");
        }
        self.applied.insert((sequence, call.only));
    }

    /// What is said of a call is what was done.
    pub fn check_applied(&self, token: u32, call: &Call, outcome: &Outcome) {
        if !call.operation.writes() {
            return;
        }
        let sequence = u64::from(token);
        match outcome {
            Outcome::Done(_) => {
                let tagged = tag_of(&call.execution_key()).is_some();
                let parts = steps(call).filter(|_| !tagged).unwrap_or_default();
                let mut all: Vec<Option<Role>> =
                    parts.iter().flat_map(|step| step.iter().map(|(_, role)| Some(*role))).collect();
                if all.is_empty() {
                    all.push(None);
                }
                for part in all {
                    assert!(self.applied.contains(&(sequence, part)), "{part:?} of call {token} was not carried out");
                }
            }
            Outcome::Failed { message, .. } => {
                let any = self.applied.range((sequence, None)..).next().is_some_and(|(other, _)| *other == sequence);
                let says_part = message.contains(texts::OTHER_PARTS_APPLIED);
                assert!(any || !says_part, "nothing of call {token} was carried out, but: {message}");
            }
        }
    }

    /// What an error says was not applied never was.
    pub fn check_not_applied(&self) {
        for (sequence, part) in &self.applied {
            if let Some(Outcome::Failed { maybe: false, message }) = self.history.records[*sequence as usize].outcome()
            {
                panic!("{part:?} of call {sequence} was carried out, but: {message}");
            }
        }
    }

    /// All keys, those of tagged executions by their names without tags.
    pub fn keys(&self) -> Keys {
        let mut keys = Keys::new();
        for (number, node) in self.nodes.iter().enumerate() {
            for (key, entry) in &node.server.keys {
                if self.truth.owner(slot_of(key)) == number {
                    let name: Vec<u8> = key.iter().copied().filter(|byte| !matches!(byte, b'{' | b'}')).collect();
                    keys.insert(name, entry.clone());
                }
            }
        }
        keys
    }
}

/// Whether an error says that a write may have been applied, if only in part.
pub fn says_maybe(message: &str) -> bool {
    [texts::MAY_BE_APPLIED, texts::SENT_BEFORE, texts::OTHER_PARTS_APPLIED].iter().any(|text| message.contains(text))
}
