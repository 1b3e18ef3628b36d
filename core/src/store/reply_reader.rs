//! What the replies to one call mean, read while they come: no tree of values is built.

mod plan;

use rustc_hash::FxHashSet;

use self::plan::{Exec, Items, Plan, Purpose, Slot};
use super::answer::Answer;
use super::call::Call;
use super::command_writer::Counter;
use super::error_reply::ErrorReply;
use super::known::Known;
use super::operation::Operation;
use super::prefetch::Prefetch;
use super::reply::Reply;
use super::reply_visitor::ReplyVisitor;
use super::server_features::ServerFeatures;
use super::snapshot::{Learnt, Snapshot};
use super::splice::Splicer;
use super::unexpected::{Kind, unexpected};

/// Room that is made for a string before its bytes come, however long it says it is.
const MAX_RESERVED: usize = 1024 * 1024;
/// Room that is kept for the next call.
const MAX_KEPT: usize = 64 * 1024;
/// Bytes that a value is taken for besides those of its text.
const VALUE_BYTES: usize = 8;

/// Reads the replies to one call after the other: [`ReplyReader::begin`], the values of each reply as a visitor, behind each
/// [`ReplyReader::end_of_reply`], and [`ReplyReader::finish`]. A call may be given up anywhere: `begin` forgets it, and keeps no
/// more than 64 KiB of room.
#[derive(Debug)]
pub struct ReplyReader {
    plan: Plan,
    /// The number of the reply that is coming.
    place: usize,
    purpose: Purpose,
    /// The array that is coming, unless the reply is none.
    items: Option<Items>,
    /// What `EXEC` brings is coming, each answer in it as if it were a reply.
    exec: Option<Exec>,
    /// What the first answer in it was that should have been another one.
    wrong: Option<Kind>,
    /// Whether one of the call's own commands, or none of them but a carried read, was refused before `EXEC`.
    own_refused: bool,
    carried_refused: bool,
    /// The place of the string that is coming.
    slot: Slot,
    outcome: Outcome,
    /// Why the call was refused.
    refusal: Option<ErrorReply>,
    learnt: Learnt,
    splicer: Splicer,
    /// What is kept of the hash that is coming.
    known: Known,
    marks: FxHashSet<Vec<u8>>,
    /// The beginning of a field that was cut.
    field: Vec<u8>,
    /// The length of the result that is coming.
    length: usize,
    /// Whether a hash has come for this call, of which something may be left.
    has_hash: bool,
    /// Whether one of the call's own commands was answered with a number, as those are that write.
    acknowledged: bool,
    /// Whether the first of them was refused.
    refused_first: bool,
    bytes: usize,
}

/// What the call's own last reply says.
#[derive(Debug)]
enum Outcome {
    Answer(Answer),
    /// The results are in the splicer.
    Results,
    Unexpected(Kind),
}

impl Default for ReplyReader {
    fn default() -> Self {
        Self {
            plan: Plan::NOTHING,
            place: 0,
            purpose: Purpose::Unknown,
            items: None,
            exec: None,
            wrong: None,
            own_refused: false,
            carried_refused: false,
            slot: Slot::Ignored,
            outcome: Outcome::Unexpected(Kind::Nothing),
            refusal: None,
            learnt: Learnt::default(),
            splicer: Splicer::default(),
            known: Known::default(),
            marks: FxHashSet::default(),
            field: Vec::new(),
            length: 0,
            has_hash: false,
            acknowledged: false,
            refused_first: false,
            bytes: 0,
        }
    }
}

impl ReplyReader {
    /// Begins with the replies to another call, which was made for a server with these features: as many as [`Call::append`]
    /// announces.
    pub fn begin(&mut self, call: &Call, features: ServerFeatures) {
        self.begin_with(call, features, call.append(features, &mut Counter));
    }

    /// Begins with so many replies to another call.
    pub(super) fn begin_with(&mut self, call: &Call, features: ServerFeatures, replies: usize) {
        self.plan = Plan::of(call, features, replies);
        self.release();
        self.refusal = None;
        if call.prefetch != Prefetch::Nothing {
            self.learnt = Learnt::default();
        }
        self.bytes = 0;
        self.acknowledged = false;
        self.items = None;
        (self.exec, self.wrong) = (None, None);
        (self.own_refused, self.carried_refused, self.refused_first) = (false, false, false);
        self.place = 0;
        // As if the last reply were nothing, until it comes.
        self.purpose = if self.plan.is_isolated() { Purpose::Transaction } else { self.plan.last };
        self.absent();
        self.purpose = self.plan.purpose_of(0);
    }

    /// A reply is complete.
    #[inline]
    pub fn end_of_reply(&mut self) {
        self.exec = None;
        if let Some(items) = self.items.take() {
            self.end_of_array(items);
        }
        self.place += 1;
        self.purpose = self.plan.purpose_of(self.place);
    }

    /// What the replies say, when all have come.
    ///
    /// # Errors
    /// When the server refused the call or answered with something else than its commands bring.
    pub fn finish(&mut self, call: &Call) -> Result<Reply, ErrorReply> {
        // What is not handed over is not kept either.
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Answer(Answer::Nothing));
        let answer = match (self.refusal.take(), self.wrong.take(), outcome) {
            (Some(error_reply), ..) => Err(error_reply),
            (None, Some(kind), _) | (None, None, Outcome::Unexpected(kind)) => Err(unexpected(kind)),
            (None, None, Outcome::Answer(answer)) => Ok(answer),
            (None, None, Outcome::Results) => Ok(Answer::Results(self.splicer.finish())),
        };
        if let Ok(Answer::Flag(flag)) = answer
            && matches!(call.prefetch, Prefetch::Marks | Prefetch::Tasks)
            && call.operation == Operation::IsExecutionInProgress
        {
            self.learnt.execution = Some(flag);
        }
        let snapshot = match call.prefetch {
            prefetch if prefetch != Prefetch::Nothing && answer.is_ok() => {
                Snapshot::new(prefetch, call.task(), std::mem::take(&mut self.learnt)).map(Box::new)
            }
            _ => None,
        };
        self.release();
        let answer = answer?;
        Ok(Reply { answer, snapshot })
    }

    /// Throws away what has come for this call.
    pub fn forget(&mut self) {
        self.outcome = Outcome::Answer(Answer::Nothing);
        self.refusal = None;
        self.release();
    }

    /// About as many bytes as what has been decoded for this call takes: those of its strings, and a few for each value.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the first of the call's own commands was refused.
    pub fn has_refused_first(&self) -> bool {
        self.refused_first
    }

    /// Whether one of the commands of a call that writes was carried out.
    pub fn has_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Whether the call was refused for a read that it carried, or because it was a transaction for the sake of those reads: in
    /// another form the server may take it.
    pub fn has_refused_isolation(&self) -> bool {
        self.carried_refused && !self.own_refused
    }

    /// A value of a kind that only other protocols have.
    pub(super) fn other(&mut self) {
        self.wrong_kind(Kind::Other);
        self.end_of_value();
    }

    /// A value is complete: in what `EXEC` brings, the answer to a command may be.
    #[inline]
    fn end_of_value(&mut self) {
        if let Some(exec) = &mut self.exec
            && exec.end()
        {
            self.end_of_answer();
        }
    }

    /// The answer to a command in a transaction is complete.
    fn end_of_answer(&mut self) {
        if let Some(items) = self.items.take() {
            self.end_of_array(items);
        }
        let command = self.exec.as_ref().map_or(0, |exec| exec.command);
        self.purpose = self.plan.purpose_of_command(command);
    }

    /// Gives back what hashes have left.
    fn release(&mut self) {
        if std::mem::take(&mut self.has_hash) {
            self.splicer.clear();
            self.known = Known::default();
            self.marks = FxHashSet::default();
            self.learnt = Learnt::default();
            self.field.clear();
            self.field.shrink_to(MAX_KEPT);
        }
    }

    /// The place of the next value.
    fn next_slot(&mut self) -> Slot {
        self.bytes += VALUE_BYTES;
        match &mut self.items {
            None => Slot::Reply,
            Some(items) => items.next_slot(self.purpose),
        }
    }

    /// The reply is nothing.
    fn absent(&mut self) {
        match self.purpose {
            Purpose::Step | Purpose::CarriedStep | Purpose::Unknown => {}
            Purpose::Previous | Purpose::Done => self.outcome = Outcome::Answer(Answer::Nothing),
            Purpose::Touched => self.outcome = Outcome::Answer(Answer::Flag(false)),
            Purpose::Acknowledgement | Purpose::Transaction => self.unexpected(Kind::Nothing),
            Purpose::Presence => self.outcome = Outcome::Answer(Answer::Flag(false)),
            Purpose::Value => self.outcome = Outcome::Answer(Answer::Value(None)),
            Purpose::CarriedExecution => self.learnt.execution = Some(false),
            Purpose::CarriedMark => self.learnt.mark = Some(false),
            Purpose::Results
            | Purpose::CarriedMarks
            | Purpose::CarriedResults
            | Purpose::CarriedMarkNames
            | Purpose::CarriedResultNames => {
                let items = self.begin_hash(0);
                self.end_of_array(items);
            }
        }
    }

    fn begin_hash(&mut self, length: usize) -> Items {
        self.has_hash = true;
        match self.purpose {
            Purpose::Results => {
                self.splicer.begin();
                self.outcome = Outcome::Results;
            }
            Purpose::CarriedMarks | Purpose::CarriedMarkNames => self.marks = FxHashSet::default(),
            _ => {}
        }
        self.known = match self.purpose {
            Purpose::CarriedResultNames => Known::Tasks(FxHashSet::default()),
            _ => Known::default(),
        };
        Items { next: 0, length, wrong: false }
    }

    fn end_of_array(&mut self, items: Items) {
        match self.purpose {
            _ if items.wrong || self.plan.prefetch == Prefetch::Nothing => {}
            Purpose::Results => self.learnt.own_results = Some(std::mem::take(&mut self.known)),
            Purpose::CarriedMarks | Purpose::CarriedMarkNames => {
                self.learnt.marks = Some(std::mem::take(&mut self.marks));
            }
            Purpose::CarriedResults | Purpose::CarriedResultNames => {
                self.learnt.results = Some(std::mem::take(&mut self.known))
            }
            _ => {}
        }
    }

    /// A value that is no text, where only presence may count.
    fn wrong_kind(&mut self, kind: Kind) {
        match (self.next_slot(), self.purpose) {
            (Slot::Ignored, _) | (Slot::Reply, Purpose::Step | Purpose::CarriedStep) => {}
            (Slot::Reply, Purpose::CarriedExecution) => self.learnt.execution = Some(true),
            (Slot::Reply, Purpose::CarriedMark) => self.learnt.mark = Some(true),
            _ => self.unexpected(kind),
        }
    }

    /// The reply is not what it should be.
    fn unexpected(&mut self, kind: Kind) {
        if let Some(items) = &mut self.items {
            items.wrong = true;
        }
        if self.purpose == self.plan.last || self.purpose == Purpose::Transaction {
            if self.exec.is_some() && self.wrong.is_none() {
                self.wrong = Some(kind);
            }
            self.outcome = Outcome::Unexpected(kind);
        }
    }

    /// A string begins. Returns its place.
    fn begin_text(&mut self, length: usize) -> Slot {
        let slot = self.next_slot();
        match (slot, self.purpose) {
            (Slot::Reply, Purpose::Previous | Purpose::Done) => self.outcome = Outcome::Answer(Answer::Nothing),
            (Slot::Reply | Slot::Step, Purpose::Touched) => self.outcome = Outcome::Answer(Answer::Flag(true)),
            (Slot::Step, Purpose::Done) => {}
            (Slot::Reply, Purpose::Presence) => self.outcome = Outcome::Answer(Answer::Flag(true)),
            (Slot::Reply, Purpose::Value) => {
                self.length = length;
                let value = Vec::with_capacity(length.min(MAX_RESERVED));
                self.outcome = Outcome::Answer(Answer::Value(Some(value)));
            }
            (Slot::Reply, Purpose::CarriedExecution) => self.learnt.execution = Some(true),
            (Slot::Reply, Purpose::CarriedMark) => self.learnt.mark = Some(true),
            (Slot::Reply, Purpose::Acknowledgement | Purpose::Results | Purpose::Transaction) => {
                self.unexpected(Kind::Text);
            }
            // In an array, so that what is wrong is the array.
            (Slot::Step, _) => self.unexpected(Kind::Array),
            _ => {}
        }
        slot
    }

    /// Bytes of a string that is no field.
    fn text_bytes(&mut self, slot: Slot, bytes: &[u8]) {
        self.bytes += bytes.len();
        match (slot, self.purpose) {
            (Slot::Reply, Purpose::Value) => {
                if let Outcome::Answer(Answer::Value(Some(value))) = &mut self.outcome {
                    if bytes.len() > value.capacity() - value.len() {
                        // Twice the room, but never more than it needs in the end.
                        let left = self.length.saturating_sub(value.len());
                        value.reserve_exact(bytes.len().max(value.len().min(left)));
                    }
                    value.extend_from_slice(bytes);
                }
            }
            (Slot::Value, Purpose::Results) => {
                self.splicer.value_bytes(bytes);
                if self.plan.prefetch != Prefetch::Nothing {
                    self.known.value_bytes(bytes);
                }
            }
            (Slot::Value, Purpose::CarriedResults) => self.known.value_bytes(bytes),
            _ => {}
        }
    }

    /// A string that is no field is complete.
    fn end_text(&mut self, slot: Slot) {
        if slot == Slot::Value && self.purpose == Purpose::Results {
            self.splicer.value_end();
        }
    }

    /// A field is complete.
    fn field(&mut self, field: &[u8]) {
        match self.purpose {
            Purpose::Results => {
                self.splicer.field(field);
                if self.plan.prefetch != Prefetch::Nothing {
                    self.known.field(field);
                }
            }
            Purpose::CarriedResults | Purpose::CarriedResultNames => self.known.field(field),
            Purpose::CarriedMarks | Purpose::CarriedMarkNames => {
                self.marks.insert(field.to_vec());
            }
            _ => {}
        }
    }
}

impl ReplyVisitor for ReplyReader {
    /// A status is a text like any other.
    fn status(&mut self, text: &[u8]) {
        self.bulk(text);
    }

    fn error(&mut self, text: &[u8]) {
        self.bytes += text.len();
        let slot = self.next_slot();
        if self.purpose.is_own() {
            self.own_refused |= self.purpose == Purpose::Step;
            self.refused_first |= self.plan.is_first(self.place) && self.items.is_none();
            ErrorReply::keep_cause(&mut self.refusal, ErrorReply::from_line(text));
        } else if self.purpose == Purpose::CarriedStep {
            self.carried_refused = true;
        } else if let (Slot::Field | Slot::Value, Some(items)) = (slot, &mut self.items) {
            items.wrong = true;
        }
        self.end_of_value();
    }

    fn integer(&mut self, number: i64) {
        self.acknowledged |= self.purpose.is_own();
        match self.purpose {
            Purpose::Acknowledgement => match self.next_slot() {
                Slot::Reply if self.plan.own == 1 || self.exec.is_some() || !self.plan.is_transaction => {
                    self.outcome = Outcome::Answer(Answer::Nothing);
                }
                Slot::Reply => self.unexpected(Kind::Integer),
                _ => {}
            },
            Purpose::Done => {
                if self.next_slot() == Slot::Reply {
                    self.outcome = Outcome::Answer(Answer::Nothing);
                }
            }
            Purpose::Touched => {
                if self.next_slot() != Slot::Ignored {
                    self.outcome = Outcome::Answer(Answer::Flag(number > 0));
                }
            }
            _ => self.wrong_kind(Kind::Integer),
        }
        self.end_of_value();
    }

    fn nil(&mut self) {
        match self.next_slot() {
            Slot::Reply => self.absent(),
            Slot::Field => self.field(b""),
            Slot::Value => self.end_text(Slot::Value),
            Slot::Step if self.purpose == Purpose::Touched => self.absent(),
            Slot::Step if self.purpose == Purpose::Done => {}
            Slot::Step => self.unexpected(Kind::Array),
            Slot::Ignored => {}
        }
        self.end_of_value();
    }

    fn bulk_start(&mut self, length: usize) {
        self.slot = self.begin_text(length);
        self.field.clear();
        self.field.shrink_to(MAX_KEPT);
    }

    fn bulk_bytes(&mut self, bytes: &[u8]) {
        match self.slot {
            Slot::Field => {
                self.bytes += bytes.len();
                self.field.extend_from_slice(bytes);
            }
            slot => self.text_bytes(slot, bytes),
        }
    }

    fn bulk_end(&mut self) {
        match self.slot {
            Slot::Field => {
                let field = std::mem::take(&mut self.field);
                self.field(&field);
                self.field = field;
            }
            slot => self.end_text(slot),
        }
        self.end_of_value();
    }

    fn bulk(&mut self, bytes: &[u8]) {
        match self.begin_text(bytes.len()) {
            Slot::Field => {
                self.bytes += bytes.len();
                self.field(bytes);
            }
            slot => {
                self.text_bytes(slot, bytes);
                self.end_text(slot);
            }
        }
        self.end_of_value();
    }

    fn array(&mut self, length: usize) {
        if self.purpose == Purpose::Transaction && self.items.is_none() && self.plan.brings(length) {
            self.bytes += VALUE_BYTES;
            self.exec = Some(Exec::begin());
            self.purpose = self.plan.purpose_of_command(0);
            return;
        }
        self.begin_array(length);
        if let Some(exec) = &mut self.exec
            && exec.array(length)
        {
            self.end_of_answer();
        }
    }
}

impl ReplyReader {
    /// An array begins that is a reply, or part of one.
    fn begin_array(&mut self, length: usize) {
        let is_reply = self.items.is_none();
        let is_of_any_kind = matches!(self.purpose, Purpose::Done | Purpose::Touched);
        let is_alone = self.purpose == Purpose::Done && (self.exec.is_some() || !self.plan.is_transaction);
        if is_of_any_kind && !is_reply || is_alone {
            // Of what `HPEXPIRE` answers, which is a list, only a refusal counts.
            if self.next_slot() == Slot::Reply {
                self.outcome = Outcome::Answer(Answer::Nothing);
                self.items = Some(Items { next: 0, length, wrong: true });
            }
            return;
        }
        let is_transaction = (self.purpose == Purpose::Acknowledgement || is_of_any_kind) && self.exec.is_none();
        if !is_reply || !(is_transaction || self.purpose.is_hash() || self.purpose.is_list()) {
            self.wrong_kind(Kind::Array);
            if is_reply {
                self.items = Some(Items { next: 0, length, wrong: true });
            }
            return;
        }
        self.bytes += VALUE_BYTES;
        if !is_transaction {
            self.items = Some(self.begin_hash(length));
            return;
        }
        // An integer for each command between MULTI and EXEC. Over HTTP, EXEC brings the only reply.
        let own = self.plan.own;
        let is_complete = if own == 1 { length > 0 } else { length + 2 == own };
        let acknowledges = self.plan.is_transaction && is_complete;
        self.outcome = match self.purpose {
            _ if !acknowledges => Outcome::Unexpected(Kind::Array),
            // Until the last of its answers.
            Purpose::Touched => Outcome::Answer(Answer::Flag(false)),
            _ => Outcome::Answer(Answer::Nothing),
        };
        self.items = Some(Items { next: 0, length, wrong: !acknowledges });
    }
}

#[cfg(test)]
mod tests;
