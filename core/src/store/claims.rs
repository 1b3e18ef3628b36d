//! Claims: a task is handed out once, even when the same message reaches two processes at once. The mark of a task in progress is then
//! a token of the call's own, and whoever finds another one comes second. Those who only ask whether there is a mark see one as always.
//!
//! In one slot a script looks and marks. Across slots the mark comes first, then the result is asked for, then the execution: a result
//! is written before its task's mark is removed, and an execution is removed before its results. So who finds neither mark nor result
//! and then the execution is the first; else the own mark is taken back.

use super::answer::Answer;
use super::call::{Call, KeyOptions};
use super::cluster_steps::{Act, Steps};
use super::command_writer::{CommandWriter, Decimal};
use super::keys::Role;
use super::operation::Operation;
use super::reply::Reply;

/// Marks a task as this call's own, unless somebody else has, it has a result, or its execution is gone. The keys of the latter two are
/// left out where they are in other slots. 1 if the task is this call's, also if it was before: then the answer was lost.
const CLAIM: &str = "\
local mark = redis.call('HGET', KEYS[1], ARGV[1]) \
if mark and mark ~= ARGV[2] then return 0 end \
if KEYS[2] and (redis.call('EXISTS', KEYS[2]) == 0 or redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1) then \
if mark then redis.call('HDEL', KEYS[1], ARGV[1]) end \
return 0 end \
if not mark then \
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) \
if ARGV[3] ~= '0' then \
local set = redis.pcall('HPEXPIRE', KEYS[1], ARGV[3], 'FIELDS', '1', ARGV[1]) \
if set.err then \
redis.call('HDEL', KEYS[1], ARGV[1]) \
if string.find(set.err, 'nknown') then return redis.error_reply(\"ERR unknown command 'HPEXPIRE'\") end \
return set end \
end end \
if ARGV[4] ~= '0' then \
for i = 1, ARGV[5] == '1' and #KEYS or 1 do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end end \
return 1";

/// Takes a mark back, if it is this call's own.
const WITHDRAW: &str = "\
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end \
return 0";

impl Call {
    /// Whether it is to be the only one that begins its task. The token is in place of a value.
    pub fn is_claim(&self) -> bool {
        self.operation == Operation::BeginTask && self.key_options.claims
    }

    /// Whether it, or this part of it, sets the mark of a claim.
    pub(super) fn claims_here(&self) -> bool {
        self.is_claim() && self.act == Act::Write && self.only.is_none_or(|role| role == Role::Transactions)
    }

    /// What takes the mark of this claim back. It is a call of its own.
    pub fn withdrawal(&self) -> Self {
        self.part_that(Act::Withdraw, Role::Transactions)
    }

    /// Claims the task: with all keys, or with that of the marks alone.
    pub(super) fn push_claim(&self, out: &mut impl CommandWriter) -> usize {
        let KeyOptions { in_progress_ttl, ttl, sliding_ttl, .. } = *self.key_options;
        let keys = [Role::Transactions, Role::Execution, Role::Results];
        let keys = if self.only.is_some() { &keys[..1] } else { &keys };
        self.push_script(CLAIM, keys, 5, out);
        for milliseconds in [in_progress_ttl, ttl] {
            out.argument(Decimal::new(milliseconds.unwrap_or_default()).as_bytes());
        }
        out.argument(if sliding_ttl { b"1" } else { b"0" });
        1
    }

    /// Takes the mark back.
    pub(super) fn push_withdrawal(&self, out: &mut impl CommandWriter) -> usize {
        self.push_script(WITHDRAW, &[Role::Transactions], 2, out);
        1
    }

    /// The beginning of a script's command, up to the first two of its arguments: task and token.
    fn push_script(&self, script: &str, keys: &[Role], arguments: usize, out: &mut impl CommandWriter) {
        out.begin(3 + keys.len() + arguments);
        out.argument(b"EVAL");
        out.argument(script.as_bytes());
        out.argument(Decimal::new(keys.len() as u64).as_bytes());
        keys.iter().for_each(|role| out.key(&self.key(*role)));
        out.argument(self.task());
        out.argument(self.value());
    }
}

/// The first steps of a claim across slots.
pub(super) const MARK_FIRST: Steps = &[&[(Act::Write, Role::Transactions)]];

/// The steps that follow on the answer to a part of a claim across slots, where they depend on it.
pub(super) fn steps_after(call: &Call, act: Act, reply: &Reply) -> Option<Steps> {
    use Act::{AskAgain, AskResult, Withdraw, Write};
    use Role::{Execution, Results, Transactions};
    let slides = call.key_options.ttl.is_some() && call.key_options.sliding_ttl;
    match (act, &reply.answer) {
        (Write, Answer::Flag(true)) => Some(&[&[(AskResult, Results)], &[(AskAgain, Execution)]]),
        (AskResult, Answer::Flag(true)) | (AskAgain, Answer::Flag(false)) => Some(&[&[(Withdraw, Transactions)]]),
        (AskAgain, Answer::Flag(true)) if slides => Some(&[&[(Write, Execution), (Write, Results)]]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::cluster_steps::{holds_back_all, steps, steps_after};
    use crate::store::server_features::ServerFeatures;

    fn call(operation: Operation, key_options: KeyOptions) -> Call {
        let key_options = KeyOptions { claims: true, ..key_options };
        Call::new(operation, Arc::new(key_options), b"runsteptoken".to_vec(), 3, 7)
    }

    fn words(call: &Call) -> String {
        let mut pipeline = redis::Pipeline::new();
        let replies = call.append(ServerFeatures::default(), &mut pipeline);
        assert_eq!(replies, 1);
        let argument = |argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::from("?"),
        };
        let command: Vec<String> = pipeline.cmd_iter().flat_map(|command| command.args_iter().map(argument)).collect();
        command.join(" ").replace(CLAIM, "claim").replace(WITHDRAW, "withdraw")
    }

    #[test]
    fn in_one_slot_it_is_one_command() {
        let plain = call(Operation::BeginTask, KeyOptions::default());
        assert_eq!(words(&plain), "EVAL claim 3 run-transactions run run-results step token 0 0 0");
        let all = KeyOptions {
            ttl: Some(9),
            sliding_ttl: true,
            in_progress_ttl: Some(5),
            orphan_ttl: Some(7),
            ..KeyOptions::default()
        };
        let all = call(Operation::BeginTask, all);
        assert_eq!(words(&all), "EVAL claim 3 run-transactions run run-results step token 5 9 1");
        assert!(!all.is_transaction(ServerFeatures::default()) && !all.is_guarded());
        assert_eq!(words(&all.withdrawal()), "EVAL withdraw 1 run-transactions step token");
        assert_eq!(steps(&all.withdrawal()), None);
    }

    #[test]
    fn across_slots_the_mark_comes_first_and_is_taken_back() {
        use Act::{AskAgain, AskResult, Withdraw, Write};
        use Role::{Execution, Results, Transactions};
        let after = |call: &Call, act, flag| -> Option<Steps> {
            steps_after(call, act, &Reply { answer: Answer::Flag(flag), snapshot: None })
        };
        let claim = call(Operation::BeginTask, KeyOptions { orphan_ttl: Some(7), ..KeyOptions::default() });
        let (questions, back): (Steps, Steps) =
            (&[&[(AskResult, Results)], &[(AskAgain, Execution)]], &[&[(Withdraw, Transactions)]]);
        assert_eq!(steps(&claim), Some(MARK_FIRST));
        assert_eq!(after(&claim, Write, true), Some(questions));
        assert_eq!(after(&claim, Write, false), None);
        assert_eq!(after(&claim, AskResult, true), Some(back));
        assert_eq!(after(&claim, AskResult, false), None);
        assert_eq!(after(&claim, AskAgain, false), Some(back));
        assert_eq!(after(&claim, AskAgain, true), None);
        assert_eq!(words(&claim.part(Transactions)), "EVAL claim 1 run-transactions step token 0 0 0");
        assert_eq!(words(&claim.part_that(AskResult, Results)), "HEXISTS run-results step");
        assert_eq!(words(&claim.part_that(AskAgain, Execution)), "EXISTS run");

        let sliding = KeyOptions { ttl: Some(9), sliding_ttl: true, ..KeyOptions::default() };
        let sliding = call(Operation::BeginTask, sliding);
        let renewed: Steps = &[&[(Write, Execution), (Write, Results)]];
        assert_eq!(after(&sliding, AskAgain, true), Some(renewed));
        assert_eq!(words(&sliding.part(Results)), "PEXPIRE run-results 9");
        assert!(holds_back_all(&claim));
    }

    #[test]
    fn the_execution_is_removed_before_its_results() {
        use Role::{Execution, Results, Transactions};
        let disposal = call(Operation::Dispose, KeyOptions::default());
        let expected: Steps = &[&[(Act::Write, Execution)], &[(Act::Write, Transactions), (Act::Write, Results)]];
        assert_eq!(steps(&disposal), Some(expected));
        assert!(holds_back_all(&disposal));
    }

    #[test]
    fn the_answer_says_whose_task_it_is() {
        let claim = call(Operation::BeginTask, KeyOptions { in_progress_ttl: Some(5), ..KeyOptions::default() });
        let parts = [claim.clone(), claim.part(Role::Transactions), claim.withdrawal()];
        for (call, number) in parts.iter().flat_map(|call| [(call, 1), (call, 0)]) {
            let reply = crate::store::reply::read(call, ServerFeatures::default(), &[redis::Value::Int(number)]);
            assert_eq!(reply.map(|reply| reply.answer), Ok(Answer::Flag(number == 1)));
        }
        assert!(crate::store::reply::read(&claim, ServerFeatures::default(), &[redis::Value::Array(vec![])]).is_err());
    }
}
