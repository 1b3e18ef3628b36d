//! The eight calls and the commands of each: always one round trip, atomic on one server, the expiry set in the same step.

use std::sync::{Arc, LazyLock};

use redis::{Cmd, Pipeline};

use super::keys::{Key, Role};
use super::snapshot::Ahead;

/// The eight store calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `beginExecution(executionId)`
    BeginExecution,
    /// `isExecutionInProgress(executionId)`
    IsExecutionInProgress,
    /// `beginExecutionTask(executionId, taskId)`
    BeginTask,
    /// `isExecutionTaskInProgress(executionId, taskId)`
    IsTaskInProgress,
    /// `commitExecutionTaskResult(executionId, taskId, value)`
    CommitResult,
    /// `getExecutionTaskResult(executionId, taskId)`
    GetResult,
    /// `getExecutionTaskResults(executionId)`
    GetResults,
    /// `disposeExecution(executionId)`
    Dispose,
}

impl Kind {
    /// Every call, in the order of the worker's interface.
    pub const ALL: [Kind; 8] = [
        Kind::BeginExecution,
        Kind::IsExecutionInProgress,
        Kind::BeginTask,
        Kind::IsTaskInProgress,
        Kind::CommitResult,
        Kind::GetResult,
        Kind::GetResults,
        Kind::Dispose,
    ];

    /// The method's name in JavaScript.
    pub fn name(self) -> &'static str {
        match self {
            Kind::BeginExecution => "beginExecution",
            Kind::IsExecutionInProgress => "isExecutionInProgress",
            Kind::BeginTask => "beginExecutionTask",
            Kind::IsTaskInProgress => "isExecutionTaskInProgress",
            Kind::CommitResult => "commitExecutionTaskResult",
            Kind::GetResult => "getExecutionTaskResult",
            Kind::GetResults => "getExecutionTaskResults",
            Kind::Dispose => "disposeExecution",
        }
    }

    /// Whether the call names a task besides the execution.
    pub fn has_task(self) -> bool {
        matches!(self, Kind::BeginTask | Kind::IsTaskInProgress | Kind::CommitResult | Kind::GetResult)
    }

    /// Whether the call changes what Redis holds.
    pub fn writes(self) -> bool {
        matches!(self, Kind::BeginExecution | Kind::BeginTask | Kind::CommitResult | Kind::Dispose)
    }

    /// The key the call is about, for error messages.
    pub fn role(self) -> Role {
        match self {
            Kind::BeginExecution | Kind::IsExecutionInProgress | Kind::Dispose => Role::Execution,
            Kind::BeginTask | Kind::IsTaskInProgress => Role::Transactions,
            Kind::CommitResult | Kind::GetResult | Kind::GetResults => Role::Results,
        }
    }
}

/// How one store writes: its options, shared by all its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Put before every key.
    pub key_prefix: String,
    /// Whether ids stand in braces, one cluster slot per execution.
    pub hash_tags: bool,
    /// Expiry in milliseconds; `None` for none.
    pub ttl: Option<u64>,
    /// Whether progress on any task extends all three keys.
    pub sliding_ttl: bool,
    /// Whether nobody wants to be warned of anything.
    pub quiet: bool,
}

/// The style of no store.
static NO_STYLE: LazyLock<Arc<Style>> = LazyLock::new(Arc::default);

/// What a server understands; learnt from its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// `SET … GET`, since Redis 6.2: refuses a key of another type instead of overwriting it.
    pub set_get: bool,
    /// One command or transaction may use keys of different slots; not so where they are on different shards behind one
    /// address, or the server is in cluster mode (`CROSSSLOT`).
    pub cross_slot: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { set_get: true, cross_slot: true }
    }
}

/// One call with its arguments, in one allocation.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which call.
    pub kind: Kind,
    /// How the store writes.
    pub style: Arc<Style>,
    /// The reads it carries along.
    pub ahead: Ahead,
    /// The one key that this part of the call is about; `None` when it is the whole call.
    pub only: Option<Role>,
    /// Execution id, task id and JSON value, one after the other.
    text: Vec<u8>,
    id_end: usize,
    task_end: usize,
}

impl Call {
    /// A call. `text` is execution id, task id and value one after the other; the latter two are empty where the call
    /// has none.
    pub fn new(kind: Kind, style: Arc<Style>, text: Vec<u8>, id_end: usize, task_end: usize) -> Self {
        Self { kind, style, ahead: Ahead::Nothing, only: None, text, id_end, task_end }
    }

    /// A place for a call that is elsewhere.
    pub fn empty() -> Self {
        Self::new(Kind::IsExecutionInProgress, NO_STYLE.clone(), Vec::new(), 0, 0)
    }

    /// The same call, carrying reads along.
    pub fn carrying(self, ahead: Ahead) -> Self {
        Self { ahead, ..self }
    }

    /// The part of the call that is about one key, reads not carried.
    pub fn part(&self, role: Role) -> Self {
        let end =
            if self.kind == Kind::CommitResult && role != Role::Results { self.task_end } else { self.text.len() };
        let text = self.text[..end].to_vec();
        Self { only: Some(role), ..Call::new(self.kind, self.style.clone(), text, self.id_end, self.task_end) }
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
        Key { prefix: &self.style.key_prefix, hash_tag: self.style.hash_tags, id: self.id(), role }
    }

    /// Whether it may be several commands that are applied as one.
    pub fn is_transaction(&self) -> bool {
        let expires = self.style.ttl.is_some();
        match self.kind {
            Kind::CommitResult => expires || self.only.is_none(),
            Kind::BeginTask => expires,
            _ => false,
        }
    }

    /// Adds the call's commands to a pipeline and returns how many replies they bring.
    pub fn append(&self, dialect: Dialect, pipeline: &mut Pipeline) -> usize {
        let before = pipeline.len();
        if let Some(role) = self.only {
            self.append_part(role, pipeline);
            return pipeline.len() - before;
        }
        self.ahead.append_before(self, pipeline);
        match self.kind {
            Kind::BeginExecution => self.append_begin(dialect, pipeline),
            Kind::IsExecutionInProgress => self.push(pipeline, "GET", Role::Execution, &[]),
            Kind::IsTaskInProgress => self.push(pipeline, "HGET", Role::Transactions, &[self.task()]),
            Kind::GetResult => self.push(pipeline, "HGET", Role::Results, &[self.task()]),
            Kind::GetResults => self.push(pipeline, "HGETALL", Role::Results, &[]),
            Kind::Dispose => {
                let mut command = Cmd::new();
                command.arg("UNLINK").arg(self.key(Role::Execution));
                command.arg(self.key(Role::Transactions)).arg(self.key(Role::Results));
                pipeline.add_command(command);
            }
            Kind::BeginTask => {
                let mark = [self.task(), b"true"];
                match self.style.ttl {
                    None => self.push(pipeline, "HSET", Role::Transactions, &mark),
                    Some(ttl) => {
                        pipeline.cmd("MULTI");
                        self.push(pipeline, "HSET", Role::Transactions, &mark);
                        self.push_expiries(pipeline, ttl, Role::Transactions);
                        pipeline.cmd("EXEC");
                    }
                }
            }
            Kind::CommitResult => {
                pipeline.cmd("MULTI");
                self.push(pipeline, "HSET", Role::Results, &[self.task(), self.value()]);
                self.push(pipeline, "HDEL", Role::Transactions, &[self.task()]);
                if let Some(ttl) = self.style.ttl {
                    self.push_expiries(pipeline, ttl, Role::Results);
                }
                pipeline.cmd("EXEC");
            }
        }
        self.ahead.append_behind(self, pipeline);
        pipeline.len() - before
    }

    /// Adds what the call does to one of its keys, in a transaction of their own where these are two commands.
    fn append_part(&self, role: Role, pipeline: &mut Pipeline) {
        let ttl = self.style.ttl.filter(|_| self.kind != Kind::Dispose).map(|ttl| ttl.to_string());
        let write = match (self.kind, role) {
            (Kind::Dispose, _) => Some(("UNLINK", Vec::new())),
            (Kind::BeginTask, Role::Transactions) => Some(("HSET", vec![self.task(), b"true"])),
            (Kind::CommitResult, Role::Results) => Some(("HSET", vec![self.task(), self.value()])),
            (Kind::CommitResult, Role::Transactions) => Some(("HDEL", vec![self.task()])),
            _ => None,
        };
        // Taking a mark away leaves the expiry of the others as it is, unless it slides.
        let expiry = ttl.filter(|_| self.style.sliding_ttl || !matches!(&write, Some(("HDEL", _))));
        let both = write.is_some() && expiry.is_some();
        if both {
            pipeline.cmd("MULTI");
        }
        if let Some((name, arguments)) = write {
            self.push(pipeline, name, role, &arguments);
        }
        if let Some(ttl) = expiry {
            self.push(pipeline, "PEXPIRE", role, &[ttl.as_bytes()]);
        }
        if both {
            pipeline.cmd("EXEC");
        }
    }

    /// `SET id true [PX ttl] [GET]`: <https://redis.io/docs/latest/commands/set/>.
    fn append_begin(&self, dialect: Dialect, pipeline: &mut Pipeline) {
        let ttl = self.style.ttl.map(|ttl| ttl.to_string());
        let mut arguments: Vec<&[u8]> = Vec::with_capacity(4);
        arguments.push(b"true");
        if let Some(ttl) = &ttl {
            arguments.extend([b"PX".as_slice(), ttl.as_bytes()]);
        }
        if dialect.set_get {
            arguments.push(b"GET");
        }
        self.push(pipeline, "SET", Role::Execution, &arguments);
    }

    /// Renews the expiry of the key just written, or of all three keys when it slides.
    fn push_expiries(&self, pipeline: &mut Pipeline, ttl: u64, written: Role) {
        let ttl = ttl.to_string();
        let all = [Role::Execution, Role::Transactions, Role::Results];
        for role in all.into_iter().filter(|&role| role == written || self.style.sliding_ttl) {
            self.push(pipeline, "PEXPIRE", role, &[ttl.as_bytes()]);
        }
    }

    /// Adds one command on one of the execution's keys.
    pub fn push(&self, pipeline: &mut Pipeline, name: &str, role: Role, arguments: &[&[u8]]) {
        let key = self.key(role);
        let size = name.len() + key.size() + arguments.iter().map(|argument| argument.len()).sum::<usize>();
        let mut command = Cmd::with_capacity(2 + arguments.len(), size);
        command.arg(name).arg(key);
        for &argument in arguments {
            command.arg(argument);
        }
        pipeline.add_command(command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(kind: Kind, style: Style, dialect: Dialect) -> Vec<String> {
        let call = Call::new(kind, Arc::new(style), b"runstep42".to_vec(), 3, 7);
        let mut pipeline = Pipeline::new();
        let replies = call.append(dialect, &mut pipeline);
        assert_eq!(replies, pipeline.len());
        let words = |command: &Cmd| {
            let words = command.args_iter().map(|argument| match argument {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::from("?"),
            });
            words.collect::<Vec<_>>().join(" ")
        };
        pipeline.cmd_iter().map(words).collect()
    }

    #[test]
    fn without_ttl_only_a_commit_needs_a_transaction() {
        let plain = |kind| commands(kind, Style::default(), Dialect::default());
        assert_eq!(plain(Kind::BeginExecution), ["SET run true GET"]);
        assert_eq!(plain(Kind::IsExecutionInProgress), ["GET run"]);
        assert_eq!(plain(Kind::BeginTask), ["HSET run-transactions step true"]);
        assert_eq!(plain(Kind::IsTaskInProgress), ["HGET run-transactions step"]);
        assert_eq!(
            plain(Kind::CommitResult),
            ["MULTI", "HSET run-results step 42", "HDEL run-transactions step", "EXEC"]
        );
        assert_eq!(plain(Kind::GetResult), ["HGET run-results step"]);
        assert_eq!(plain(Kind::GetResults), ["HGETALL run-results"]);
        assert_eq!(plain(Kind::Dispose), ["UNLINK run run-transactions run-results"]);
    }

    #[test]
    fn the_expiry_is_set_in_the_same_step() {
        let with = |kind, sliding_ttl| {
            commands(kind, Style { ttl: Some(2500), sliding_ttl, ..Style::default() }, Dialect::default())
        };
        assert_eq!(with(Kind::BeginExecution, false), ["SET run true PX 2500 GET"]);
        assert_eq!(
            with(Kind::BeginTask, false),
            ["MULTI", "HSET run-transactions step true", "PEXPIRE run-transactions 2500", "EXEC"]
        );
        assert_eq!(with(Kind::CommitResult, false)[3], "PEXPIRE run-results 2500");
        assert_eq!(
            with(Kind::CommitResult, true)[3..6],
            ["PEXPIRE run 2500", "PEXPIRE run-transactions 2500", "PEXPIRE run-results 2500"]
        );
    }

    #[test]
    fn parts_are_about_one_key_each() {
        let parts = |kind, ttl, sliding_ttl| {
            let style = Style { ttl, sliding_ttl, ..Style::default() };
            let call = Call::new(kind, Arc::new(style), b"runstep42".to_vec(), 3, 7);
            let steps = crate::store::split::steps(&call).unwrap_or_default();
            let texts = steps.iter().flat_map(|step| step.iter()).map(|&role| {
                let mut pipeline = Pipeline::new();
                call.part(role).append(Dialect::default(), &mut pipeline);
                let text = String::from_utf8_lossy(&pipeline.get_packed_pipeline()).into_owned();
                text.split("\r\n").filter(|word| !word.starts_with(['*', '$'])).collect::<Vec<_>>().join(" ")
            });
            texts.map(|text| text.trim().to_owned()).collect::<Vec<_>>()
        };
        let commit = ["HSET run-results step 42", "HDEL run-transactions step"];
        assert_eq!(parts(Kind::CommitResult, None, false), commit);
        let expiring = ["MULTI HSET run-results step 42 PEXPIRE run-results 9 EXEC", commit[1]];
        assert_eq!(parts(Kind::CommitResult, Some(9), false), expiring);
        let mark = "MULTI HDEL run-transactions step PEXPIRE run-transactions 9 EXEC";
        assert_eq!(parts(Kind::CommitResult, Some(9), true), [expiring[0], mark, "PEXPIRE run 9"]);
        let dispose = ["UNLINK run", "UNLINK run-transactions", "UNLINK run-results"];
        assert_eq!(parts(Kind::Dispose, Some(9), true), dispose);
        let begin = "MULTI HSET run-transactions step true PEXPIRE run-transactions 9 EXEC";
        assert_eq!(parts(Kind::BeginTask, Some(9), true), [begin, "PEXPIRE run 9", "PEXPIRE run-results 9"]);
        assert!(parts(Kind::BeginTask, Some(9), false).is_empty());
    }

    #[test]
    fn a_server_without_set_get_is_sent_a_plain_set() {
        let dialect = Dialect { set_get: false, ..Dialect::default() };
        assert_eq!(commands(Kind::BeginExecution, Style::default(), dialect), ["SET run true"]);
    }
}
