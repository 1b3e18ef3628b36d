//! The eight calls and the commands of each: always one round trip, atomic on one server, the expiry set in the same step.

use std::sync::{Arc, LazyLock};

use redis::{Cmd, Pipeline};

use super::keys::{Key, Role};
use super::operation::Operation;
use super::prefetch::Prefetch;
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
        Self { operation, key_options, prefetch: Prefetch::Nothing, only: None, text, id_end, task_end }
    }

    /// What stands for a call while that is moved elsewhere.
    pub fn empty() -> Self {
        Self::new(Operation::IsExecutionInProgress, NO_OPTIONS.clone(), Vec::new(), 0, 0)
    }

    /// The same call, carrying reads along.
    pub fn prefetching(self, prefetch: Prefetch) -> Self {
        Self { prefetch, ..self }
    }

    /// Takes away the reads that it carries along. Returns whether there were any.
    pub fn drop_prefetch(&mut self) -> bool {
        std::mem::take(&mut self.prefetch) != Prefetch::Nothing
    }

    /// The part of the call that is about one key, reads not carried.
    pub fn part(&self, role: Role) -> Self {
        let end = if self.operation == Operation::CommitResult && role != Role::Results {
            self.task_end
        } else {
            self.text.len()
        };
        let text = self.text[..end].to_vec();
        Self {
            only: Some(role),
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

    /// Whether it may be several commands that are applied as one.
    pub fn is_transaction(&self) -> bool {
        let expires = self.key_options.ttl.is_some();
        match self.operation {
            Operation::CommitResult => expires || self.only.is_none(),
            Operation::BeginTask => expires,
            _ => false,
        }
    }

    /// Adds the call's commands to a pipeline and returns how many replies they bring.
    pub fn append(&self, features: ServerFeatures, pipeline: &mut Pipeline) -> usize {
        let before = pipeline.len();
        if let Some(role) = self.only {
            self.append_part(role, pipeline);
            return pipeline.len() - before;
        }
        self.append_prefetch_before(pipeline);
        match self.operation {
            Operation::BeginExecution => self.append_begin(features, pipeline),
            Operation::IsExecutionInProgress => self.push(pipeline, "GET", Role::Execution, &[]),
            Operation::IsTaskInProgress => self.push(pipeline, "HGET", Role::Transactions, &[self.task()]),
            Operation::GetResult => self.push(pipeline, "HGET", Role::Results, &[self.task()]),
            Operation::GetResults => self.push(pipeline, "HGETALL", Role::Results, &[]),
            Operation::Dispose => {
                let mut command = Cmd::new();
                command.arg("UNLINK").arg(self.key(Role::Execution));
                command.arg(self.key(Role::Transactions)).arg(self.key(Role::Results));
                pipeline.add_command(command);
            }
            Operation::BeginTask => {
                let mark = [self.task(), b"true"];
                match self.key_options.ttl {
                    None => self.push(pipeline, "HSET", Role::Transactions, &mark),
                    Some(ttl) => {
                        pipeline.cmd("MULTI");
                        self.push(pipeline, "HSET", Role::Transactions, &mark);
                        self.push_expiries(pipeline, ttl, Role::Transactions);
                        pipeline.cmd("EXEC");
                    }
                }
            }
            Operation::CommitResult => {
                pipeline.cmd("MULTI");
                self.push(pipeline, "HSET", Role::Results, &[self.task(), self.value()]);
                self.push(pipeline, "HDEL", Role::Transactions, &[self.task()]);
                if let Some(ttl) = self.key_options.ttl {
                    self.push_expiries(pipeline, ttl, Role::Results);
                }
                pipeline.cmd("EXEC");
            }
        }
        self.append_prefetch_behind(pipeline);
        pipeline.len() - before
    }

    /// Adds the reads that go before the call's own commands.
    fn append_prefetch_before(&self, pipeline: &mut Pipeline) {
        match self.prefetch {
            Prefetch::Nothing | Prefetch::Execution | Prefetch::MarksAndResults => {}
            Prefetch::OwnMark => self.push(pipeline, "HGET", Role::Transactions, &[self.task()]),
            Prefetch::ExecutionAndMarks => self.push(pipeline, "HGETALL", Role::Transactions, &[]),
        }
    }

    /// Adds the reads that go behind the call's own commands.
    fn append_prefetch_behind(&self, pipeline: &mut Pipeline) {
        match self.prefetch {
            Prefetch::Nothing | Prefetch::OwnMark => {}
            Prefetch::Execution | Prefetch::ExecutionAndMarks => self.push(pipeline, "GET", Role::Execution, &[]),
            Prefetch::MarksAndResults => {
                self.push(pipeline, "HGETALL", Role::Transactions, &[]);
                self.push(pipeline, "HGETALL", Role::Results, &[]);
            }
        }
    }

    /// Adds what the call does to one of its keys, in a transaction of their own where these are two commands.
    fn append_part(&self, role: Role, pipeline: &mut Pipeline) {
        let ttl = self.key_options.ttl.filter(|_| self.operation != Operation::Dispose).map(|ttl| ttl.to_string());
        let write = match (self.operation, role) {
            (Operation::Dispose, _) => Some(("UNLINK", Vec::new())),
            (Operation::BeginTask, Role::Transactions) => Some(("HSET", vec![self.task(), b"true"])),
            (Operation::CommitResult, Role::Results) => Some(("HSET", vec![self.task(), self.value()])),
            (Operation::CommitResult, Role::Transactions) => Some(("HDEL", vec![self.task()])),
            _ => None,
        };
        // Taking a mark away leaves the expiry of the others as it is, unless it slides.
        let expiry = ttl.filter(|_| self.key_options.sliding_ttl || !matches!(&write, Some(("HDEL", _))));
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
    fn append_begin(&self, features: ServerFeatures, pipeline: &mut Pipeline) {
        let ttl = self.key_options.ttl.map(|ttl| ttl.to_string());
        let mut arguments: Vec<&[u8]> = Vec::with_capacity(4);
        arguments.push(b"true");
        if let Some(ttl) = &ttl {
            arguments.extend([b"PX".as_slice(), ttl.as_bytes()]);
        }
        if features.set_get {
            arguments.push(b"GET");
        }
        self.push(pipeline, "SET", Role::Execution, &arguments);
    }

    /// Renews the expiry of the key just written, or of all three keys when it slides.
    fn push_expiries(&self, pipeline: &mut Pipeline, ttl: u64, written: Role) {
        let ttl = ttl.to_string();
        let all = [Role::Execution, Role::Transactions, Role::Results];
        for role in all.into_iter().filter(|&role| role == written || self.key_options.sliding_ttl) {
            self.push(pipeline, "PEXPIRE", role, &[ttl.as_bytes()]);
        }
    }

    /// Adds one command on one of the execution's keys.
    fn push(&self, pipeline: &mut Pipeline, name: &str, role: Role, arguments: &[&[u8]]) {
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
mod tests;
