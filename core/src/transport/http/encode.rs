//! Calls as one HTTP request: a command by itself, several as a pipeline, or, when some belong together, all as one
//! transaction: <https://upstash.com/docs/redis/features/restapi>.

use crate::store::json::write_string;
use crate::store::keys::Key;
use crate::store::server_features::ServerFeatures;
use crate::store::{Call, CommandWriter};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// One command.
    Single,
    /// Several commands, one after the other.
    Pipeline,
    /// Several commands, all or, when one of them is not understood, none.
    Transaction,
}

impl Path {
    /// What is put behind the endpoint's URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Path::Single => "",
            Path::Pipeline => "/pipeline",
            Path::Transaction => "/multi-exec",
        }
    }
}

/// Answers that become one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyShape {
    /// The answer to one command.
    Command,
    /// Those to the commands of a transaction.
    Transaction(usize),
}

impl ReplyShape {
    /// How many answers that are.
    pub fn replies(&self) -> usize {
        match self {
            ReplyShape::Command => 1,
            ReplyShape::Transaction(length) => *length,
        }
    }
}

/// A request that is being written.
#[derive(Default)]
pub struct Body {
    bytes: Vec<u8>,
    commands: usize,
    has_transaction: bool,
}

impl Body {
    /// Adds a call's commands, and returns what their answers become.
    pub fn add(&mut self, call: &Call, features: ServerFeatures) -> Vec<ReplyShape> {
        let mut commands = Commands { body: self, shapes: Vec::new(), open: None, written: 0, left: 0 };
        call.append(features, &mut commands);
        commands.shapes
    }

    /// The request.
    pub fn finish(mut self) -> (Path, Vec<u8>, usize) {
        let path = match self.commands {
            _ if self.has_transaction => Path::Transaction,
            0 | 1 => Path::Single,
            _ => Path::Pipeline,
        };
        if path != Path::Single {
            self.bytes.insert(0, b'[');
            self.bytes.push(b']');
        }
        (path, self.bytes, self.commands)
    }
}

/// Writes the commands of one call, each as a list. `MULTI` and `EXEC` are left out: it is the path that makes a transaction.
struct Commands<'a> {
    body: &'a mut Body,
    shapes: Vec<ReplyShape>,
    /// The commands so far in a transaction that has begun.
    open: Option<usize>,
    /// Arguments of the command that have been written, and that will be.
    written: usize,
    left: usize,
}

impl Commands<'_> {
    /// Whether a name stands for the beginning or the end of a transaction.
    fn is_bracket(&mut self, name: &[u8]) -> bool {
        match (name, self.open) {
            (b"MULTI", _) => self.open = Some(0),
            (b"EXEC", Some(length)) => {
                self.body.has_transaction = true;
                self.shapes.push(ReplyShape::Transaction(length));
                self.open = None;
            }
            _ => return false,
        }
        true
    }

    fn begin_list(&mut self) {
        match &mut self.open {
            Some(length) => *length += 1,
            None => self.shapes.push(ReplyShape::Command),
        }
        if self.body.commands > 0 {
            self.body.bytes.push(b',');
        }
        self.body.commands += 1;
    }
}

impl CommandWriter for Commands<'_> {
    fn begin(&mut self, arguments: usize) {
        (self.written, self.left) = (0, arguments);
    }

    fn argument(&mut self, bytes: &[u8]) {
        if self.written == 0 {
            if self.is_bracket(bytes) {
                return;
            }
            self.begin_list();
        }
        self.body.bytes.push(if self.written == 0 { b'[' } else { b',' });
        write_string(bytes, &mut self.body.bytes);
        (self.written, self.left) = (self.written + 1, self.left - 1);
        if self.left == 0 {
            self.body.bytes.push(b']');
        }
    }

    fn key(&mut self, key: &Key<'_>) {
        self.argument(&key.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{KeyOptions, Operation, Prefetch};

    fn request(calls: &[Call]) -> (Vec<Vec<ReplyShape>>, Path, String, usize) {
        let mut body = Body::default();
        let shapes = calls.iter().map(|call| body.add(call, ServerFeatures::default())).collect();
        let (path, bytes, commands) = body.finish();
        (shapes, path, String::from_utf8(bytes).unwrap(), commands)
    }

    fn call(kind: Operation, ttl: Option<u64>) -> Call {
        let key_options = Arc::new(KeyOptions { ttl, ..KeyOptions::default() });
        Call::new(kind, key_options, "r\"\u{0}édone".as_bytes().to_vec(), 3, 5)
    }

    #[test]
    fn one_command_goes_by_itself() {
        let (shapes, path, body, commands) = request(&[call(Operation::IsExecutionInProgress, None)]);
        assert_eq!((shapes, path, commands), (vec![vec![ReplyShape::Command]], Path::Single, 1));
        assert_eq!(body, r#"["GET","r\"\u0000"]"#);
    }

    #[test]
    fn several_are_a_pipeline_and_with_a_commit_among_them_a_transaction() {
        let read = || call(Operation::GetResults, None).prefetching(Prefetch::ExecutionAndMarks);
        let (shapes, path, body, commands) = request(&[read()]);
        assert_eq!((shapes, path, commands), (vec![vec![ReplyShape::Transaction(3)]], Path::Transaction, 3));
        assert!(body.starts_with(r#"[["HGETALL","#) && body.ends_with("]]"), "{body}");
        let asked = || call(Operation::IsExecutionInProgress, None);
        let (shapes, path, _, commands) = request(&[asked(), asked()]);
        assert_eq!((shapes, path, commands), (vec![vec![ReplyShape::Command]; 2], Path::Pipeline, 2));

        let commit = call(Operation::CommitResult, Some(9)).prefetching(Prefetch::Execution);
        let (shapes, path, body, commands) = request(&[read(), commit]);
        let expected = [vec![ReplyShape::Transaction(3)], vec![ReplyShape::Transaction(3), ReplyShape::Command]];
        assert_eq!((shapes.as_slice(), path, commands), (expected.as_slice(), Path::Transaction, 7));
        assert!(!body.contains("MULTI") && !body.contains("EXEC\""), "{body}");
    }
}
