//! The nodes of the cluster: which slots they take to be whose, and what they answer.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use crate::config::Address;
use crate::store::server_features::ServerFeatures;
use crate::store::slot::{SLOTS, slot_of};
use crate::store::{Call, ErrorReply, Reply, reply};
use crate::transport::cluster::topology::{NodeId, Owner, Range};
use crate::transport::protocol::encode::Encoder;
use crate::transport::simulation::random::Random;
use crate::transport::simulation::resp::{parse, text};
use crate::transport::simulation::server::{Client, Keys, Naming, Server};

/// Who has which slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub version: u64,
    /// The primary of each share.
    pub shares: Vec<usize>,
    /// Slots that are not with the rest of their share.
    pub moved: BTreeMap<u16, usize>,
}

impl View {
    fn first_of(&self, share: usize) -> u16 {
        (share * SLOTS).div_ceil(self.shares.len()) as u16
    }

    /// The server that has a slot.
    pub fn owner(&self, slot: u16) -> usize {
        let share = usize::from(slot) * self.shares.len() / SLOTS;
        self.moved.get(&slot).copied().unwrap_or(self.shares[share])
    }

    /// Whether a server has any slots.
    pub fn is_primary(&self, server: usize) -> bool {
        self.shares.contains(&server) || self.moved.values().any(|owner| *owner == server)
    }

    /// One server takes over from another.
    pub fn replace(&mut self, old: usize, new: usize) {
        let all = self.shares.iter_mut().chain(self.moved.values_mut());
        all.filter(|owner| **owner == old).for_each(|owner| *owner = new);
    }

    /// As `CLUSTER SLOTS` says it.
    pub fn ranges(&self, nodes: &[Node]) -> Vec<Range> {
        let mut ranges = Vec::new();
        let mut push = |first: u16, last: u16, server: usize| {
            let node = &nodes[server];
            ranges.push((first, last, Owner { address: node.address.clone(), id: Some(node.id.clone()) }));
        };
        for (share, owner) in self.shares.iter().enumerate() {
            let mut at = self.first_of(share);
            let last = if share + 1 < self.shares.len() { self.first_of(share + 1) - 1 } else { (SLOTS - 1) as u16 };
            for (slot, other) in self.moved.range(at..=last) {
                if *slot > at {
                    push(at, slot - 1, *owner);
                }
                push(*slot, *slot, *other);
                at = slot + 1;
            }
            if at <= last {
                push(at, last, *owner);
            }
        }
        ranges
    }
}

/// A node.
pub struct Node {
    pub address: Address,
    pub id: NodeId,
    pub server: Server,
    pub view: View,
    /// It does not run until then.
    pub down_until: Option<Instant>,
    /// It stands still until then.
    pub paused_until: Option<Instant>,
    /// Another cluster's server is at its address until then.
    pub stranger_until: Option<Instant>,
    /// It hears of nothing until then.
    pub stale_until: Option<Instant>,
    /// It takes the cluster to be down until then.
    pub cluster_down_until: Option<Instant>,
    /// What it held before each part of a call, and whether the answer to that was heard.
    pub journal: Vec<(Keys, Rc<Cell<bool>>)>,
}

impl Node {
    pub fn new(number: usize, view: View) -> Self {
        Self {
            address: Address::Tcp(format!("10.0.0.{number}"), 6379),
            id: NodeId::new(&format!("node-{number}")),
            server: Server::new(Naming::Tells, true, false),
            view,
            down_until: None,
            paused_until: None,
            stranger_until: None,
            stale_until: None,
            cluster_down_until: None,
            journal: Vec::new(),
        }
    }

    /// Whether it runs and is at its address.
    pub fn is_there(&self) -> bool {
        self.down_until.is_none() && self.stranger_until.is_none()
    }

    /// What it holds when another one, or itself after a restart, goes on with what is certain to have been kept: all that was
    /// acknowledged, and perhaps what came next.
    pub fn kept(&mut self, random: &mut Random) -> Keys {
        let acknowledged = self.journal.iter().rposition(|(_, acknowledged)| acknowledged.get()).map_or(0, |at| at + 1);
        let end = random.within(acknowledged as u64, self.journal.len() as u64) as usize;
        let kept = self.journal.drain(..).nth(end).map(|(keys, _)| keys);
        kept.unwrap_or_else(|| self.server.keys.clone())
    }
}

/// Whom a slot is migrated from and to.
pub type Moving = BTreeMap<u16, (usize, usize)>;

/// What a server answers to a part of a call, and a note of whether that was heard, if it was carried out.
pub struct Answer {
    pub reply: Result<Reply, ErrorReply>,
    pub acknowledged: Rc<Cell<bool>>,
}

/// A server is sent a part of a call.
pub fn answer(
    nodes: &mut [Node],
    moving: &Moving,
    number: usize,
    (call, asking): (&Call, bool),
    now: Instant,
    random: &mut Random,
) -> Answer {
    assert!(nodes[number].stranger_until.is_none(), "a server of another cluster was sent {:?}", call.operation);
    let mut encoder = Encoder::default();
    let replies = call.append(ServerFeatures::default(), &mut encoder);
    let acknowledged = Rc::new(Cell::new(false));
    let (mut at, mut all) = (0, Vec::new());
    while let Some((command, used)) = parse(&encoder.bytes[at..]) {
        at += used;
        let keys = match text(&command[0]) {
            "MULTI" => continue,
            // What was queued is looked at as a whole.
            "EXEC" => std::mem::take(&mut all),
            "UNLINK" => command[1..].to_vec(),
            _ => command[1..2].to_vec(),
        };
        all.extend_from_slice(&keys);
        if let Some(line) = refuses(nodes, moving, number, &keys, asking) {
            return Answer { reply: Err(ErrorReply::from_line(line.as_bytes())), acknowledged };
        }
    }
    let node = &mut nodes[number];
    // What was read is as certain to be kept as what was acknowledged.
    node.journal.push((node.server.keys.clone(), acknowledged.clone()));
    let mut out = Vec::new();
    node.server.take(&mut Client::default(), &encoder.bytes, now, random, &mut out);
    let (mut rest, mut parser) = (out.as_slice(), redis::Parser::new());
    let values: Vec<redis::Value> = (0..replies).map(|_| parser.parse_value(&mut rest).expect("a reply")).collect();
    Answer { reply: reply::read(call, ServerFeatures::default(), &values), acknowledged }
}

/// What a server has against a command about these keys: `getNodeByQuery` in `cluster.c`.
fn refuses(nodes: &[Node], moving: &Moving, number: usize, keys: &[Vec<u8>], asking: bool) -> Option<String> {
    let node = &nodes[number];
    if node.cluster_down_until.is_some() {
        return Some("CLUSTERDOWN The cluster is down".into());
    }
    let slot = slot_of(&keys[0]);
    assert!(keys.iter().all(|key| slot_of(key) == slot), "keys of several slots in one command");
    let missing = keys.iter().filter(|key| !node.server.keys.contains_key(*key)).count();
    let is_one = keys.iter().all(|key| *key == keys[0]);
    let at = |server: usize| match &nodes[server].address {
        Address::Tcp(host, port) => format!("{host}:{port}"),
        Address::Unix(_) => String::new(),
    };
    let unstable = || Some("TRYAGAIN Multiple keys request during rehashing of slot".to_owned());
    let owner = node.view.owner(slot);
    match moving.get(&slot) {
        Some((from, to)) if *from == number => match missing {
            0 => None,
            _ if missing == keys.len() => Some(format!("ASK {slot} {}", at(*to))),
            _ => unstable(),
        },
        Some((_, to)) if *to == number && asking => {
            if missing > 0 && !is_one {
                return unstable();
            }
            None
        }
        _ if owner == number => None,
        _ => Some(format!("MOVED {slot} {}", at(owner))),
    }
}
