//! The first words on a new connection: log in, choose the database, and fence off the connections it replaces.

use redis::{Pipeline, Value};

use super::retry::{Verdict, verdict};
use crate::config::{Settings, Topology};
use crate::store::reply::Refusal;

/// The commands, and where their replies are.
pub struct Handshake {
    /// AUTH, SELECT, ROLE, CLIENT KILL …, CLIENT SETNAME, CLIENT INFO: in this order, as far as needed.
    pub pipeline: Pipeline,
    /// How many of the first replies must not be errors; calls may only follow once they are there.
    pub required: usize,
}

impl Handshake {
    /// The handshake for a server.
    ///
    /// `abandoned` are earlier connections that may still have bytes of ours on their way. Killing them first means that
    /// none of those can be applied after what is now sent again.
    /// <https://redis.io/docs/latest/commands/client-kill/>
    pub fn new(settings: &Settings, abandoned: &[Identity]) -> Self {
        let mut pipeline = Pipeline::new();
        if settings.username.is_some() || settings.password.is_some() {
            pipeline.cmd("AUTH");
            if let Some(username) = &settings.username {
                pipeline.arg(username);
            }
            pipeline.arg(settings.password.as_ref().map_or("", |password| password.reveal()));
        }
        if settings.database != 0 {
            pipeline.cmd("SELECT").arg(settings.database);
        }
        if matches!(settings.topology, Topology::Sentinel(_)) {
            // The sentinels may not yet know what the server knows.
            pipeline.cmd("ROLE");
        }
        let required = pipeline.len();
        for Identity { id, address } in abandoned {
            pipeline.cmd("CLIENT").arg("KILL").arg("ID").arg(id).arg("ADDR").arg(address);
        }
        if let Some(name) = &settings.client_name {
            pipeline.cmd("CLIENT").arg("SETNAME").arg(name);
        }
        pipeline.cmd("CLIENT").arg("INFO");
        Self { pipeline, required }
    }

    /// Reads the replies: who we are to the server, if it tells. `required` are those that must not be errors, `fences`
    /// those to CLIENT KILL that follow.
    ///
    /// # Errors
    /// The server's refusal of the credentials or the database, or, for now, of the fence. Where `CLIENT` is forbidden or too old, closing the old
    /// socket without sending what it still holds has to do as a fence.
    pub fn read(replies: &[Value], required: usize, fences: usize) -> Result<Option<Identity>, Refusal> {
        for reply in &replies[..required.min(replies.len())] {
            match reply {
                // Who may not ask for the role will be told by the first write.
                Value::ServerError(error) if error.code() == "NOPERM" && is_about_role(error) => {}
                Value::ServerError(error) => return Err(Refusal::new(error)),
                Value::Array(role) if role.first().is_some_and(|role| !is_primary(role)) => {
                    let detail = "the server is a replica, though the sentinels call it the primary";
                    return Err(Refusal { code: "READONLY".into(), detail: detail.into() });
                }
                _ => {}
            }
        }
        for reply in replies.iter().skip(required).take(fences) {
            if let Value::ServerError(error) = reply {
                let refusal = Refusal::new(error);
                if verdict(&refusal) != Verdict::Report {
                    return Err(refusal);
                }
            }
        }
        match replies.last() {
            // Without a password the connection is accepted, and then every command refused: say so now.
            Some(Value::ServerError(error)) if concerns_all(error.code()) => Err(Refusal::new(error)),
            last => Ok(last.and_then(Identity::read)),
        }
    }
}

/// What the server calls a connection. A server that restarts gives out the same ids again, so the id alone could be a
/// stranger's: the address it sees us under has to match too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    id: String,
    address: String,
}

impl Identity {
    /// Reads the answer to `CLIENT INFO`, since Redis 6.2: <https://redis.io/docs/latest/commands/client-info/>.
    pub fn read(reply: &Value) -> Option<Identity> {
        let Value::BulkString(line) = reply else { return None };
        let line = std::str::from_utf8(line).ok()?;
        let field = |name: &str| line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name));
        Some(Identity { id: field("id=")?.into(), address: field("addr=")?.into() })
    }
}

/// Whether the first word of an answer to `ROLE` is that of a primary.
pub fn is_primary(role: &Value) -> bool {
    matches!(role, Value::BulkString(role) if role == b"master")
}

fn is_about_role(error: &redis::ServerError) -> bool {
    error.details().is_some_and(|details| details.contains("'role'"))
}

/// Errors that concern the connection as a whole, not the permission to use `CLIENT INFO`.
fn concerns_all(code: &str) -> bool {
    matches!(code, "NOAUTH" | "LOADING")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_not_what_sentinels_lead_to() {
        let role = |role: &str| Value::Array(vec![Value::BulkString(role.into()), Value::Int(1)]);
        assert_eq!(Handshake::read(&[role("master"), Value::Nil], 1, 0), Ok(None));
        assert_eq!(Handshake::read(&[role("slave"), Value::Nil], 1, 0).unwrap_err().code, "READONLY");
        let refused = |line: &str| redis::parse_redis_value(line.as_bytes()).unwrap();
        let forbidden = refused("-NOPERM User worker has no permissions to run the 'role' command\r\n");
        assert_eq!(Handshake::read(&[forbidden, Value::Nil], 1, 0), Ok(None));
        assert!(Handshake::read(&[refused("-NOPERM no select\r\n"), Value::Nil], 1, 0).is_err());
    }

    #[test]
    fn a_fence_that_is_refused_for_now_is_none() {
        let refused = |line: &str| redis::parse_redis_value(line.as_bytes()).unwrap();
        assert!(Handshake::read(&[refused("-BUSY a script runs\r\n"), Value::Nil], 0, 1).is_err());
        for answer in [Value::Int(1), Value::Int(0), refused("-NOPERM no kill\r\n")] {
            assert_eq!(Handshake::read(&[answer, Value::Nil], 0, 1), Ok(None));
        }
    }

    #[test]
    fn a_connection_is_known_by_id_and_address() {
        let line = b"id=7 addr=127.0.0.1:59412 laddr=127.0.0.1:6379 fd=8 name= age=0 db=0 cmd=client|info".to_vec();
        let identity = Identity { id: "7".into(), address: "127.0.0.1:59412".into() };
        assert_eq!(Identity::read(&Value::BulkString(line)), Some(identity));
        assert_eq!(Identity::read(&Value::Int(7)), None);
        assert_eq!(Identity::read(&Value::BulkString(b"id=7".to_vec())), None);
    }
}
