//! By what name the server knows a connection, and how far that is known.

use std::time::{Duration, Instant};

use crate::transport::connection::handshake::{Identity, Name};
use crate::transport::error::ConnectError;

/// The pause before a server that did not tell the connection's name is asked again; it doubles.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Doublings of that pause.
const MAX_DOUBLINGS: u32 = 3;

/// How far it is known by what name the connection can be fenced off. Until it is known, nothing is sent that must not come
/// back.
pub(super) struct Naming {
    state: State,
    refusals: u32,
}

enum State {
    /// The server was asked; the error is what it said before, if it did.
    Asked(Option<ConnectError>),
    /// It did not tell for now, and is asked again when there is something to send, not before this moment.
    AskAgain(ConnectError, Instant),
    /// By this; `None` where the server can never tell.
    Known(Option<Identity>),
}

impl Naming {
    /// The server was asked for the first time.
    pub(super) fn asked() -> Self {
        Self { state: State::Asked(None), refusals: 0 }
    }

    /// The server has told this.
    pub(super) fn told(name: Name, now: Instant) -> Self {
        let mut naming = Self::asked();
        naming.learn(name, now);
        naming
    }

    /// Takes in what the server told.
    pub(super) fn learn(&mut self, name: Name, now: Instant) {
        self.state = match name {
            Name::Known(identity) => State::Known(Some(identity)),
            Name::Never => State::Known(None),
            Name::NotYet(error_reply) => {
                let pause = ASK_AGAIN * (1 << self.refusals.min(MAX_DOUBLINGS));
                self.refusals += 1;
                State::AskAgain(ConnectError::handshake(error_reply), now + pause)
            }
        };
    }

    /// Whether the server is to be asked again now. It counts as asked then.
    pub(super) fn asks_again(&mut self, now: Instant) -> bool {
        let error = match &self.state {
            State::AskAgain(error, at) if *at <= now => error.clone(),
            State::AskAgain(..) | State::Asked(_) | State::Known(_) => return false,
        };
        self.state = State::Asked(Some(error));
        true
    }

    /// When the server is asked again.
    pub(super) fn asks_again_at(&self) -> Option<Instant> {
        match self.state {
            State::AskAgain(_, at) => Some(at),
            State::Asked(_) | State::Known(_) => None,
        }
    }

    /// Whether it is settled by what name the connection can be fenced off, if by any.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state, State::Known(_))
    }

    /// Whether the server was asked and has never answered.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self.state, State::Asked(None))
    }

    /// Why the server does not tell, if that is so.
    pub(super) fn refusal(&self) -> Option<&ConnectError> {
        match &self.state {
            State::AskAgain(error, _) => Some(error),
            State::Asked(error) => error.as_ref(),
            State::Known(_) => None,
        }
    }

    /// By what the connection can be fenced off, if by anything.
    pub(super) fn identity(&self) -> Option<Identity> {
        match &self.state {
            State::Known(identity) => identity.clone(),
            // Nothing was written.
            State::Asked(_) | State::AskAgain(..) => None,
        }
    }
}
