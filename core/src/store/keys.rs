//! The names of an execution's three keys.
//!
//! | key | type | content |
//! | --- | --- | --- |
//! | `<id>` | string | `true` |
//! | `<id>-transactions` | hash | task id → `true` |
//! | `<id>-results` | hash | task id → JSON of the result |
//!
//! With hash tags the id stands in braces, so that all three share one cluster slot
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).

use std::io::Write;

use redis::{RedisWrite, ToRedisArgs, ToSingleRedisArg};

/// Which of the three keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// That the execution is in progress.
    Execution,
    /// The tasks that are in progress.
    Transactions,
    /// The results of the finished tasks.
    Results,
}

impl Role {
    fn suffix(self) -> &'static str {
        match self {
            Role::Execution => "",
            Role::Transactions => "-transactions",
            Role::Results => "-results",
        }
    }
}

/// One key of one execution; written straight into a command, without a buffer of its own.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Put before the whole key.
    pub prefix: &'a str,
    /// Whether the id stands in braces.
    pub hash_tag: bool,
    /// The execution id.
    pub id: &'a [u8],
    /// Which key of the execution.
    pub role: Role,
}

impl Key<'_> {
    /// What the key is made of, one piece after the other.
    pub fn parts(&self) -> [&[u8]; 5] {
        let (open, close): (&[u8], &[u8]) = if self.hash_tag { (b"{", b"}") } else { (b"", b"") };
        [self.prefix.as_bytes(), open, self.id, close, self.role.suffix().as_bytes()]
    }

    /// The number of bytes of the key.
    pub fn size(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// Appends the key's bytes.
    pub fn append_to(self, bytes: &mut Vec<u8>) {
        self.parts().iter().for_each(|part| bytes.extend_from_slice(part));
    }

    /// The key as bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        self.parts().concat()
    }
}

impl ToRedisArgs for Key<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut argument = out.writer_for_next_arg();
        for part in self.parts() {
            argument.write_all(part).expect("a command grows in memory, which cannot fail to be written");
        }
    }
}

impl ToSingleRedisArg for Key<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(prefix: &'static str, hash_tag: bool, role: Role) -> String {
        let key = Key { prefix, hash_tag, id: b"run-1", role };
        let bytes = key.to_bytes();
        assert_eq!(bytes.len(), key.size());
        let mut command = redis::cmd("GET");
        command.arg(key);
        let argument = command.args_iter().nth(1).map(|arg| match arg {
            redis::Arg::Simple(bytes) => bytes.to_vec(),
            _ => Vec::new(),
        });
        assert_eq!(argument.as_deref(), Some(bytes.as_slice()));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn keys_are_named_as_the_typescript_package_names_them() {
        assert_eq!(key("", false, Role::Execution), "run-1");
        assert_eq!(key("", false, Role::Transactions), "run-1-transactions");
        assert_eq!(key("", false, Role::Results), "run-1-results");
    }

    #[test]
    fn prefix_and_hash_tag_go_around_the_id() {
        assert_eq!(key("app:", false, Role::Results), "app:run-1-results");
        assert_eq!(key("", true, Role::Execution), "{run-1}");
        assert_eq!(key("app:", true, Role::Transactions), "app:{run-1}-transactions");
    }
}
