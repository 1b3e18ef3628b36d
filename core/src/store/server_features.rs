//! What a server understands.

use super::error_reply::ErrorReply;
use super::operation::Operation;

/// The code of the error for keys of different slots.
const CROSS_SLOT: &str = "CROSSSLOT";

/// The commands and options that a server has; known from its replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFeatures {
    /// `SET … GET`, since Redis 6.2: refuses a key of another type instead of overwriting it.
    pub set_get: bool,
    /// One command or transaction may use keys of different slots; not so where they are on different shards behind one
    /// address, or the server is in cluster mode (`CROSSSLOT`).
    pub cross_slot: bool,
    /// A call and the reads that it carries may be one transaction: not so behind a proxy without `MULTI`, and for a user who may
    /// not read all that is carried.
    pub isolates: bool,
    /// The names of tasks may be read (`HKEYS`): a user may lack the permission, which nothing but read-ahead needs.
    pub task_names: bool,
}

impl ServerFeatures {
    /// Learns from the error reply to a call, which was made as for a server with the features `sent_with`. `spans_slots` says
    /// whether the call was sent whole though its keys may be in different slots. Returns whether the server takes the call
    /// in the form that it has for the features that are known now.
    pub fn learn(
        &mut self,
        error_reply: &ErrorReply,
        operation: Operation,
        sent_with: ServerFeatures,
        spans_slots: impl FnOnce() -> bool,
    ) -> bool {
        let begin = operation == Operation::BeginExecution;
        if begin && sent_with.set_get && error_reply.code == "ERR" && error_reply.detail == "syntax error" {
            // Older than Redis 6.2, or something like Redis: it gets a plain SET from now on.
            self.set_get = false;
            return true;
        }
        let learnt = error_reply.code == CROSS_SLOT && spans_slots();
        // Calls are taken apart from now on.
        self.cross_slot &= !learnt;
        learnt
    }

    /// Learns that calls were refused for the reads that they carried, among them task names or not, or because each was a
    /// transaction for the sake of those reads. Returns whether the server may take them in another form.
    pub fn learn_isolation(&mut self, sent_with: ServerFeatures, had_task_names: bool) -> bool {
        if had_task_names && sent_with.task_names {
            self.task_names = false;
            return true;
        }
        self.isolates &= !sent_with.isolates;
        sent_with.isolates
    }

    /// The same for the error reply to several calls that were sent as one transaction.
    pub fn learn_from_transaction(&mut self, error_reply: &ErrorReply, sent_with: ServerFeatures) -> bool {
        let learnt = error_reply.code == CROSS_SLOT && sent_with.cross_slot;
        self.cross_slot &= !learnt;
        learnt
    }
}

impl Default for ServerFeatures {
    fn default() -> Self {
        Self { set_get: true, cross_slot: true, isolates: true, task_names: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_refused_beside_a_call_is_left_out_one_thing_after_the_other() {
        let mut features = ServerFeatures::default();
        let sent_with = features;
        assert!(features.learn_isolation(sent_with, true) && features.isolates && !features.task_names);
        // Another call that was sent before that was known.
        assert!(features.learn_isolation(sent_with, true) && features.isolates);
        let sent_with = features;
        assert!(features.learn_isolation(sent_with, true) && !features.isolates);
        let sent_with = features;
        assert!(!features.learn_isolation(sent_with, true));
    }

    #[test]
    fn only_a_feature_that_the_call_needed_is_taken_as_missing() {
        let error = |code: &str, detail: &str| ErrorReply { code: code.into(), detail: detail.into() };
        let syntax = error("ERR", "syntax error");
        let cross_slot = error("CROSSSLOT", "Keys in request don't hash to the same slot");
        let all = ServerFeatures::default();
        for (error, operation, spans, expected) in [
            (&syntax, Operation::BeginExecution, false, ServerFeatures { set_get: false, ..all }),
            (&syntax, Operation::BeginTask, false, all),
            (&error("ERR", "unknown command"), Operation::BeginExecution, false, all),
            (&cross_slot, Operation::CommitResult, true, ServerFeatures { cross_slot: false, ..all }),
            (&cross_slot, Operation::CommitResult, false, all),
        ] {
            let mut features = all;
            assert_eq!(features.learn(error, operation, all, || spans), features != all, "{error:?}");
            assert_eq!(features, expected, "{error:?}");
        }
        let mut features = all;
        assert!(features.learn_from_transaction(&cross_slot, all) && !features.cross_slot);
        let sent_with = features;
        assert!(!features.learn_from_transaction(&cross_slot, sent_with));
    }
}
