//! The calls and the commands of each: always one round trip, atomic on one server, the expiry set in the same step.

use std::sync::{Arc, LazyLock};

use super::cluster_steps::Act;
use super::command_writer::{CommandWriter, Decimal};
use super::keys::{Key, Role};
use super::operation::Operation;
use super::prefetch::{Prefetch, Read};
use super::server_features::ServerFeatures;

/// How one store writes: its options, shared by all its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyOptions {
    /// Put before every key.
    pub key_prefix: String,
    /// Whether ids stand in braces, one cluster slot per execution.
    pub hash_tags: bool,
    /// Expiry in milliseconds; `None` for none.
    pub ttl: Option<u64>,
    /// Whether progress on any task extends all three keys.
    pub sliding_ttl: bool,
    /// Milliseconds after which the mark of a task in progress expires by itself; `None` for never.
    pub in_progress_ttl: Option<u64>,
    /// Milliseconds that is kept what is written although its execution is gone; `None` for as long as anything else.
    pub orphan_ttl: Option<u64>,
    /// Whether a task is begun by one call alone.
    pub claims: bool,
    /// Whether the store gives no warnings.
    pub quiet: bool,
}

/// The options of no store.
static NO_OPTIONS: LazyLock<Arc<KeyOptions>> = LazyLock::new(Arc::default);

/// One call with its arguments, in one allocation.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which call.
    pub operation: Operation,
    /// How the store writes.
    pub key_options: Arc<KeyOptions>,
    /// The reads it carries along.
    pub prefetch: Prefetch,
    /// The one key that this part of the call is about; `None` when it is the whole call.
    pub only: Option<Role>,
    /// What such a part does.
    pub act: Act,
    /// Execution id, task id and JSON value, one after the other.
    text: Vec<u8>,
    id_end: usize,
    task_end: usize,
}

impl Call {
    /// A call. `text` is execution id, task id and value one after the other; the latter two are empty where the call
    /// has none.
    pub fn new(
        operation: Operation,
        key_options: Arc<KeyOptions>,
        text: Vec<u8>,
        id_end: usize,
        task_end: usize,
    ) -> Self {
        Self {
            operation,
            key_options,
            prefetch: Prefetch::Nothing,
            only: None,
            act: Act::Write,
            text,
            id_end,
            task_end,
        }
    }

    /// What stands for a call while that is moved elsewhere.
    pub fn empty() -> Self {
        Self::new(Operation::IsExecutionInProgress, NO_OPTIONS.clone(), Vec::new(), 0, 0)
    }

    /// The same call, carrying reads along.
    pub fn prefetching(self, prefetch: Prefetch) -> Self {
        Self { prefetch, ..self }
    }

    /// Takes away the reads that it carries along, and returns them.
    pub fn take_prefetch(&mut self) -> Prefetch {
        std::mem::take(&mut self.prefetch)
    }

    /// Takes away the reads that it carries along. Returns whether there were any.
    pub fn drop_prefetch(&mut self) -> bool {
        self.take_prefetch() != Prefetch::Nothing
    }

    /// The part of the call that writes one key, reads not carried.
    pub fn part(&self, role: Role) -> Self {
        self.part_that(Act::Write, role)
    }

    /// The part of the call that does something about one key.
    pub fn part_that(&self, act: Act, role: Role) -> Self {
        let end = if self.operation == Operation::CommitResult && role != Role::Results {
            self.task_end
        } else {
            self.text.len()
        };
        let text = self.text[..end].to_vec();
        Self {
            only: Some(role),
            act,
            ..Call::new(self.operation, self.key_options.clone(), text, self.id_end, self.task_end)
        }
    }

    /// The execution id, as UTF-8.
    pub fn id(&self) -> &[u8] {
        &self.text[..self.id_end]
    }

    /// The task id, as UTF-8.
    pub fn task(&self) -> &[u8] {
        &self.text[self.id_end..self.task_end]
    }

    /// The value as JSON.
    pub fn value(&self) -> &[u8] {
        &self.text[self.task_end..]
    }

    /// The bytes the call's arguments occupy.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// One of the execution's keys.
    pub fn key(&self, role: Role) -> Key<'_> {
        Key { prefix: &self.key_options.key_prefix, hash_tag: self.key_options.hash_tags, id: self.id(), role }
    }

    /// What identifies its execution among all others, those of stores with other prefixes included.
    pub fn execution_key(&self) -> Vec<u8> {
        self.key(Role::Execution).to_bytes()
    }

    /// Whether it may be several commands that are applied as one, on a server with these features.
    pub fn is_transaction(&self, features: ServerFeatures) -> bool {
        self.is_isolated(features) || features.multi && self.writes_in_steps()
    }

    /// Whether the call and the reads that it carries are one transaction: so nothing comes in between, and what they bring is
    /// true of one moment.
    pub fn is_isolated(&self, features: ServerFeatures) -> bool {
        features.isolates && features.multi && self.only.is_none() && self.carried(features).is_several(self.operation)
    }

    /// The reads that it carries to a server with these features.
    pub fn carried(&self, features: ServerFeatures) -> Prefetch {
        match (self.prefetch, self.operation) {
            (prefetch, _) if prefetch != Prefetch::Tasks || features.task_names => prefetch,
            (_, Operation::IsExecutionInProgress) => Prefetch::Nothing,
            _ => Prefetch::Execution,
        }
    }

    /// How many replies these bring before and behind those of the call itself.
    pub fn carried_replies(&self, features: ServerFeatures) -> (usize, usize) {
        self.carried(features).replies(self.operation)
    }

    /// These before and behind the commands of the call itself.
    pub fn carried_reads(&self, features: ServerFeatures) -> (&'static [Read], &'static [Read]) {
        let (carried, operation) = (self.carried(features), self.operation);
        carried.reads(operation).split_at(carried.replies(operation).0)
    }

    /// Whether what it writes expires by a command of its own, which is to be in one transaction with it.
    pub fn expires_apart(&self) -> bool {
        self.writes_in_steps()
            && self.operation != Operation::Touch
            && (self.key_options.ttl.is_some() || self.is_leased() || self.is_guarded())
    }

    /// Whether it writes by several commands, which are to be applied as one.
    fn writes_in_steps(&self) -> bool {
        let expires = self.key_options.ttl.is_some();
        match (self.act, self.operation) {
            (act, _) if act.asks() || matches!(act, Act::Restore | Act::Withdraw) => return false,
            (Act::Shorten, operation) => return self.only == Some(operation.role()),
            _ => {}
        }
        match self.operation {
            Operation::BeginTask if self.claims_here() => false,
            Operation::BeginExecution => self.restores(),
            Operation::CommitResult => expires || self.only.is_none(),
            Operation::BeginTask => expires || self.is_leased() || self.is_guarded(),
            Operation::Touch => self.touches_in_steps(),
            _ => false,
        }
    }

    /// Writes the call's commands and returns how many replies they bring.
    pub fn append(&self, features: ServerFeatures, out: &mut impl CommandWriter) -> usize {
        if let Some(role) = self.only {
            return self.append_part(role, features, out);
        }
        let isolated = self.is_isolated(features);
        let opened = if isolated { word_of(features, out, "MULTI") } else { 0 };
        let (before, behind) = self.carried_reads(features);
        let before = self.append_reads(before, out);
        let own = self.append_own(features, isolated, out);
        let behind = self.append_reads(behind, out);
        let closed = if isolated { word_of(features, out, "EXEC") } else { 0 };
        opened + before + own + behind + closed
    }

    /// Writes the call's own commands. `within` is whether a transaction has begun.
    fn append_own(&self, features: ServerFeatures, within: bool, out: &mut impl CommandWriter) -> usize {
        let bracket = |out: &mut _, name| if within { 0 } else { word_of(features, out, name) };
        match self.operation {
            Operation::BeginExecution if self.restores() => {
                bracket(out, "MULTI")
                    + self.append_begin(features, out)
                    + self.push_restore(Role::Transactions, out)
                    + self.push_restore(Role::Results, out)
                    + bracket(out, "EXEC")
            }
            Operation::BeginExecution => self.append_begin(features, out),
            Operation::IsExecutionInProgress => self.push(out, "GET", Role::Execution, &[]),
            Operation::IsTaskInProgress => self.push(out, "HGET", Role::Transactions, &[self.task()]),
            Operation::GetResult => self.push(out, "HGET", Role::Results, &[self.task()]),
            Operation::GetResults => self.push(out, "HGETALL", Role::Results, &[]),
            Operation::Dispose => {
                out.begin(4);
                out.argument(if features.unlink { b"UNLINK" } else { b"DEL" });
                for role in [Role::Execution, Role::Transactions, Role::Results] {
                    out.key(&self.key(role));
                }
                1
            }
            Operation::BeginTask if self.is_claim() => self.push_claim(out),
            Operation::BeginTask => {
                let mark = [self.task(), b"true"];
                if !self.writes_in_steps() {
                    return self.push(out, "HSET", Role::Transactions, &mark);
                }
                bracket(out, "MULTI")
                    + self.push(out, "HSET", Role::Transactions, &mark)
                    + self.push_lease(out)
                    + self.key_options.ttl.map_or(0, |ttl| self.push_expiries(out, ttl, Role::Transactions))
                    + self.push_guard(out)
                    + bracket(out, "EXEC")
            }
            Operation::Touch => self.append_touch(features, out),
            Operation::CommitResult => {
                bracket(out, "MULTI")
                    + self.push(out, "HSET", Role::Results, &[self.task(), self.value()])
                    + self.push(out, "HDEL", Role::Transactions, &[self.task()])
                    + self.key_options.ttl.map_or(0, |ttl| self.push_expiries(out, ttl, Role::Results))
                    + self.push_guard(out)
                    + bracket(out, "EXEC")
            }
        }
    }

    /// Writes some of the reads that it carries.
    fn append_reads(&self, reads: &[Read], out: &mut impl CommandWriter) -> usize {
        let append = |read: &Read| match read {
            Read::Mark => self.push(out, "HGET", Role::Transactions, &[self.task()]),
            Read::Marks => self.push(out, "HGETALL", Role::Transactions, &[]),
            Read::Results => self.push(out, "HGETALL", Role::Results, &[]),
            Read::MarkNames => self.push(out, "HKEYS", Role::Transactions, &[]),
            Read::ResultNames => self.push(out, "HKEYS", Role::Results, &[]),
            Read::Execution => self.push(out, "GET", Role::Execution, &[]),
        };
        reads.iter().map(append).sum()
    }

    /// Writes what the call does to one of its keys, in a transaction of their own where these are two commands.
    fn append_part(&self, role: Role, features: ServerFeatures, out: &mut impl CommandWriter) -> usize {
        match (self.act, self.operation) {
            (Act::AskFirst | Act::AskAgain, _) => return self.push(out, "EXISTS", role, &[]),
            (Act::AskResult, _) => return self.push(out, "HEXISTS", role, &[self.task()]),
            (Act::Withdraw, _) => return self.push_withdrawal(out),
            (Act::Write, _) if self.claims_here() => return self.push_claim(out),
            (Act::Restore, _) => return self.push_restore(role, out),
            (Act::Write | Act::Shorten, Operation::Touch) => return self.append_touch_of(role, features, out),
            (Act::Write | Act::Shorten, Operation::BeginExecution) if role == Role::Execution => {
                return self.append_begin(features, out);
            }
            (Act::Write | Act::Shorten, _) => {}
        }
        let both = [self.task(), self.value()];
        let mark: [&[u8]; 2] = [self.task(), b"true"];
        let write: Option<(&str, &[&[u8]])> = match (self.operation, role) {
            (Operation::Dispose, _) => Some((if features.unlink { "UNLINK" } else { "DEL" }, &[])),
            (Operation::BeginTask, Role::Transactions) => Some(("HSET", &mark)),
            (Operation::CommitResult, Role::Results) => Some(("HSET", &both)),
            (Operation::CommitResult, Role::Transactions) => Some(("HDEL", &both[..1])),
            _ => None,
        };
        // Removing a task's entry leaves the expiry of the others as it is, unless it slides.
        let slides = self.key_options.sliding_ttl || !matches!(write, Some(("HDEL", _)));
        let ttl = match self.act {
            Act::Shorten => self.orphan_ttl().filter(|_| self.writes_in_steps()),
            _ => self.key_options.ttl.filter(|_| slides && self.operation != Operation::Dispose),
        };
        let is_leased = self.is_leased() && role == Role::Transactions;
        match (write, ttl) {
            (Some((name, arguments)), ttl) if ttl.is_some() || is_leased => {
                word_of(features, out, "MULTI")
                    + self.push(out, name, role, arguments)
                    + if is_leased { self.push_lease(out) } else { 0 }
                    + ttl.map_or(0, |ttl| self.push_expiry(out, ttl, role))
                    + word_of(features, out, "EXEC")
            }
            (Some((name, arguments)), _) => self.push(out, name, role, arguments),
            (None, Some(ttl)) => self.push_expiry(out, ttl, role),
            (None, None) => 0,
        }
    }

    /// `SET id true [PX ttl] [GET]`: <https://redis.io/docs/latest/commands/set/>.
    fn append_begin(&self, features: ServerFeatures, out: &mut impl CommandWriter) -> usize {
        let ttl = self.key_options.ttl.map(Decimal::new);
        out.begin(3 + if ttl.is_some() { 2 } else { 0 } + usize::from(features.set_get));
        out.argument(b"SET");
        out.key(&self.key(Role::Execution));
        out.argument(b"true");
        if let Some(ttl) = ttl {
            out.argument(b"PX");
            out.argument(ttl.as_bytes());
        }
        if features.set_get {
            out.argument(b"GET");
        }
        1
    }

    /// Renews the expiry of the key just written, or of all three keys when it slides.
    fn push_expiries(&self, out: &mut impl CommandWriter, ttl: u64, written: Role) -> usize {
        let all = [Role::Execution, Role::Transactions, Role::Results];
        let renewed = all.into_iter().filter(|&role| role == written || self.key_options.sliding_ttl);
        renewed.map(|role| self.push_expiry(out, ttl, role)).sum()
    }

    pub(super) fn push_expiry(&self, out: &mut impl CommandWriter, ttl: u64, role: Role) -> usize {
        self.push(out, "PEXPIRE", role, &[Decimal::new(ttl).as_bytes()])
    }

    /// Writes one command on one of the execution's keys.
    pub(super) fn push(&self, out: &mut impl CommandWriter, name: &str, role: Role, arguments: &[&[u8]]) -> usize {
        out.begin(2 + arguments.len());
        out.argument(name.as_bytes());
        out.key(&self.key(role));
        arguments.iter().for_each(|argument| out.argument(argument));
        1
    }
}

/// Writes a command of a transaction that is nothing but its name, where there are transactions.
pub(super) fn word_of(features: ServerFeatures, out: &mut impl CommandWriter, name: &str) -> usize {
    if !features.multi {
        return 0;
    }
    out.begin(1);
    out.argument(name.as_bytes());
    1
}

#[cfg(test)]
mod tests;
