//! One connection in use: the bytes to be written, the replies that are to come and whose they are, and by what name the
//! server knows it. No sockets and no clock: what comes and what time it is, it is told.

mod awaited;
mod last_error;
mod naming;
mod outgoing;

use std::num::NonZeroU64;
use std::time::Instant;

use redis::{Pipeline, Value};

use awaited::{Awaited, Expected, Owner, SentCall};
use last_error::{Ignored, LastError, Noting};
use naming::Naming;
use outgoing::Outgoing;

use super::handshake::{Identity, Name};
use super::shared_window::SharedWindow;
use crate::moment::Moment;
use crate::store::ErrorReply;
use crate::store::reply_reader::ReplyReader;
use crate::store::server_features::ServerFeatures;
use crate::store::{Call, Position, Reply};
use crate::transport::error::ConnectError;
use crate::transport::ordered_calls::CallKey;
use crate::transport::pending_calls::PendingCall;
use crate::transport::protocol::decode::Decoder;
use crate::transport::protocol::value_visitor::ValueVisitor;
use crate::transport::protocol::violation::ProtocolViolation;

/// Calls in flight on one connection; the rest waits, where a deadline means that nothing was applied.
pub(super) const WINDOW_CALLS: usize = 16_384;
/// Bytes of arguments in flight on one connection, unless a single call is larger.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that are kept ready to be written, unless a single call is larger.
const READY_BYTES: usize = 256 * 1024;

/// What a session begins with.
pub enum Opening {
    /// The handshake is over, and this came of it.
    Greeted(Name),
    /// The handshake is still to be sent; nothing in it has to come before reads. The last reply tells the name.
    Pipelined(Pipeline),
}

/// A call whose replies have come.
pub struct Answered {
    /// Which.
    pub key: CallKey,
    /// The position of its first reply.
    pub position: Position,
    /// What the server was taken to understand.
    pub features: ServerFeatures,
    /// The bytes of its replies.
    pub bytes: usize,
    /// They were thrown away.
    pub dropped: bool,
}

/// What came of some bytes.
pub enum Event {
    /// Nothing yet: all bytes were used.
    Nothing,
    /// A call was answered, and this is what its replies mean. The rest of the bytes is still to be read.
    Answered(Answered, usize),
    /// A ping was answered, with this, and it was sent at this moment. The rest of the bytes is still to be read.
    Ponged(Value, Instant, usize),
    /// A question about the server was answered, with this. The rest of the bytes is still to be read.
    Told(Value, usize),
    /// The session's own question was answered. The rest of the bytes is still to be read.
    Named(usize),
}

/// One connection in use.
pub struct Session {
    /// Tells it from every other connection of this process.
    id: NonZeroU64,
    naming: Naming,
    outgoing: Outgoing,
    decoder: Decoder,
    reader: ReplyReader,
    values: ValueVisitor,
    awaited: Awaited,
    /// Replies that have come.
    replies: u64,
    /// Bytes that have come of the replies that are coming.
    coming: usize,
    shared_window: SharedWindow,
    last_error: LastError,
    heard_at: Instant,
    answered: bool,
}

impl Session {
    /// A connection that has just been made.
    pub fn new(id: NonZeroU64, opening: Opening, now: Instant) -> Self {
        let (naming, handshake) = match opening {
            Opening::Greeted(name) => (Naming::told(name, now), None),
            Opening::Pipelined(pipeline) => (Naming::asked(), Some(pipeline)),
        };
        let mut session = Self {
            id,
            naming,
            outgoing: Outgoing::default(),
            decoder: Decoder::new(),
            reader: ReplyReader::default(),
            values: ValueVisitor::default(),
            awaited: Awaited::default(),
            replies: 0,
            coming: 0,
            shared_window: SharedWindow::default(),
            last_error: LastError::default(),
            heard_at: now,
            answered: false,
        };
        if let Some(pipeline) = handshake {
            session.ask(&pipeline, now);
        }
        session
    }

    /// Whether calls that write may be sent: a connection without a name could not be fenced off.
    pub fn takes_writes(&self) -> bool {
        self.naming.is_settled()
    }

    /// Whether the handshake was left to the session and has no answer.
    pub fn awaits_handshake(&self) -> bool {
        self.naming.is_unanswered() && self.awaited.front().is_some_and(|next| matches!(next.owner, Owner::Question))
    }

    /// Whether nothing has come since the connection was made.
    pub fn has_heard_nothing(&self) -> bool {
        self.awaits_handshake() && self.replies == 0 && self.decoder.between()
    }

    /// The latest reply, if it is an error and one to the session's own question, others of which have no answer.
    pub fn last_words(&self) -> Option<ErrorReply> {
        let Expected { owner: Owner::Question, .. } = self.awaited.front()? else { return None };
        (self.last_error.is_latest && self.decoder.between())
            .then(|| ErrorReply::of(String::from_utf8_lossy(&self.last_error.text).trim_ascii_end()))
    }

    /// Whether another call may be sent now. `is_shared` is whether several stores use the connection.
    pub fn has_room(&self, is_shared: bool) -> bool {
        let window = if is_shared { self.shared_window.calls } else { WINDOW_CALLS };
        self.unwritten().len() < READY_BYTES && self.awaited.calls() < window && self.awaited.bytes() < WINDOW_BYTES
    }

    /// Writes a call's commands. Returns the number under which its replies are expected.
    pub fn send(&mut self, key: CallKey, pending: &PendingCall, features: ServerFeatures, now: Instant) -> u64 {
        let call = &pending.request.call;
        let asking = pending.request.route.as_ref().is_some_and(|route| route.asking);
        let begins_at = self.outgoing.end();
        if asking {
            self.outgoing.encoder.command(&[b"ASKING"]);
        }
        let replies = call.append(features, &mut self.outgoing.encoder) as u32 + u32::from(asking);
        let (bytes, writes) = (call.size(), call.operation.writes());
        self.awaited.expect(
            Owner::Call(SentCall { key, replies, asking, bytes, writes, features, dropped: false }),
            replies,
            begins_at,
            now,
        )
    }

    fn ask(&mut self, pipeline: &Pipeline, now: Instant) {
        let begins_at = self.outgoing.end();
        self.outgoing.encoder.pipeline(pipeline);
        self.awaited.expect(Owner::Question, pipeline.len() as u32, begins_at, now);
    }

    /// Asks whether the server is there.
    pub fn ping(&mut self, now: Instant) {
        let begins_at = self.outgoing.end();
        self.outgoing.encoder.command(&[b"PING"]);
        self.awaited.expect(Owner::Ping, 1, begins_at, now);
    }

    /// Asks about the server: as many replies come as there are questions.
    pub fn ask_facts(&mut self, questions: &Pipeline, now: Instant) {
        let begins_at = self.outgoing.end();
        self.outgoing.encoder.pipeline(questions);
        for _ in 0..questions.len() {
            self.awaited.expect(Owner::Fact, 1, begins_at, now);
        }
    }

    /// Whether the server has answered anything.
    pub fn was_greeted(&self) -> bool {
        !self.naming.is_unanswered()
    }

    /// Asks for the connection's name again, if it is time to.
    pub fn ask_name(&mut self, now: Instant) {
        if self.naming.asks_again(now) {
            let mut pipeline = Pipeline::new();
            Name::ask(&mut pipeline);
            self.ask(&pipeline, now);
        }
    }

    /// When the name is asked for again.
    pub fn asks_name_at(&self) -> Option<Instant> {
        self.naming.asks_again_at()
    }

    /// Why the server does not tell the name, if that is so.
    pub fn why_nameless(&self) -> Option<&ConnectError> {
        self.naming.refusal()
    }

    /// By what the connection can be fenced off, if by anything.
    pub fn identity(&self) -> Option<Identity> {
        self.naming.identity()
    }

    /// The bytes that are to be written.
    pub fn unwritten(&self) -> &[u8] {
        self.outgoing.unwritten()
    }

    /// So many of them have been written, from this moment on.
    pub fn wrote(&mut self, bytes: usize, at: Moment) {
        let end = self.outgoing.wrote(bytes);
        self.awaited.wrote(end, at);
    }

    /// The server shows that it is there.
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Since when the server has been silent although it owes an answer.
    pub fn silent_since(&self) -> Option<Instant> {
        self.awaited.front().map(|expected| expected.sent_at.max(self.heard_at))
    }

    /// Whether a call was answered.
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// How many calls were sent and have no answer, those among them that were given up.
    pub fn calls_in_flight(&self) -> usize {
        self.awaited.calls()
    }

    /// Whether anything that was sent has no answer.
    pub fn owes(&self) -> bool {
        self.awaited.calls() > 0
    }

    /// Whether a write that was sent and given up has no answer.
    pub fn owes_given_up_write(&self) -> bool {
        self.awaited.has_given_up_write()
    }

    /// Whether all calls that have no answer were given up.
    pub fn is_settled(&self) -> bool {
        self.awaited.are_given_up()
    }

    /// Reads bytes until something has come of them. `call` gives the call of a key.
    ///
    /// # Errors
    /// When the connection must not be used any longer.
    pub fn read<'a>(&mut self, bytes: &[u8], call: impl Fn(CallKey) -> &'a Call) -> Result<Event, ProtocolViolation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(expected) = self.awaited.front_mut() else { return Err(ProtocolViolation::Unsolicited) };
            let is_new = self.decoder.between();
            if is_new {
                self.last_error.is_latest = false;
            }
            let error = &mut self.last_error;
            let is_asking = expected.is_at_asking();
            let tells_nothing = match &expected.owner {
                Owner::Call(sent) => sent.dropped || is_asking,
                Owner::GivenUp { .. } => true,
                // Only the last one of its answers tells anything. The others may be errors, as those of servers to which libraries can't
                // introduce themselves, and to make values of errors takes long.
                Owner::Question => expected.left > 1,
                Owner::Ping | Owner::Fact => false,
            };
            let progress = match &expected.owner {
                _ if tells_nothing => self.decoder.read(rest, &mut Noting { visitor: &mut Ignored, error })?,
                Owner::Call(sent) => {
                    if is_new && expected.left + u32::from(sent.asking) == sent.replies {
                        self.reader.begin(call(sent.key), sent.features);
                    }
                    self.decoder.read(rest, &mut Noting { visitor: &mut self.reader, error })?
                }
                Owner::GivenUp { .. } | Owner::Question | Owner::Ping | Owner::Fact => {
                    self.decoder.read(rest, &mut Noting { visitor: &mut self.values, error })?
                }
            };
            rest = &rest[progress.used..];
            self.coming += progress.used;
            if !progress.complete {
                continue;
            }
            self.replies += 1;
            if !tells_nothing && matches!(expected.owner, Owner::Call(_)) {
                self.reader.end_of_reply();
            }
            expected.left -= 1;
            if expected.left > 0 {
                continue;
            }
            let Some(Expected { owner, first_reply, sent_at, written_at, .. }) = self.awaited.pop() else {
                continue;
            };
            let bytes_come = std::mem::take(&mut self.coming);
            match owner {
                Owner::Call(SentCall { key, features, dropped, .. }) => {
                    self.answered = true;
                    self.shared_window.answered_after(self.heard_at.saturating_duration_since(sent_at));
                    let written_at = written_at.unwrap_or_default();
                    let position = Position { connection: self.id, number: first_reply, written_at };
                    let answered = Answered { key, position, features, bytes: bytes_come, dropped };
                    return Ok(Event::Answered(answered, bytes.len() - rest.len()));
                }
                Owner::GivenUp { .. } => self.answered = true,
                Owner::Fact => {
                    let reply = self.values.take().unwrap_or(Value::Nil);
                    return Ok(Event::Told(reply, bytes.len() - rest.len()));
                }
                Owner::Ping => {
                    let reply = self.values.take().unwrap_or(Value::Nil);
                    return Ok(Event::Ponged(reply, sent_at, bytes.len() - rest.len()));
                }
                Owner::Question => return Ok(Event::Named(bytes.len() - rest.len())),
            }
        }
        Ok(Event::Nothing)
    }

    /// The call of which replies are coming, unless they are thrown away, and the bytes that have come of them.
    pub fn coming(&self) -> Option<(CallKey, usize)> {
        match self.awaited.front()?.owner {
            Owner::Call(SentCall { key, dropped: false, .. }) => Some((key, self.coming)),
            _ => None,
        }
    }

    /// Throws away what has come of that call's replies, and what is still to come.
    pub fn drop_coming(&mut self) {
        if let Some(Expected { owner: Owner::Call(sent), .. }) = self.awaited.front_mut() {
            sent.dropped = true;
            self.reader.forget();
        }
    }

    /// Throws away the replies to the call that was just answered.
    pub fn drop_answer(&mut self) {
        self.reader.forget();
    }

    /// What the replies to the call that was just answered mean.
    pub fn reply_to(&mut self, call: &Call) -> Result<Reply, ErrorReply> {
        self.reader.finish(call)
    }

    /// Whether the first command of the call that was just answered was refused.
    pub fn has_refused_first(&self) -> bool {
        self.reader.has_refused_first()
    }

    /// Whether the server has carried out some commands of the call that was just answered, though it refused others.
    pub fn has_done_part_of(&self, call: &Call) -> bool {
        call.operation.writes() && self.reader.has_acknowledged()
    }

    /// Whether the call that was just answered was refused only for the reads that it carried.
    pub fn has_refused_isolation(&self) -> bool {
        self.reader.has_refused_isolation()
    }

    /// Reads the answer to the session's own question.
    ///
    /// # Errors
    /// When it concerns the connection as a whole.
    pub fn learn_name(&mut self, now: Instant) -> Result<(), ConnectError> {
        let name = Name::read(&self.values.take().unwrap_or(Value::Nil))?;
        self.naming.learn(name, now);
        Ok(())
    }

    /// A call that is in flight was given up. Its replies are still expected, and thrown away.
    pub fn give_up(&mut self, number: u64) {
        self.awaited.give_up(number);
    }

    /// The call whose reply is the next to come, or coming.
    pub fn next_call(&self) -> Option<CallKey> {
        match self.awaited.front()?.owner {
            Owner::Call(SentCall { key, .. }) => Some(key),
            Owner::GivenUp { .. } | Owner::Question | Owner::Ping | Owner::Fact => None,
        }
    }

    /// The latest reply and the call it is for, if it is an error and that call still expects other replies.
    pub fn last_error(&self) -> Option<(CallKey, ErrorReply)> {
        let Expected { owner: Owner::Call(sent), left, .. } = self.awaited.front()? else { return None };
        let refused = self.last_error.is_latest && self.decoder.between() && *left < sent.replies;
        let text = String::from_utf8_lossy(&self.last_error.text);
        refused.then(|| (sent.key, ErrorReply::of(text.trim_ascii_end())))
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;

    use super::*;

    /// As of a server to which a library can't introduce itself, before Redis 7.2.
    const ANSWERS: &[u8] = b"+OK\r\n-ERR unknown subcommand 'SETINFO'\r\n-ERR unknown subcommand 'SETINFO'\r\n\
        $39\r\nid=7 addr=127.0.0.1:50000 name=app db=0\r\n";

    #[test]
    fn no_values_are_made_of_answers_to_a_handshake_that_tell_nothing() {
        let (now, mut pipeline) = (Instant::now(), Pipeline::new());
        for command in ["one", "two", "three", "four"] {
            pipeline.cmd(command);
        }
        let mut session = Session::new(NonZeroU64::MIN, Opening::Pipelined(pipeline), now);
        let read = measure(|| {
            let event = session.read(ANSWERS, |_| unreachable!("no call was sent"));
            assert!(matches!(event, Ok(Event::Named(used)) if used == ANSWERS.len()));
        });
        session.learn_name(now).unwrap();
        assert!(session.takes_writes());
        // The crate's parser, which makes values of errors, has a buffer of 8 KiB.
        assert!(read.bytes_total < 4096, "{read:?}");
    }
}
