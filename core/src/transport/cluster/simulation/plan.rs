//! What a seed stands for: a cluster, callers, and what goes wrong when.

use std::sync::Arc;
use std::time::Duration;

use crate::store::KeyOptions;
use crate::transport::simulation::callers::Caller;
use crate::transport::simulation::random::Random;

/// A plan of what happens.
pub struct Plan {
    /// Primaries, each with a share of the slots and a replica.
    pub shards: usize,
    /// How many servers were configured.
    pub startup: usize,
    /// How long anything is on its way at most, in milliseconds.
    pub latency: u64,
    /// How late servers hear of changes at most, in milliseconds.
    pub gossip: u64,
    pub command_timeout: Duration,
    /// Calls have deadlines of their own, of which some pass before those of earlier calls.
    pub ragged: bool,
    pub executions: Vec<Arc<KeyOptions>>,
    pub callers: Vec<Caller>,
    /// All callers make so many calls.
    pub calls: usize,
    pub faults: Vec<(Duration, Fault)>,
    /// From here on nothing goes wrong any more.
    pub faults_end: Duration,
    /// The last handle is dropped, in the middle of things.
    pub close_at: Option<Duration>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A connection is lost.
    Cut,
    /// A server ends and is started again.
    Kill { millis: u64 },
    /// A server stands still.
    Pause { millis: u64 },
    /// A primary ends, or stands still, and its replica takes over.
    Failover { still: bool, millis: u64 },
    /// A slot is migrated.
    Migrate { millis: u64 },
    /// A server of another cluster gets a node's address; the node's replica may take over.
    Stranger { failover: bool, millis: u64 },
    /// A server hears of no changes.
    Stale { millis: u64 },
    /// A server takes the cluster to be down.
    ClusterDown { millis: u64 },
    /// A server stands still, and another one is given one of its slots.
    Take { millis: u64 },
}

/// How many kinds of faults there are.
const KINDS: u64 = 8;

impl Plan {
    /// The plan of a seed.
    pub fn new(random: &mut Random) -> Self {
        let shards = random.within(1, 4) as usize;
        let options = |random: &mut Random| KeyOptions {
            hash_tags: random.percent(30),
            ttl: random.percent(40).then_some(3_600_000),
            sliding_ttl: random.percent(50),
            ..KeyOptions::default()
        };
        let executions: Vec<Arc<KeyOptions>> = (0..random.within(1, 4)).map(|_| Arc::new(options(random))).collect();
        let pause = random.pick(&[2, 5, 50, 300, 1000]);
        let callers = (0..random.within(1, 6)).map(|_| Caller {
            execution: random.below(executions.len() as u64) as usize,
            burst: random.pick(&[1, 1, 2, 3, 6, 12]),
            pause,
        });
        let callers = callers.collect();
        let faults_end = random.millis(500, 10_000);
        Self {
            shards,
            startup: random.within(1, 2 * shards as u64) as usize,
            latency: random.pick(&[1, 2, 10, 40]),
            gossip: random.pick(&[0, 100, 1000, 2000]),
            command_timeout: Duration::from_millis(random.pick(&[1000, 3000, 10_000])),
            ragged: random.percent(25),
            faults: faults(random, faults_end),
            faults_end,
            executions,
            callers,
            calls: random.pick(&[20, 40, 80]),
            close_at: random.percent(4).then(|| random.millis(100, 6000)),
        }
    }
}

impl Plan {
    /// In some plans slots are taken from servers that stand still. That has numbers of its own, so that the histories of all
    /// other seeds stay what they were when this was thought of.
    pub fn with_slots_taken(mut self, random: &mut Random) -> Self {
        if random.percent(15) {
            for _ in 0..random.within(1, 4) {
                let at = random.millis(0, self.faults_end.as_millis() as u64);
                self.faults.push((at, Fault::Take { millis: random.pick(&[400, 1500, 3000, 9000]) }));
            }
            self.faults.sort_by_key(|(at, _)| *at);
        }
        self
    }
}

/// A plan has a few kinds of faults, so that each is also seen by itself and with each other one.
fn faults(random: &mut Random, end: Duration) -> Vec<(Duration, Fault)> {
    let kinds: Vec<u64> = (0..random.within(1, 4)).map(|_| random.below(KINDS)).collect();
    let count = random.pick(&[0, 1, 2, 4, 8, 16]);
    let mut faults = Vec::new();
    for _ in 0..count {
        let at = random.millis(0, end.as_millis() as u64);
        let millis = random.pick(&[20, 100, 400, 1500, 3000]);
        let fault = match random.pick(&kinds) {
            0 => Fault::Cut,
            1 => Fault::Kill { millis },
            2 => Fault::Pause { millis },
            3 => Fault::Failover { still: random.percent(40), millis },
            4 => Fault::Migrate { millis },
            5 => Fault::Stranger { failover: random.percent(60), millis },
            6 => Fault::Stale { millis },
            _ => Fault::ClusterDown { millis },
        };
        faults.push((at, fault));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}
