//! What replies are to come on a connection, whose they are, and how much is in flight.

use std::collections::VecDeque;
use std::time::Instant;

use crate::moment::Moment;
use crate::store::server_features::ServerFeatures;
use crate::transport::ordered_calls::CallKey;

/// Whose the next replies are.
pub(super) struct Expected {
    pub(super) owner: Owner,
    /// Replies that have not come as a whole.
    pub(super) left: u32,
    /// The number of the first one.
    pub(super) first_reply: u64,
    pub(super) sent_at: Instant,
    /// Bytes of the connection before the first of its own.
    begins_at: u64,
    /// When the first of them was given to the socket.
    pub(super) written_at: Option<Moment>,
}

pub(super) enum Owner {
    /// A call's.
    Call(SentCall),
    /// Nobody's any more: the call was given up.
    GivenUp { bytes: usize, writes: bool },
    /// The session's own. The last one tells its name.
    Question,
    /// A ping's.
    Ping,
    /// That of a question about the server.
    Fact,
}

pub(super) struct SentCall {
    pub(super) key: CallKey,
    pub(super) replies: u32,
    /// The first reply is that to ASKING.
    pub(super) asking: bool,
    /// Bytes of arguments.
    pub(super) bytes: usize,
    pub(super) writes: bool,
    /// What the server was taken to understand.
    pub(super) features: ServerFeatures,
    /// Its replies are thrown away, because they are too much for now.
    pub(super) dropped: bool,
}

impl Expected {
    /// Whether the reply that comes next is that to ASKING, which is not the call's own.
    pub(super) fn is_at_asking(&self) -> bool {
        matches!(&self.owner, Owner::Call(sent) if sent.asking && self.left == sent.replies)
    }
}

/// What replies are to come, in the order in which they do, and how many calls with how many bytes that is.
#[derive(Default)]
pub(super) struct Awaited {
    queue: VecDeque<Expected>,
    /// How many have left the queue: the number of its front.
    ended: u64,
    /// Replies that are expected after all that were.
    next_command: u64,
    /// The number of the first whose bytes have not been given to the socket.
    next_to_write: u64,
    calls: usize,
    bytes: usize,
    /// Calls that were given up among those in flight.
    given_up: usize,
}

impl Awaited {
    /// So many replies are to come for what was encoded behind byte `begins_at`. Returns the number to name it by.
    pub(super) fn expect(&mut self, owner: Owner, replies: u32, begins_at: u64, now: Instant) -> u64 {
        if let Owner::Call(sent) = &owner {
            self.calls += 1;
            self.bytes += sent.bytes;
        }
        let number = self.ended + self.queue.len() as u64;
        let first_reply = self.next_command;
        self.queue.push_back(Expected { owner, left: replies, first_reply, sent_at: now, begins_at, written_at: None });
        self.next_command += u64::from(replies);
        number
    }

    /// Whose the next reply is.
    pub(super) fn front(&self) -> Option<&Expected> {
        self.queue.front()
    }

    /// Whose the next reply is.
    pub(super) fn front_mut(&mut self) -> Option<&mut Expected> {
        self.queue.front_mut()
    }

    /// All replies of the front have come.
    pub(super) fn pop(&mut self) -> Option<Expected> {
        let expected = self.queue.pop_front()?;
        self.ended += 1;
        match &expected.owner {
            Owner::Call(SentCall { bytes, .. }) => {
                self.calls -= 1;
                self.bytes -= bytes;
            }
            Owner::GivenUp { bytes, .. } => {
                self.calls -= 1;
                self.bytes -= bytes;
                self.given_up -= 1;
            }
            Owner::Question | Owner::Ping | Owner::Fact => {}
        }
        Some(expected)
    }

    /// The bytes of the connection before `end` have been given to the socket, the last of them at this moment.
    pub(super) fn wrote(&mut self, end: u64, at: Moment) {
        self.next_to_write = self.next_to_write.max(self.ended);
        while let Some(index) = self.next_to_write.checked_sub(self.ended)
            && let Some(expected) = self.queue.get_mut(index as usize)
            && expected.begins_at < end
        {
            expected.written_at = Some(at);
            self.next_to_write += 1;
        }
    }

    /// The call of this number was given up. Its replies are still to come.
    pub(super) fn give_up(&mut self, number: u64) {
        let Some(index) = number.checked_sub(self.ended) else { return };
        if let Some(expected) = self.queue.get_mut(index as usize)
            && let Owner::Call(sent) = &expected.owner
        {
            expected.owner = Owner::GivenUp { bytes: sent.bytes, writes: sent.writes };
            self.given_up += 1;
        }
    }

    /// Calls that have no answer, those among them that were given up.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// The bytes of their arguments.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all calls that have no answer were given up.
    pub(super) fn are_given_up(&self) -> bool {
        self.calls == self.given_up
    }

    /// Whether a write among them was given up.
    pub(super) fn has_given_up_write(&self) -> bool {
        self.given_up > 0
            && self.queue.iter().any(|expected| matches!(expected.owner, Owner::GivenUp { writes: true, .. }))
    }
}
