//! The first words on a new connection: log in, choose the database, make sure of who is there, fence off the connections that
//! it replaces, and learn the name by which this one can be fenced off.

use redis::{Pipeline, Value};

use super::lessons::{Manner, Step};
use crate::config::{Address, Settings, Topology};
use crate::error_texts::replies::IS_A_REPLICA;
use crate::store::ErrorReply;
use crate::transport::error::ConnectError;
use crate::transport::node_id::{ExpectedNode, NodeId, nodes_of, read_node_id};
use crate::transport::probe::{is_primary, replication_role};
use crate::transport::protocol::auth::{Credentials, Login};
use crate::transport::retry_policy::{RetryDecision, refuses_connection, retry_decision};
use crate::transport::target::{Member, Target};

/// The commands of a handshake.
pub struct Handshake {
    /// To be sent in one piece.
    pub pipeline: Pipeline,
    steps: Vec<Step>,
    manner: Manner,
    /// The server should be a primary.
    named_by_sentinels: bool,
    credentials: Credentials,
    address: Address,
    /// The node of a cluster that should be there.
    node: Option<ExpectedNode>,
}

/// What a handshake came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Greeted {
    /// By what the connection can be fenced off.
    pub name: Name,
    /// The server wanted no password, and one was sent.
    pub login_not_needed: bool,
    /// Whether the server is the node of the cluster that it should be.
    pub node: Presence,
    /// Whether the server that the sentinels name is known to be a primary.
    pub role: Role,
    /// The server has no transactions.
    pub lacks_multi: bool,
}

/// What a server says of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is a primary, or nobody has called it one.
    Fits,
    /// It does not say by `ROLE`.
    Unknown,
}

/// By what a connection can be fenced off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// By this.
    Known(Identity),
    /// By nothing: the server gives connections no names, or does not let us see them. Closing the socket without sending
    /// what it still holds has to do.
    Never,
    /// The server did not tell for now, and has to be asked again before anything is written.
    NotYet(ErrorReply),
}

/// Whether the server at an address is the node of a cluster that the map names there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is, or there is no telling.
    Confirmed,
    /// It goes by another name, or tells none: only its own map can show that it belongs to the cluster.
    Doubtful,
}

impl Handshake {
    /// The handshake with a server.
    ///
    /// `abandoned` are earlier connections that may still have bytes of ours on their way. Killing them first means that
    /// none of those can be applied after what is now sent again.
    /// <https://redis.io/docs/latest/commands/client-kill/>
    pub fn new(target: &Target, settings: &Settings, abandoned: &[Identity]) -> Self {
        Self::in_manner(Manner::default(), target, settings, abandoned)
    }

    /// The same with a server of which something was learnt.
    pub fn in_manner(manner: Manner, target: &Target, settings: &Settings, abandoned: &[Identity]) -> Self {
        let omits = |step| manner.omitted.has(step);
        let mut pipeline = Pipeline::new();
        let credentials = Credentials::of(settings);
        let mut steps = vec![Step::Auth; credentials.append_to(&mut pipeline)];
        if settings.database != 0 {
            pipeline.cmd("SELECT").arg(settings.database);
            steps.push(Step::Select);
        }
        let named_by_sentinels = matches!(settings.topology, Topology::Sentinel(_));
        if named_by_sentinels && !omits(Step::Role) {
            // The sentinels may not yet know what the server knows.
            pipeline.cmd("ROLE");
            steps.push(Step::Role);
        }
        let node = match &target.member {
            Member::Node(node) => Some(node.clone()),
            Member::Alone | Member::Shards(_) => None,
        };
        if node.is_some() && !omits(Step::ClusterId) {
            pipeline.cmd("CLUSTER").arg("MYID");
            steps.push(Step::ClusterId);
        }
        if !omits(Step::Fence) {
            Fences::append_to(&mut pipeline, abandoned);
            steps.extend(abandoned.iter().map(|_| Step::Fence));
        }
        if !omits(Step::SetName) {
            steps.extend(introduce(&mut pipeline, settings.client_name.as_deref()));
        }
        if !omits(Step::Info) {
            Name::ask(&mut pipeline);
            steps.push(Step::Info);
        }
        if manner.asks_multi && !omits(Step::Multi) {
            pipeline.cmd("MULTI").cmd("DISCARD");
            steps.extend([Step::Multi, Step::Discard]);
        }
        Self { pipeline, steps, manner, named_by_sentinels, credentials, address: settings.address.clone(), node }
    }

    /// Whether calls may only follow once its replies are there.
    pub fn comes_first(&self) -> bool {
        self.manner != Manner::default() || !self.steps.iter().all(|step| matches!(step, Step::SetName | Step::Info))
    }

    /// Its commands, one by one.
    pub fn commands(&self) -> impl Iterator<Item = (Step, Pipeline)> {
        self.steps.iter().zip(self.pipeline.cmd_iter()).map(|(step, command)| {
            let mut alone = Pipeline::new();
            alone.add_command(command.clone());
            (*step, alone)
        })
    }

    /// Reads the replies.
    ///
    /// # Errors
    /// The server's refusal of the credentials or the database, or, for now, of the fence; or it is not the server that it
    /// should be. Where `CLIENT` is forbidden or too old, closing the old socket without sending what it still holds has to do
    /// as a fence.
    pub fn read(&self, replies: &[Value]) -> Result<Greeted, ConnectError> {
        let omits = |step| self.manner.omitted.has(step);
        let mut greeted = Greeted {
            name: Name::Never,
            login_not_needed: false,
            node: if self.node.is_some() && omits(Step::ClusterId) { Presence::Doubtful } else { Presence::Confirmed },
            role: if self.named_by_sentinels && omits(Step::Role) { Role::Unknown } else { Role::Fits },
            lacks_multi: omits(Step::Multi),
        };
        for (step, reply) in self.steps.iter().zip(replies) {
            let error_reply = match reply {
                Value::ServerError(error) => Some(ErrorReply::new(error)),
                _ => None,
            };
            match (step, error_reply) {
                (Step::Auth, None) => {}
                (_, Some(ErrorReply { code, .. })) if code == "NOAUTH" && greeted.login_not_needed => {
                    return Err(ConnectError::handshake(Credentials::default_user_is_off()));
                }
                (Step::Auth, _) => match self.credentials.read(reply) {
                    Ok(login) => greeted.login_not_needed = login == Login::NotNeeded,
                    Err(error_reply) => return Err(ConnectError::handshake(error_reply)),
                },
                (Step::Select, Some(error_reply)) => return Err(ConnectError::handshake(error_reply)),
                (Step::Role, error_reply) => greeted.role = check_role(reply, error_reply)?,
                (Step::ClusterId, error_reply) => greeted.node = self.find_node(reply, error_reply)?,
                (Step::Fence, Some(error_reply)) => check_fence(&error_reply)?,
                (Step::Info, _) => greeted.name = Name::read(reply)?,
                (Step::Multi, Some(error_reply)) => greeted.lacks_multi = !is_for_now(&error_reply),
                _ => {}
            }
        }
        Ok(greeted)
    }

    /// Reads what a node of a cluster calls itself.
    fn find_node(&self, reply: &Value, error_reply: Option<ErrorReply>) -> Result<Presence, ConnectError> {
        let Some(expected) = &self.node else { return Ok(Presence::Confirmed) };
        match error_reply {
            Some(error_reply) if has_no_cluster(&error_reply) => Err(ConnectError::stranger(&self.address)),
            Some(error_reply) if is_for_now(&error_reply) => Err(ConnectError::handshake(error_reply)),
            _ => Ok(match (expected.id.get(), read_node_id(reply)) {
                (None, _) if expected.known.is_empty() => Presence::Confirmed,
                (None, Some(id)) if expected.known.contains(&id) => Presence::Confirmed,
                (Some(expected), Some(id)) if *expected == id => Presence::Confirmed,
                _ => Presence::Doubtful,
            }),
        }
    }

    /// Reads the map of a server whose presence is doubtful: it belongs to the cluster if its own map names any node of it.
    /// Should it be another node than the one that is looked for, it redirects what is not its own.
    ///
    /// # Errors
    /// When it is a stranger, or does not tell for now.
    pub fn read_map(&self, reply: &Value) -> Result<(), ConnectError> {
        if let Value::ServerError(error) = reply {
            let error_reply = ErrorReply::new(error);
            return Err(if is_for_now(&error_reply) {
                ConnectError::handshake(error_reply)
            } else {
                ConnectError::stranger(&self.address)
            });
        }
        let Some(expected) = &self.node else { return Ok(()) };
        let named = nodes_of(reply);
        let is_known = |id: &NodeId| expected.id.get() == Some(id) || expected.known.contains(id);
        if named.iter().any(is_known) { Ok(()) } else { Err(ConnectError::stranger(&self.address)) }
    }
}

/// Tells the server who is connected, as it shows in its list of clients. Servers that do not know the commands, or forbid them,
/// go without.
fn introduce(pipeline: &mut Pipeline, name: Option<&str>) -> [Step; 3] {
    const LIBRARY: &str = "idioteque-redis";
    pipeline.cmd("CLIENT").arg("SETNAME").arg(name.unwrap_or(LIBRARY));
    pipeline.cmd("CLIENT").arg("SETINFO").arg("LIB-NAME").arg(LIBRARY);
    pipeline.cmd("CLIENT").arg("SETINFO").arg("LIB-VER").arg(env!("CARGO_PKG_VERSION"));
    [Step::SetName; 3]
}

impl Fences {
    fn append_to(pipeline: &mut Pipeline, identities: &[Identity]) {
        for Identity { id, address } in identities {
            pipeline.cmd("CLIENT").arg("KILL").arg("ID").arg(id).arg("ADDR").arg(address);
        }
    }

    /// The commands that end them, without a handshake.
    pub fn pipeline(&self) -> Pipeline {
        let mut pipeline = Pipeline::new();
        Self::append_to(&mut pipeline, &self.identities);
        pipeline
    }

    /// Reads the replies to those.
    ///
    /// # Errors
    /// As [`Handshake::read`].
    pub fn read(replies: &[Value]) -> Result<(), ConnectError> {
        for reply in replies {
            if let Value::ServerError(error) = reply {
                check_fence(&ErrorReply::new(error))?;
            }
        }
        Ok(())
    }
}

fn check_fence(error_reply: &ErrorReply) -> Result<(), ConnectError> {
    if is_for_now(error_reply) { Err(ConnectError::handshake(error_reply.clone())) } else { Ok(()) }
}

fn check_role(reply: &Value, error_reply: Option<ErrorReply>) -> Result<Role, ConnectError> {
    match (reply, error_reply) {
        (_, Some(error_reply)) if is_for_now(&error_reply) || refuses_connection(&error_reply) => {
            Err(ConnectError::handshake(error_reply))
        }
        (Value::Array(role), None) => match role.first().map(is_primary) {
            Some(true) => Ok(Role::Fits),
            Some(false) => Err(is_a_replica()),
            None => Ok(Role::Unknown),
        },
        // It knows no such command, or does not let us use it.
        _ => Ok(Role::Unknown),
    }
}

fn is_a_replica() -> ConnectError {
    ConnectError::handshake(ErrorReply { code: "READONLY".into(), detail: IS_A_REPLICA.into() })
}

/// Asks for the role where there is no `ROLE`.
pub fn ask_replication() -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("INFO").arg("replication");
    pipeline
}

/// Reads the answer. Who does not say what it is either is what the sentinels say; the first write will tell.
///
/// # Errors
/// When it is a replica, or refuses for now.
pub fn check_replication(reply: &Value) -> Result<(), ConnectError> {
    if let Value::ServerError(error) = reply {
        let error_reply = ErrorReply::new(error);
        return if is_for_now(&error_reply) { Err(ConnectError::handshake(error_reply)) } else { Ok(()) };
    }
    if replication_role(reply).is_some_and(|role| role != "master") { Err(is_a_replica()) } else { Ok(()) }
}

/// Whether the same question may be answered later. What a server does not know, or forbids, it does not know later either.
fn is_for_now(error_reply: &ErrorReply) -> bool {
    error_reply.code == "NOAUTH" || retry_decision(error_reply) != RetryDecision::Report
}

/// Whether a server is none of any cluster.
fn has_no_cluster(error_reply: &ErrorReply) -> bool {
    error_reply.detail.contains("cluster support disabled")
}

impl Name {
    /// Asks for it.
    pub fn ask(pipeline: &mut Pipeline) {
        pipeline.cmd("CLIENT").arg("INFO");
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// A refusal that concerns the connection as a whole: without a password the connection is accepted, and then every
    /// command refused.
    pub fn read(reply: &Value) -> Result<Name, ConnectError> {
        let Value::ServerError(error) = reply else {
            return Ok(Identity::read(reply).map_or(Name::Never, Name::Known));
        };
        let error_reply = ErrorReply::new(error);
        match retry_decision(&error_reply) {
            _ if refuses_connection(&error_reply) => Err(ConnectError::handshake(error_reply)),
            RetryDecision::Reconnect => Err(ConnectError::handshake(error_reply)),
            RetryDecision::Retry => Ok(Name::NotYet(error_reply)),
            RetryDecision::Report => Ok(Name::Never),
        }
    }
}

/// The connections that a new one has to end before anything is sent over it.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    /// By what the server knows them.
    pub identities: Vec<Identity>,
    /// One of them is in use and listened to. It is only ended when the server speaks again, over the new one, and not over it.
    pub one_is_used: bool,
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use super::*;
    use crate::transport::target::test_target;

    fn handshake(member: Member, topology: Topology, abandoned: &[Identity]) -> Handshake {
        let target = Target { member, ..test_target() };
        let settings = Settings { topology, ..target.settings.clone() };
        Handshake::new(&target, &settings, abandoned)
    }

    fn refused(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    fn texts(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|word| Value::BulkString(word.as_bytes().to_vec())).collect())
    }

    fn code(connect_error: ConnectError) -> Option<String> {
        connect_error.error().reply.clone()
    }

    #[test]
    fn a_replica_is_not_what_sentinels_lead_to() {
        let handshake = handshake(Member::Alone, Topology::Sentinel(Default::default()), &[]);
        assert!(handshake.comes_first());
        let read = |role: Value| handshake.read(&[role, Value::Nil]);
        assert_eq!(read(texts(&["master"])).unwrap().name, Name::Never);
        assert_eq!(code(read(texts(&["slave"])).unwrap_err()).as_deref(), Some("READONLY"));
        assert_eq!(read(texts(&["master"])).unwrap().role, Role::Fits);
        for line in ["NOPERM User worker has no permissions to run the 'role' command", "ERR unknown command 'ROLE'"] {
            assert_eq!(read(refused(line)).unwrap().role, Role::Unknown, "{line}");
        }
        for line in ["LOADING a moment", "NOAUTH Authentication required.", "DENIED no"] {
            assert!(read(refused(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn without_role_the_replication_tells_or_else_the_sentinels_are_believed() {
        let check = |text: &str| check_replication(&Value::BulkString(text.as_bytes().to_vec()));
        assert!(check("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n").is_ok());
        assert_eq!(code(check("# Replication\r\nrole:slave\r\n").unwrap_err()).as_deref(), Some("READONLY"));
        assert!(check("nothing of the kind").is_ok());
        assert!(check_replication(&refused("ERR unknown command 'INFO'")).is_ok());
        assert!(check_replication(&refused("LOADING a moment")).is_err());
    }

    #[test]
    fn a_fence_that_is_refused_for_now_is_none() {
        let identity = Identity { id: "7".into(), address: "127.0.0.1:1".into() };
        let handshake = handshake(Member::Alone, Topology::Single, &[identity]);
        for line in ["BUSY a script runs", "NOAUTH Authentication required."] {
            assert!(handshake.read(&[refused(line), Value::Nil]).is_err(), "{line}");
        }
        for answer in [Value::Int(1), Value::Int(0), refused("NOPERM no kill"), refused("ERR unknown subcommand")] {
            assert_eq!(handshake.read(&[answer, Value::Nil]).unwrap().name, Name::Never);
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

    #[test]
    fn only_who_can_never_tell_a_name_is_written_to_without_one() {
        for line in ["NOPERM no client|info", "ERR unknown subcommand 'INFO'", "ERR unknown command 'CLIENT'"] {
            assert_eq!(Name::read(&refused(line)).unwrap(), Name::Never, "{line}");
        }
        for line in ["BUSY a script runs", "LOADING Redis is loading the dataset in memory"] {
            assert!(matches!(Name::read(&refused(line)), Ok(Name::NotYet(_))), "{line}");
        }
        for line in ["NOAUTH Authentication required.", "ERR max number of clients reached", "DENIED protected mode"] {
            assert!(Name::read(&refused(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn a_node_is_known_by_its_id_or_by_a_map_that_names_it() {
        let id = Arc::new(OnceLock::from(NodeId::new("x")));
        let expected = ExpectedNode { id, known: [NodeId::new("x"), NodeId::new("peer")].into() };
        let handshake = handshake(Member::Node(expected), Topology::Single, &[]);
        let presence = |reply: Value| handshake.read(&[reply, Value::Nil]).map(|greeted| greeted.node);
        let bulk = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        assert_eq!(presence(bulk("x")).unwrap(), Presence::Confirmed);
        for doubtful in [bulk("y"), refused("NOPERM no cluster|myid"), refused("ERR unknown subcommand")] {
            assert_eq!(presence(doubtful).unwrap(), Presence::Doubtful);
        }
        assert!(presence(refused("ERR This instance has cluster support disabled")).is_err());
        assert!(presence(refused("LOADING a moment")).is_err());

        let map = |name: &str| {
            let node = Value::Array(vec![bulk("127.0.0.1"), Value::Int(1), bulk(name)]);
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(9), node])])
        };
        assert!(handshake.read_map(&map("x")).is_ok() && handshake.read_map(&map("peer")).is_ok());
        for stranger in [map("y"), Value::Array(vec![]), refused("ERR This instance has cluster support disabled")] {
            assert!(handshake.read_map(&stranger).is_err());
        }
    }
}
