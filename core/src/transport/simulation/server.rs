//! The server: keys, the commands that the store sends, and what it has against them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::random::Random;
use super::resp::{bulk, integer, parse, text};

/// What is stored under a key.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// A string, or a hash.
    pub value: Value,
    /// Whether it goes away some time.
    pub expires: bool,
}

/// A stored value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string.
    Text(Vec<u8>),
    /// A hash.
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
}

impl Default for Value {
    fn default() -> Self {
        Value::Hash(BTreeMap::new())
    }
}

/// All that is stored.
pub type Keys = BTreeMap<Vec<u8>, Entry>;

/// What a server refuses for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Loading,
    Busy,
    NoReplicas,
    OutOfMemory,
    ReadOnly,
    TryAgain,
    ClusterDown,
    Moved,
    Ask,
}

/// Whether the server tells connections their names and ends those that it is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// It does.
    Tells,
    /// Never.
    Never(&'static str),
}

/// What goes wrong with one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The connection is closed in place of carrying it out.
    CloseBefore,
    /// It is carried out, and the connection closed in place of an answer.
    CloseAfter,
    /// It is carried out, and only the beginning of the answer is sent.
    CloseWithin,
    /// The answer is no RESP.
    Malformed,
    /// The answer is said to be larger than any that is taken.
    TooLarge,
    /// It is refused, and the connection closed.
    ErrorAndClose,
}

/// A connection as the server sees it.
#[derive(Default)]
pub struct Client {
    /// Its id, which another connection may get after a restart.
    pub id: u64,
    /// Its port, which no other connection gets.
    pub port: u64,
    input: Vec<u8>,
    /// What has been queued since MULTI.
    queued: Option<Vec<Vec<Vec<u8>>>>,
    aborted: bool,
    authenticated: bool,
}

impl Client {
    /// A connection that was just accepted.
    pub fn new(id: u64, port: u64) -> Self {
        Self { id, port, ..Self::default() }
    }
}

/// What the server does about bytes, besides answering.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It closes this connection behind what it has answered.
    Close,
    /// It closes another one.
    Kill { port: u64 },
}

/// The server.
pub struct Server {
    pub keys: Keys,
    /// The id of the next connection.
    pub next_id: u64,
    pub naming: Naming,
    /// Whether it knows `SET … GET`.
    pub set_get: bool,
    pub password: bool,
    /// What it refuses, and until when.
    pub refusal: Option<(Refusal, Instant)>,
    /// Whether it refuses CLIENT as well then.
    pub refuses_client: bool,
    /// It refuses CLIENT until then.
    pub nameless_until: Option<Instant>,
    /// What goes wrong with the commands to come: after how many, and what.
    pub mishap: Option<(u64, Mishap)>,
    /// When it refused something.
    pub refused: Vec<Instant>,
    /// The ids and ports of connections, for CLIENT KILL.
    pub ports: BTreeMap<u64, u64>,
}

impl Server {
    pub fn new(naming: Naming, set_get: bool, password: bool) -> Self {
        Self {
            keys: BTreeMap::new(),
            next_id: 1,
            naming,
            set_get,
            password,
            refusal: None,
            refuses_client: false,
            nameless_until: None,
            mishap: None,
            refused: Vec::new(),
            ports: BTreeMap::new(),
        }
    }

    /// Takes bytes and answers the commands in them, until one ends in something that the network has to do.
    pub fn take(
        &mut self,
        client: &mut Client,
        bytes: &[u8],
        now: Instant,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Effect {
        client.input.extend_from_slice(bytes);
        let mut start = 0;
        let mut effect = Effect::None;
        while let Some((command, used)) = parse(&client.input[start..]) {
            start += used;
            effect = self.command(client, command, now, random, out);
            if effect != Effect::None {
                break;
            }
        }
        client.input.drain(..start);
        effect
    }

    fn command(
        &mut self,
        client: &mut Client,
        command: Vec<Vec<u8>>,
        now: Instant,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Effect {
        let is_data = !matches!(command[0].as_slice(), b"CLIENT" | b"AUTH" | b"ASKING");
        if is_data && let Some((left, mishap)) = self.mishap {
            self.mishap = (left > 0).then(|| (left - 1, mishap));
            if left == 0 {
                return self.go_wrong(mishap, client, command, now, random, out);
            }
        }
        self.answer(client, command, now, random, out)
    }

    fn go_wrong(
        &mut self,
        mishap: Mishap,
        client: &mut Client,
        command: Vec<Vec<u8>>,
        now: Instant,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Effect {
        match mishap {
            Mishap::CloseBefore => {}
            Mishap::ErrorAndClose => out.extend_from_slice(b"-ERR too long for this proxy\r\n"),
            Mishap::CloseAfter | Mishap::CloseWithin => {
                let mut answer = Vec::new();
                self.answer(client, command, now, random, &mut answer);
                if mishap == Mishap::CloseWithin {
                    out.extend_from_slice(&answer[..random.below(answer.len() as u64) as usize]);
                }
            }
            Mishap::Malformed | Mishap::TooLarge => {
                self.answer(client, command, now, random, &mut Vec::new());
                out.extend_from_slice(if mishap == Mishap::TooLarge { b"$600000000\r\n" } else { b"?what\r\n" });
            }
        }
        Effect::Close
    }

    fn answer(
        &mut self,
        client: &mut Client,
        command: Vec<Vec<u8>>,
        now: Instant,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Effect {
        let name = command[0].clone();
        match name.as_slice() {
            b"AUTH" => {
                client.authenticated = true;
                out.extend_from_slice(b"+OK\r\n");
                return Effect::None;
            }
            _ if self.password && !client.authenticated => {
                out.extend_from_slice(b"-NOAUTH Authentication required.\r\n");
                return Effect::None;
            }
            b"CLIENT" => return self.client(client, &command, now, out),
            b"ASKING" => out.extend_from_slice(b"+OK\r\n"),
            b"PING" => out.extend_from_slice(b"+PONG\r\n"),
            b"MULTI" => {
                client.queued = Some(Vec::new());
                client.aborted = false;
                out.extend_from_slice(b"+OK\r\n");
            }
            b"EXEC" => {
                let Some(queued) = client.queued.take() else {
                    out.extend_from_slice(b"-ERR EXEC without MULTI\r\n");
                    return Effect::None;
                };
                let refusal = queued.iter().find_map(|command| self.refuses(command, now, random));
                if client.aborted {
                    out.extend_from_slice(b"-EXECABORT Transaction discarded because of previous errors.\r\n");
                } else if let Some(words) = refusal {
                    let words = format!("-EXECABORT Transaction discarded because of: {words}\r\n");
                    out.extend_from_slice(words.as_bytes());
                } else {
                    out.extend_from_slice(format!("*{}\r\n", queued.len()).as_bytes());
                    queued.into_iter().for_each(|command| self.apply(&command, out));
                }
            }
            _ => {
                if let Some(words) = self.refuses(&command, now, random) {
                    client.aborted |= client.queued.is_some();
                    out.extend_from_slice(format!("-{words}\r\n").as_bytes());
                } else if let Some(queued) = &mut client.queued {
                    queued.push(command);
                    out.extend_from_slice(b"+QUEUED\r\n");
                } else {
                    self.apply(&command, out);
                }
            }
        }
        Effect::None
    }

    fn client(&mut self, client: &mut Client, command: &[Vec<u8>], now: Instant, out: &mut Vec<u8>) -> Effect {
        let refuses = |(refusal, until): (Refusal, Instant)| {
            until > now && self.refuses_client && matches!(refusal, Refusal::Busy | Refusal::Loading)
        };
        if self.nameless_until.is_some_and(|until| until > now) || self.refusal.is_some_and(refuses) {
            out.extend_from_slice(b"-BUSY Redis is busy running a script.\r\n");
            return Effect::None;
        }
        if let Naming::Never(words) = self.naming {
            out.extend_from_slice(format!("-{words}\r\n").as_bytes());
            return Effect::None;
        }
        match command[1].as_slice() {
            b"INFO" => {
                let line = format!("id={} addr=10.0.0.1:{} laddr=10.0.0.2:6379 fd=8 name=\n", client.id, client.port);
                bulk(line.as_bytes(), out);
            }
            b"KILL" => {
                let (id, address) = (text(&command[3]), text(&command[5]));
                let port = address.strip_prefix("10.0.0.1:").and_then(|port| port.parse().ok());
                let id = id.parse::<u64>().ok();
                let found = port.filter(|port| self.ports.get(port).copied() == id);
                out.extend_from_slice(if found.is_some() { b":1\r\n" } else { b":0\r\n" });
                if let Some(port) = found {
                    return Effect::Kill { port };
                }
            }
            _ => out.extend_from_slice(b"+OK\r\n"),
        }
        Effect::None
    }

    /// What the server has against a command at the moment.
    fn refuses(&mut self, command: &[Vec<u8>], now: Instant, random: &mut Random) -> Option<&'static str> {
        let name = command[0].as_slice();
        if name == b"SET" && !self.set_get && command.iter().any(|argument| argument == b"GET") {
            return Some("ERR syntax error");
        }
        let (refusal, _) = self.refusal.filter(|(_, until)| *until > now)?;
        let writes = !matches!(name, b"GET" | b"HGET" | b"HGETALL" | b"HKEYS");
        let words = match refusal {
            Refusal::Loading => "LOADING Redis is loading the dataset in memory",
            Refusal::Busy => "BUSY Redis is busy running a script.",
            Refusal::NoReplicas if writes => "NOREPLICAS Not enough good replicas to write.",
            Refusal::OutOfMemory if matches!(name, b"SET" | b"HSET") => "OOM command not allowed",
            Refusal::ReadOnly if writes => "READONLY You can't write against a read only replica.",
            Refusal::TryAgain if random.percent(50) => "TRYAGAIN Multiple keys request during rehashing of slot",
            Refusal::ClusterDown => "CLUSTERDOWN The cluster is down",
            Refusal::Moved => "MOVED 1 10.0.0.3:6379",
            Refusal::Ask => "ASK 1 10.0.0.3:6379",
            _ => return None,
        };
        // That is between this server and single keys.
        if refusal != Refusal::TryAgain {
            self.refused.push(now);
        }
        Some(words)
    }

    /// Carries a command out.
    fn apply(&mut self, command: &[Vec<u8>], out: &mut Vec<u8>) {
        let key = &command[1];
        match command[0].as_slice() {
            b"SET" => {
                let expires = command.iter().any(|argument| argument == b"PX");
                let new = Entry { value: Value::Text(command[2].clone()), expires };
                let old = self.keys.insert(key.clone(), new);
                if command.last().is_some_and(|last| last == b"GET") {
                    answer_text(old.as_ref(), out);
                } else {
                    out.extend_from_slice(b"+OK\r\n");
                }
            }
            b"GET" => answer_text(self.keys.get(key), out),
            b"HSET" => {
                let entry = self.keys.entry(key.clone()).or_default();
                let Value::Hash(hash) = &mut entry.value else { return out.extend_from_slice(WRONGTYPE) };
                let new = hash.insert(command[2].clone(), command[3].clone()).is_none();
                integer(usize::from(new), out);
            }
            b"HDEL" => {
                let Some(entry) = self.keys.get_mut(key) else { return integer(0, out) };
                let Value::Hash(hash) = &mut entry.value else { return out.extend_from_slice(WRONGTYPE) };
                let removed = hash.remove(&command[2]).is_some();
                if hash.is_empty() {
                    self.keys.remove(key);
                }
                integer(usize::from(removed), out);
            }
            b"HGET" => match self.keys.get(key) {
                Some(Entry { value: Value::Hash(hash), .. }) => match hash.get(&command[2]) {
                    Some(value) => bulk(value, out),
                    None => out.extend_from_slice(b"$-1\r\n"),
                },
                Some(_) => out.extend_from_slice(WRONGTYPE),
                None => out.extend_from_slice(b"$-1\r\n"),
            },
            b"HGETALL" => match self.keys.get(key) {
                Some(Entry { value: Value::Hash(hash), .. }) => {
                    out.extend_from_slice(format!("*{}\r\n", 2 * hash.len()).as_bytes());
                    for (field, value) in hash {
                        bulk(field, out);
                        bulk(value, out);
                    }
                }
                Some(_) => out.extend_from_slice(WRONGTYPE),
                None => out.extend_from_slice(b"*0\r\n"),
            },
            b"HKEYS" => match self.keys.get(key) {
                Some(Entry { value: Value::Hash(hash), .. }) => {
                    out.extend_from_slice(format!("*{}\r\n", hash.len()).as_bytes());
                    hash.keys().for_each(|field| bulk(field, out));
                }
                Some(_) => out.extend_from_slice(WRONGTYPE),
                None => out.extend_from_slice(b"*0\r\n"),
            },
            b"PEXPIRE" => {
                let found = self.keys.get_mut(key).map(|entry| entry.expires = true).is_some();
                integer(usize::from(found), out);
            }
            b"UNLINK" => {
                let removed = command[1..].iter().filter(|key| self.keys.remove(*key).is_some()).count();
                integer(removed, out);
            }
            other => out.extend_from_slice(format!("-ERR unknown command '{}'\r\n", text(other)).as_bytes()),
        }
    }
}

const WRONGTYPE: &[u8] = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

fn answer_text(entry: Option<&Entry>, out: &mut Vec<u8>) {
    match entry {
        Some(Entry { value: Value::Text(text), .. }) => bulk(text, out),
        Some(_) => out.extend_from_slice(WRONGTYPE),
        None => out.extend_from_slice(b"$-1\r\n"),
    }
}
