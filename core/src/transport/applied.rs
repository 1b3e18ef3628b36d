//! Whether a write was applied: what is known of it from the times it was sent and what was answered, and the one place that
//! decides what an error says about it.

use crate::error_texts::calls as texts;

/// How much of a write the server may have carried out although the call failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applied {
    /// Nothing: it was never sent, or refused each time.
    #[default]
    No,
    /// It was sent, and nothing says what became of it.
    Maybe,
    /// Part of it for certain, and not all.
    InPart,
}

/// The times a call was sent. Each belongs to its request, and follows it from one connection to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    last: Attempt,
    /// What the earlier attempts may have done.
    earlier: Applied,
    attempts: u32,
}

/// The last time a call was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attempt {
    /// Never, or its outcome is part of what earlier attempts may have done.
    #[default]
    None,
    /// It was sent, or is being sent, and has no answer.
    UnderWay,
    /// The server refused it for now.
    Postponed,
    /// The server refused it.
    Refused,
}

impl Delivery {
    /// Bytes of the call are handed to a connection.
    pub fn sent(&mut self) {
        self.last = Attempt::UnderWay;
        self.attempts = self.attempts.saturating_add(1);
    }

    /// How often it was sent.
    pub fn attempts(self) -> u32 {
        self.attempts
    }

    /// The same of a call of which a part was sent so often.
    pub fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The server refused it for now, or did not take it: this time nothing was applied.
    pub fn postponed(&mut self) {
        self.last = Attempt::Postponed;
    }

    /// The server refused it, with the error that the call fails with: this time nothing was applied.
    pub fn refused(&mut self) {
        self.last = Attempt::Refused;
    }

    /// The server refused some of its commands and carried out others.
    pub fn partly_done(&mut self) {
        self.earlier = Applied::InPart;
    }

    /// Its connection ended, or was given up, before the answer came.
    pub fn lost(&mut self) {
        if self.last == Attempt::UnderWay {
            *self = Self { last: Attempt::None, earlier: self.earlier.max(Applied::Maybe), ..*self };
        }
    }

    /// It was done, and will be done again.
    pub fn repeated(&mut self) {
        self.last = Attempt::UnderWay;
        self.lost();
    }

    /// How much of it may have been applied.
    pub fn applied(self) -> Applied {
        match self.last {
            Attempt::UnderWay => self.earlier.max(Applied::Maybe),
            Attempt::None | Attempt::Postponed | Attempt::Refused => self.earlier,
        }
    }

    /// That of a call of which one part failed and others did or did not. The last attempt is that of the part whose error
    /// the call fails with.
    pub fn of_parts(failed: Delivery, others: Applied) -> Self {
        Self { earlier: failed.applied().max(others), ..failed }
    }

    /// What the error of a write says about it, behind its own sentence.
    pub fn sentence(self) -> Option<&'static str> {
        Some(match (self.applied(), self.last) {
            (Applied::No, Attempt::None) => texts::NOT_SENT,
            (Applied::No, Attempt::Postponed) => texts::REFUSED_EACH_TIME,
            // The error is the refusal.
            (Applied::No, Attempt::Refused | Attempt::UnderWay) => return None,
            (Applied::Maybe, Attempt::Refused) => texts::SENT_BEFORE,
            (Applied::Maybe, _) => texts::MAY_BE_APPLIED,
            (Applied::InPart, _) => texts::OTHER_PARTS_APPLIED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(steps: &[fn(&mut Delivery)]) -> Delivery {
        let mut delivery = Delivery::default();
        steps.iter().for_each(|step| step(&mut delivery));
        delivery
    }

    #[test]
    fn an_attempt_without_an_answer_is_never_forgotten() {
        let (sent, lost) = (Delivery::sent as fn(&mut Delivery), Delivery::lost as fn(&mut Delivery));
        for (steps, applied, says) in [
            ([].as_slice(), Applied::No, Some(texts::NOT_SENT)),
            (&[sent], Applied::Maybe, Some(texts::MAY_BE_APPLIED)),
            (&[sent, lost], Applied::Maybe, Some(texts::MAY_BE_APPLIED)),
            (&[lost], Applied::No, Some(texts::NOT_SENT)),
            (&[sent, Delivery::postponed], Applied::No, Some(texts::REFUSED_EACH_TIME)),
            (&[sent, Delivery::postponed, sent], Applied::Maybe, Some(texts::MAY_BE_APPLIED)),
            (&[sent, Delivery::refused], Applied::No, None),
            (&[sent, lost, sent, Delivery::refused], Applied::Maybe, Some(texts::SENT_BEFORE)),
            (&[sent, lost, sent, Delivery::postponed], Applied::Maybe, Some(texts::MAY_BE_APPLIED)),
            (&[sent, Delivery::partly_done, Delivery::refused], Applied::InPart, Some(texts::OTHER_PARTS_APPLIED)),
            (&[Delivery::repeated, sent, Delivery::refused], Applied::Maybe, Some(texts::SENT_BEFORE)),
        ] {
            let delivery = delivery(steps);
            assert_eq!(delivery.applied(), applied, "{delivery:?}");
            assert_eq!(delivery.sentence(), says, "{delivery:?}");
        }
    }

    #[test]
    fn what_is_said_of_a_call_in_parts_covers_all_of_them() {
        let unsent = Delivery::default();
        let lost = delivery(&[Delivery::sent, Delivery::lost]);
        for (failed, others, applied) in [
            (unsent, Applied::No, Applied::No),
            (unsent, lost.applied(), Applied::Maybe),
            (lost, Applied::No, Applied::Maybe),
            (unsent, Applied::InPart, Applied::InPart),
            (lost, Applied::InPart, Applied::InPart),
        ] {
            assert_eq!(Delivery::of_parts(failed, others).applied(), applied);
        }
    }
}
