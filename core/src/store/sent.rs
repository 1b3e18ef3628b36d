//! What a call is called by those who watch: the command that it sends, or what several are sent in, by the words of OpenTelemetry's
//! conventions for Redis: <https://opentelemetry.io/docs/specs/semconv/db/redis/>.

use std::sync::Arc;

use super::call::{Call, KeyOptions};
use super::command_writer::CommandWriter;
use super::keys::{Key, Role};
use super::operation::Operation;
use super::server_features::ServerFeatures;
use super::slot::spans_slots;

/// What a call sends to a server that understands everything, without the reads that it may carry.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    /// The command. Of several, what they are sent in, and the command if it is the same one.
    pub name: String,
    /// How many commands.
    pub commands: usize,
}

/// Notes the names of commands, and whether they are about several keys.
#[derive(Default)]
struct Names {
    commands: Vec<String>,
    is_name: bool,
    roles: Vec<Role>,
}

impl CommandWriter for Names {
    fn begin(&mut self, _arguments: usize) {
        self.is_name = true;
    }

    fn argument(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.is_name) {
            self.commands.push(String::from_utf8_lossy(bytes).into_owned());
        }
    }

    fn key(&mut self, key: &Key<'_>) {
        if !self.roles.contains(&key.role) {
            self.roles.push(key.role);
        }
    }
}

impl Sent {
    /// What a call of a store with these options sends. `is_cluster` is whether keys of different slots are on different servers.
    pub fn by(operation: Operation, with_task: bool, key_options: &Arc<KeyOptions>, is_cluster: bool) -> Self {
        let (id, task, value) = ("i", if with_task { "t" } else { "" }, "v");
        let text = [id, task, value].concat().into_bytes();
        let call = Call::new(operation, key_options.clone(), text, id.len(), id.len() + task.len());
        let mut names = Names::default();
        call.append(ServerFeatures::default(), &mut names);
        let Names { mut commands, roles, .. } = names;
        commands.retain(|name| name != "MULTI" && name != "EXEC");
        let is_apart = is_cluster && roles.len() > 1 && spans_slots(&call);
        if is_apart
            && let [command] = &commands[..]
            && !call.is_claim()
        {
            // One for each key.
            commands = vec![command.clone(); roles.len()];
        }
        let is_one = commands.iter().all(|name| *name == commands[0]);
        let name = match (&commands[..], if is_apart { "PIPELINE" } else { "MULTI" }) {
            ([command], _) => command.clone(),
            ([command, ..], within) if is_one => format!("{within} {command}"),
            (_, within) => within.to_owned(),
        };
        Self { name, commands: commands.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(operation: Operation, options: KeyOptions, is_cluster: bool) -> (String, usize) {
        let Sent { name, commands } = Sent::by(operation, operation.has_task(), &Arc::new(options), is_cluster);
        (name, commands)
    }

    fn named(name: &str, commands: usize) -> (String, usize) {
        (name.to_owned(), commands)
    }

    #[test]
    fn one_command_has_its_own_name() {
        let commands = [
            (Operation::BeginExecution, "SET"),
            (Operation::IsExecutionInProgress, "GET"),
            (Operation::BeginTask, "HSET"),
            (Operation::IsTaskInProgress, "HGET"),
            (Operation::GetResult, "HGET"),
            (Operation::GetResults, "HGETALL"),
            (Operation::Dispose, "UNLINK"),
            (Operation::Touch, "GET"),
        ];
        for (operation, name) in commands {
            assert_eq!(sent(operation, KeyOptions::default(), false), named(name, 1));
        }
        let claims = KeyOptions { claims: true, ttl: Some(1), ..KeyOptions::default() };
        assert_eq!(sent(Operation::BeginTask, claims, false), named("EVAL", 1));
    }

    #[test]
    fn several_are_named_after_what_they_are_sent_in() {
        let plain = KeyOptions::default();
        assert_eq!(sent(Operation::CommitResult, plain, false), named("MULTI", 2));
        let ttl = KeyOptions { ttl: Some(1), ..KeyOptions::default() };
        assert_eq!(sent(Operation::BeginExecution, ttl.clone(), false), named("SET", 1));
        assert_eq!(sent(Operation::BeginTask, ttl.clone(), false), named("MULTI", 2));
        assert_eq!(sent(Operation::CommitResult, ttl.clone(), false), named("MULTI", 3));
        assert_eq!(sent(Operation::Touch, ttl.clone(), false), named("MULTI PEXPIRE", 3));
        let sliding = KeyOptions { sliding_ttl: true, ..ttl.clone() };
        assert_eq!(sent(Operation::CommitResult, sliding, false), named("MULTI", 5));
        let orphans = KeyOptions { orphan_ttl: Some(1), ..ttl };
        assert_eq!(sent(Operation::BeginExecution, orphans.clone(), false), named("MULTI", 3));
        assert_eq!(sent(Operation::CommitResult, orphans, false), named("MULTI", 4));
    }

    #[test]
    fn in_a_cluster_what_is_about_keys_of_several_slots_is_no_transaction() {
        let plain = KeyOptions::default();
        assert_eq!(sent(Operation::CommitResult, plain.clone(), true), named("PIPELINE", 2));
        assert_eq!(sent(Operation::Dispose, plain.clone(), true), named("PIPELINE UNLINK", 3));
        assert_eq!(sent(Operation::BeginTask, KeyOptions { ttl: Some(1), ..plain.clone() }, true), named("MULTI", 2));
        let tagged = KeyOptions { hash_tags: true, ..plain };
        assert_eq!(sent(Operation::CommitResult, tagged.clone(), true), named("MULTI", 2));
        assert_eq!(sent(Operation::Dispose, tagged, true), named("UNLINK", 1));
    }
}
