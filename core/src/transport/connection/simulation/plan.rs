//! What a seed stands for: a server, a network, callers, and what goes wrong when.

use std::sync::Arc;
use std::time::Duration;

use super::network::Conditions;
use crate::store::KeyOptions;
use crate::transport::simulation::callers::Caller;
use crate::transport::simulation::random::Random;
use crate::transport::simulation::server::{Mishap, Naming, Refusal};

/// A plan of what happens.
pub struct Plan {
    pub conditions: Conditions,
    pub command_timeout: Duration,
    pub connect_timeout: Duration,
    /// Calls come from a router.
    pub routed: bool,
    /// The connection is a Unix socket, where a server that closes has read all that it ever reads.
    pub unix: bool,
    pub naming: Naming,
    pub set_get: bool,
    pub password: bool,
    pub client_name: bool,
    pub refuses_client: bool,
    /// A server that is killed forgets what nobody has been told of.
    pub forgets: bool,
    /// Calls have deadlines of their own, of which some pass before those of earlier calls.
    pub ragged: bool,
    /// How long bytes of an abandoned connection may still be on their way, in milliseconds.
    pub late: u64,
    pub executions: Vec<Arc<KeyOptions>>,
    pub callers: Vec<Caller>,
    /// Calls are made for so long, and all of them make so many.
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
    /// The client sees the connection end. What is on its way to the server may arrive all the same.
    Cut,
    /// Nothing arrives for a while, or ever, over the connection in use.
    Stall {
        to_server: bool,
        to_client: bool,
        millis: Option<u64>,
    },
    /// The server ends and is started again.
    Kill {
        millis: u64,
        reset: bool,
    },
    /// The server stands still.
    Pause {
        millis: u64,
    },
    Refuse {
        refusal: Refusal,
        millis: u64,
    },
    /// The server tells no names.
    Nameless {
        millis: u64,
    },
    /// The server sends something that nobody asked for.
    Unsolicited,
    /// Something is wrong with one of the next commands.
    Mishap {
        commands: u64,
        mishap: Mishap,
    },
    Dial {
        dial: Dial,
        millis: u64,
    },
    /// The connection, as good as any other, is to be replaced.
    Replace,
}

/// How connections are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    Refused,
    /// Nobody answers.
    Lost,
    Slow,
    /// The server has as many clients as it takes.
    MaxClients,
}

/// How many kinds of faults there are.
const KINDS: u64 = 10;

impl Plan {
    /// The plan of a seed.
    pub fn new(random: &mut Random) -> Self {
        let fast = random.percent(50);
        let conditions = Conditions {
            latency: if fast { random.millis(0, 2) } else { random.millis(1, 80) },
            jitter: if fast { random.millis(0, 1) } else { random.millis(0, 100) },
            cuts: random.pick(&[0, 0, 5, 50, 90]),
            window: if fast { random.pick(&[64 * 1024, 64 * 1024, 4096, 150]) } else { 64 * 1024 },
        };
        let routed = random.percent(12);
        let unix = random.percent(8);
        let never = random.percent(8);
        let naming = match random.below(2) {
            _ if !never => Naming::Tells,
            0 => Naming::Never("NOPERM User worker has no permissions to run the 'client|info' command"),
            _ => Naming::Never("ERR unknown command 'CLIENT'"),
        };
        let ttl = |random: &mut Random| KeyOptions {
            ttl: random.percent(60).then_some(3_600_000),
            sliding_ttl: random.percent(50),
            ..KeyOptions::default()
        };
        let executions: Vec<Arc<KeyOptions>> = (0..random.within(1, 4)).map(|_| Arc::new(ttl(random))).collect();
        // Some callers let connections stand idle for long.
        let is_idle = random.percent(4);
        let faults_end = if is_idle { random.millis(60_000, 120_000) } else { random.millis(1000, 15_000) };
        let pause = if is_idle { 60_000 } else { random.pick(&[5, 50, 300, 1000, 2000]) };
        let callers = (0..random.within(1, 6)).map(|_| Caller {
            execution: random.below(executions.len() as u64) as usize,
            burst: random.pick(&[1, 1, 2, 3, 6]),
            pause,
        });
        let callers = callers.collect();
        let faults = faults(random, faults_end, routed, unix);
        Self {
            conditions,
            // No shorter than what a healthy network needs.
            command_timeout: random
                .pick::<u64>(if fast { &[300, 1000, 3000, 10_000] } else { &[2000, 3000, 10_000] })
                .to_millis(),
            connect_timeout: random.pick::<u64>(if fast { &[300, 1000, 5000] } else { &[1000, 5000] }).to_millis(),
            routed,
            unix,
            naming,
            set_get: !random.percent(10),
            password: random.percent(30),
            client_name: random.percent(30),
            refuses_client: random.percent(40),
            forgets: random.percent(20),
            ragged: random.percent(20),
            late: random.pick(&[0, 500, 5000]),
            executions,
            callers,
            calls: random.pick(&[20, 40, 60]),
            faults,
            faults_end,
            close_at: random.percent(4).then(|| random.millis(200, 8000)),
        }
    }
}

/// A plan has a few kinds of faults, so that each is also seen by itself and with each other one.
fn faults(random: &mut Random, end: Duration, routed: bool, unix: bool) -> Vec<(Duration, Fault)> {
    let kinds: Vec<u64> = (0..random.within(1, 4)).map(|_| random.below(KINDS)).collect();
    let count = random.pick(&[0, 1, 2, 4, 8, 16]);
    let mut faults = Vec::new();
    for _ in 0..count {
        let at = random.millis(0, end.as_millis() as u64);
        let millis = random.pick(&[20, 100, 400, 1500, 4000]);
        let fault = match random.pick(&kinds) {
            0 if unix => continue,
            0 => Fault::Cut,
            1 => {
                let direction = random.below(3);
                let millis = (!random.percent(25)).then_some(millis);
                Fault::Stall { to_server: direction != 0, to_client: direction != 1, millis }
            }
            2 => Fault::Kill { millis, reset: random.percent(30) },
            3 => Fault::Pause { millis },
            4 => {
                use Refusal::*;
                let all = [Loading, Busy, NoReplicas, OutOfMemory, ReadOnly, TryAgain, ClusterDown, Moved, Ask];
                Fault::Refuse { refusal: random.pick(if routed { &all } else { &all[..7] }), millis }
            }
            5 => Fault::Nameless { millis },
            6 => Fault::Unsolicited,
            7 => {
                use Mishap::*;
                let mishap = random.pick(&[CloseBefore, CloseAfter, CloseWithin, Malformed, TooLarge, ErrorAndClose]);
                Fault::Mishap { commands: random.below(6), mishap }
            }
            8 => {
                let dial = random.pick(&[Dial::Refused, Dial::Lost, Dial::Slow, Dial::MaxClients]);
                Fault::Dial { dial, millis }
            }
            _ => Fault::Replace,
        };
        faults.push((at, fault));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

trait Millis {
    fn to_millis(self) -> Duration;
}

impl Millis for u64 {
    fn to_millis(self) -> Duration {
        Duration::from_millis(self)
    }
}
