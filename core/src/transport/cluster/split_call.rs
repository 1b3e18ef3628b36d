//! A call to a cluster while its parts are under way.

use std::time::Instant;

use super::counts::Counted;
use crate::error::StoreError;
use crate::store::cluster_steps::Steps;
use crate::store::execution_order::Staged;
use crate::store::keys::Role;
use crate::store::{Position, Reply};
use crate::transport::applied::{Applied, Delivery};
use crate::transport::request::Request;

/// The parts of a call, as the lowest bits of a token.
const ROLES: [Role; 3] = [Role::Execution, Role::Transactions, Role::Results];

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
    /// How far it has come.
    pub stage: Stage,
    /// Where its parts are.
    parts: [PartState; ROLES.len()],
    /// What the call is answered with.
    pub reply: Option<Reply>,
    /// The answer's position, if the call was sent whole.
    pub position: Option<Position>,
    /// Why it failed, and the deliveries of the part that did.
    pub failure: Option<(Box<StoreError>, Delivery)>,
    /// How often the part was sent that was sent most often.
    pub attempts: u32,
    /// How much of it its parts have applied: in part as soon as one was answered with success.
    pub applied: Applied,
}

/// How far a call has come.
pub enum Stage {
    /// It waits until an earlier call for its execution has made its last step.
    Waiting,
    /// It is sent as it is.
    Whole,
    /// It is sent in parts, in steps.
    Split {
        /// The steps that are still to be made.
        rest: Steps,
        /// Others wait until the last one is.
        staged: Option<Staged>,
    },
}

/// Where a part of a call is.
#[derive(Default)]
pub enum PartState {
    /// It is over, or there is none.
    #[default]
    Over,
    /// It waits until its slot is at rest.
    Held(Destination),
    /// It was sent.
    UnderWay(UnderWay),
}

/// Where a part that is held will be sent.
#[derive(Default)]
pub enum Destination {
    /// To the node that has the slot.
    #[default]
    Owner,
    /// To a node that the slot is being migrated to, and that is kept for it.
    Asked {
        /// The node.
        node: u32,
        /// Counted there.
        asked: Counted,
    },
}

/// A part that was sent.
pub struct UnderWay {
    /// Where to.
    pub node: u32,
    /// Counted with its node.
    pub of_node: Counted,
    /// Counted with its slot.
    pub of_slot: Counted,
    /// Counted with the node that it was to ask.
    pub destination: Destination,
}

/// Which part of a call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of it.
    Whole,
    /// What it does to one key.
    Of(Role),
}

impl Which {
    fn index(self) -> usize {
        match self {
            Which::Whole => 0,
            Which::Of(role) => role as usize,
        }
    }
}

/// A part of a call, as the token of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartToken {
    /// The number of the call.
    pub index: usize,
    /// Which part.
    pub which: Which,
}

impl PartToken {
    /// As a number.
    pub fn pack(self) -> u32 {
        let which = match self.which {
            Which::Whole => ROLES.len(),
            Which::Of(role) => role as usize,
        };
        (self.index << 2 | which) as u32
    }

    /// From a number.
    pub fn unpack(token: u32) -> Self {
        let which = ROLES.get(token as usize & 3).map_or(Which::Whole, |role| Which::Of(*role));
        Self { index: token as usize >> 2, which }
    }
}

impl SplitCall {
    /// A call of which nothing has been sent.
    pub fn new(request: Request, sequence: u64, deadline: Instant) -> Self {
        Self {
            before: request.delivery,
            request,
            sequence,
            deadline,
            stage: Stage::Waiting,
            parts: Default::default(),
            reply: None,
            position: None,
            failure: None,
            attempts: 0,
            applied: Applied::No,
        }
    }

    /// Where a part is.
    pub fn part(&mut self, which: Which) -> &mut PartState {
        &mut self.parts[which.index()]
    }

    /// Whether no part of it is to come back.
    pub fn is_back(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, PartState::Over))
    }

    /// The counts end, and with them what was counted.
    pub fn forget_counts(&mut self) {
        for part in &mut self.parts {
            match std::mem::take(part) {
                PartState::Over => {}
                PartState::Held(destination) => destination.forget(),
                PartState::UnderWay(UnderWay { of_node, of_slot, destination, .. }) => {
                    of_node.forget();
                    of_slot.forget();
                    destination.forget();
                }
            }
        }
        if let Stage::Split { staged, .. } = &mut self.stage {
            staged.take().into_iter().for_each(Staged::forget);
        }
    }
}

impl Destination {
    fn forget(self) {
        if let Destination::Asked { asked, .. } = self {
            asked.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_a_part_of_a_call() {
        for which in [Which::Whole, Which::Of(Role::Execution), Which::Of(Role::Transactions), Which::Of(Role::Results)]
        {
            let token = PartToken { index: 100_000, which };
            assert_eq!(PartToken::unpack(token.pack()), token);
        }
    }
}
