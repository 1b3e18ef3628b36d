//! Calls as one HTTP request: a command by itself, several as a pipeline, or, when some belong together, all as one
//! transaction: <https://upstash.com/docs/redis/features/restapi>.

use redis::{Arg, Cmd, Pipeline};

use crate::store::Call;
use crate::store::server_features::ServerFeatures;

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
        let mut pipeline = Pipeline::new();
        call.append(features, &mut pipeline);
        let mut shapes = Vec::with_capacity(pipeline.len());
        let mut open = None;
        for command in pipeline.cmd_iter() {
            match (name(command), open) {
                (b"MULTI", _) => open = Some(0),
                (b"EXEC", Some(length)) => {
                    self.has_transaction = true;
                    shapes.push(ReplyShape::Transaction(length));
                    open = None;
                }
                (_, length) => {
                    self.write(command);
                    match length {
                        Some(length) => open = Some(length + 1),
                        None => shapes.push(ReplyShape::Command),
                    }
                }
            }
        }
        shapes
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

    fn write(&mut self, command: &Cmd) {
        if self.commands > 0 {
            self.bytes.push(b',');
        }
        self.commands += 1;
        for (index, argument) in command.args_iter().enumerate() {
            self.bytes.push(if index == 0 { b'[' } else { b',' });
            let Arg::Simple(argument) = argument else { continue };
            let text = String::from_utf8_lossy(argument);
            serde_json::to_writer(&mut self.bytes, &text).expect("a string always has a JSON form");
        }
        self.bytes.push(b']');
    }
}

fn name(command: &Cmd) -> &[u8] {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => name,
        _ => &[],
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
        assert_eq!((shapes, path, commands), (vec![vec![ReplyShape::Command; 3]], Path::Pipeline, 3));
        assert!(body.starts_with(r#"[["HGETALL","#) && body.ends_with("]]"), "{body}");

        let commit = call(Operation::CommitResult, Some(9)).prefetching(Prefetch::Execution);
        let (shapes, path, body, commands) = request(&[read(), commit]);
        let expected = [vec![ReplyShape::Command; 3], vec![ReplyShape::Transaction(3), ReplyShape::Command]];
        assert_eq!((shapes.as_slice(), path, commands), (expected.as_slice(), Path::Transaction, 7));
        assert!(!body.contains("MULTI") && !body.contains("EXEC\""), "{body}");
    }
}
