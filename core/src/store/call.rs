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
    /// Whether nobody wants to be warned of anything.
    pub quiet: bool,
}

/// The style of no store.
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

    /// A place for a call that is elsewhere.
    pub fn empty() -> Self {
        Self::new(Operation::IsExecutionInProgress, NO_OPTIONS.clone(), Vec::new(), 0, 0)
    }

    /// The same call, carrying reads along.
    pub fn prefetching(self, prefetch: Prefetch) -> Self {
        Self { prefetch, ..self }
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
        self.prefetch.append_before(self, pipeline);
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
        self.prefetch.append_behind(self, pipeline);
        pipeline.len() - before
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

    fn commands(operation: Operation, key_options: KeyOptions, features: ServerFeatures) -> Vec<String> {
        let call = Call::new(operation, Arc::new(key_options), b"runstep42".to_vec(), 3, 7);
        let mut pipeline = Pipeline::new();
        let replies = call.append(features, &mut pipeline);
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
        let plain = |operation| commands(operation, KeyOptions::default(), ServerFeatures::default());
        assert_eq!(plain(Operation::BeginExecution), ["SET run true GET"]);
        assert_eq!(plain(Operation::IsExecutionInProgress), ["GET run"]);
        assert_eq!(plain(Operation::BeginTask), ["HSET run-transactions step true"]);
        assert_eq!(plain(Operation::IsTaskInProgress), ["HGET run-transactions step"]);
        assert_eq!(
            plain(Operation::CommitResult),
            ["MULTI", "HSET run-results step 42", "HDEL run-transactions step", "EXEC"]
        );
        assert_eq!(plain(Operation::GetResult), ["HGET run-results step"]);
        assert_eq!(plain(Operation::GetResults), ["HGETALL run-results"]);
        assert_eq!(plain(Operation::Dispose), ["UNLINK run run-transactions run-results"]);
    }

    #[test]
    fn the_expiry_is_set_in_the_same_step() {
        let with = |operation, sliding_ttl| {
            commands(
                operation,
                KeyOptions { ttl: Some(2500), sliding_ttl, ..KeyOptions::default() },
                ServerFeatures::default(),
            )
        };
        assert_eq!(with(Operation::BeginExecution, false), ["SET run true PX 2500 GET"]);
        assert_eq!(
            with(Operation::BeginTask, false),
            ["MULTI", "HSET run-transactions step true", "PEXPIRE run-transactions 2500", "EXEC"]
        );
        assert_eq!(with(Operation::CommitResult, false)[3], "PEXPIRE run-results 2500");
        assert_eq!(
            with(Operation::CommitResult, true)[3..6],
            ["PEXPIRE run 2500", "PEXPIRE run-transactions 2500", "PEXPIRE run-results 2500"]
        );
    }

    #[test]
    fn parts_are_about_one_key_each() {
        let parts = |operation, ttl, sliding_ttl| {
            let key_options = KeyOptions { ttl, sliding_ttl, ..KeyOptions::default() };
            let call = Call::new(operation, Arc::new(key_options), b"runstep42".to_vec(), 3, 7);
            let steps = crate::store::cluster_steps::steps(&call).unwrap_or_default();
            let texts = steps.iter().flat_map(|step| step.iter()).map(|&role| {
                let mut pipeline = Pipeline::new();
                call.part(role).append(ServerFeatures::default(), &mut pipeline);
                let text = String::from_utf8_lossy(&pipeline.get_packed_pipeline()).into_owned();
                text.split("\r\n").filter(|word| !word.starts_with(['*', '$'])).collect::<Vec<_>>().join(" ")
            });
            texts.map(|text| text.trim().to_owned()).collect::<Vec<_>>()
        };
        let commit = ["HSET run-results step 42", "HDEL run-transactions step"];
        assert_eq!(parts(Operation::CommitResult, None, false), commit);
        let expiring = ["MULTI HSET run-results step 42 PEXPIRE run-results 9 EXEC", commit[1]];
        assert_eq!(parts(Operation::CommitResult, Some(9), false), expiring);
        let mark = "MULTI HDEL run-transactions step PEXPIRE run-transactions 9 EXEC";
        assert_eq!(parts(Operation::CommitResult, Some(9), true), [expiring[0], mark, "PEXPIRE run 9"]);
        let dispose = ["UNLINK run", "UNLINK run-transactions", "UNLINK run-results"];
        assert_eq!(parts(Operation::Dispose, Some(9), true), dispose);
        let begin = "MULTI HSET run-transactions step true PEXPIRE run-transactions 9 EXEC";
        assert_eq!(parts(Operation::BeginTask, Some(9), true), [begin, "PEXPIRE run 9", "PEXPIRE run-results 9"]);
        assert!(parts(Operation::BeginTask, Some(9), false).is_empty());
    }

    #[test]
    fn a_server_without_set_get_is_sent_a_plain_set() {
        let features = ServerFeatures { set_get: false, ..ServerFeatures::default() };
        assert_eq!(commands(Operation::BeginExecution, KeyOptions::default(), features), ["SET run true"]);
    }
}
