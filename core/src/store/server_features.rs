//! What a server understands.

use super::call::Call;
use super::error_reply::ErrorReply;
use super::operation::Operation;
use super::slot::spans_slots;

/// The code of the error for keys of different slots.
const CROSS_SLOT: &str = "CROSSSLOT";

/// How servers say that they do not know a command, or do not let it through.
const UNKNOWN_COMMAND: [&str; 4] = ["unknown", "unsupported", "not supported", "invalid command"];

/// The commands and options that a server has; known from its replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFeatures {
    /// `SET … GET`, since Redis 6.2: refuses a key of another type instead of overwriting it.
    pub set_get: bool,
    /// One command or transaction may use keys of different slots; not so where they are on different shards behind one
    /// address, or the server is in cluster mode (`CROSSSLOT`).
    pub cross_slot: bool,
    /// A call and the reads that it carries may be one transaction: not so for a user who may not read all that is carried.
    pub isolates: bool,
    /// Transactions. Some proxies have none.
    pub multi: bool,
    /// `UNLINK`, since Redis 4; otherwise `DEL`.
    pub unlink: bool,
}

/// A refusal of a call.
#[derive(Debug)]
pub struct Refused {
    /// What the server said.
    pub error_reply: ErrorReply,
    /// It was the call's first command that it refused.
    pub at_first: bool,
    /// What the server was taken to understand.
    pub sent_with: ServerFeatures,
}

impl ServerFeatures {
    /// Learns from a refusal. `is_whole` is whether the call was sent whole though its keys may be on different servers. Returns
    /// whether the server takes the call in the form that it has for the features that are known now.
    pub fn learn(&mut self, refused: &Refused, call: &Call, is_whole: bool) -> bool {
        let Refused { error_reply, at_first, sent_with } = refused;
        let is_error = error_reply.code == "ERR";
        let detail = error_reply.detail.to_ascii_lowercase();
        match call.operation {
            Operation::BeginExecution if sent_with.set_get && is_error && detail.starts_with("syntax error") => {
                // Older than Redis 6.2, or something like Redis: it gets a plain SET from now on.
                self.set_get = false;
                return true;
            }
            Operation::Dispose if sent_with.unlink && is_error && is_unknown(error_reply) => {
                self.unlink = false;
                return true;
            }
            _ if call.is_transaction(*sent_with) && is_error && *at_first => {
                // Nothing but MULTI comes first in it.
                self.lacks_multi(is_whole);
                return true;
            }
            _ => {}
        }
        let learnt = error_reply.code == CROSS_SLOT && is_whole && spans_slots(call);
        // Calls are taken apart from now on.
        self.cross_slot &= !learnt;
        learnt
    }

    /// Learns that a call was refused for a read that it carried, or because it was a transaction for the sake of those reads.
    /// Returns whether the server may take it in another form.
    pub fn learn_isolation(&mut self, sent_with: ServerFeatures) -> bool {
        self.isolates &= !sent_with.isolates;
        sent_with.isolates
    }

    /// There are no transactions. Where the keys of an execution may be on different servers behind the one that says so, calls
    /// are taken apart: otherwise a task could be seen as neither in progress nor done.
    pub fn lacks_multi(&mut self, is_whole: bool) {
        self.multi = false;
        self.cross_slot &= !is_whole;
    }

    /// Learns from the refusal of a request over HTTP that was one transaction.
    pub fn learn_of_multi(&mut self, error_reply: &ErrorReply, sent_with: ServerFeatures) -> bool {
        let learnt = sent_with.multi && error_reply.code == "ERR" && is_unknown(error_reply);
        if learnt {
            self.lacks_multi(true);
        }
        learnt
    }

    /// The same as [`Self::learn`] for the error reply to several calls that were sent as one transaction.
    pub fn learn_from_transaction(&mut self, error_reply: &ErrorReply, sent_with: ServerFeatures) -> bool {
        let learnt = error_reply.code == CROSS_SLOT && sent_with.cross_slot;
        self.cross_slot &= !learnt;
        learnt
    }
}

/// Whether a server says that it does not know a command.
fn is_unknown(error_reply: &ErrorReply) -> bool {
    let detail = error_reply.detail.to_ascii_lowercase();
    UNKNOWN_COMMAND.iter().any(|words| detail.contains(words))
}

impl Default for ServerFeatures {
    fn default() -> Self {
        Self { set_get: true, cross_slot: true, isolates: true, multi: true, unlink: true }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_a_feature_that_the_call_needed_is_taken_as_missing() {
        let error = |code: &str, detail: &str| ErrorReply { code: code.into(), detail: detail.into() };
        let (syntax, unknown) = (error("ERR", "syntax error"), error("ERR", "unknown command 'UNLINK'"));
        let cross_slot = error("CROSSSLOT", "Keys in request don't hash to the same slot");
        let all = ServerFeatures::default();
        for (error, operation, at_first, is_whole, expected) in [
            (&syntax, Operation::BeginExecution, true, true, ServerFeatures { set_get: false, ..all }),
            (&syntax, Operation::BeginTask, true, true, all),
            (&unknown, Operation::BeginExecution, true, true, all),
            (&unknown, Operation::Dispose, true, false, ServerFeatures { unlink: false, ..all }),
            (&unknown, Operation::CommitResult, false, true, all),
            (&unknown, Operation::CommitResult, true, true, ServerFeatures { multi: false, cross_slot: false, ..all }),
            (&unknown, Operation::CommitResult, true, false, ServerFeatures { multi: false, ..all }),
            (&cross_slot, Operation::CommitResult, false, true, ServerFeatures { cross_slot: false, ..all }),
            (&cross_slot, Operation::CommitResult, false, false, all),
        ] {
            let mut features = all;
            let call = Call::new(operation, Arc::default(), b"idtask1".to_vec(), 2, 6);
            let refused = Refused { error_reply: error.clone(), at_first, sent_with: all };
            assert_eq!(features.learn(&refused, &call, is_whole), features != all, "{error:?}");
            assert_eq!(features, expected, "{error:?} {operation:?}");
            let again = Refused { sent_with: features, ..refused };
            assert!(!features.learn(&again, &call, false), "{again:?}");
        }
        let mut features = all;
        assert!(features.learn_from_transaction(&cross_slot, all) && !features.cross_slot);
        let sent_with = features;
        assert!(!features.learn_from_transaction(&cross_slot, sent_with));
    }
}
