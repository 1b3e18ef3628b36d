//! The connection in simulated time: what it does about a path that has forgotten it, a server that is silent, and servers that
//! refuse or end connections.

use std::sync::{Arc, Mutex};

use redis::Value;

use super::*;
use crate::store::{Call, ErrorReply, Operation};
use crate::transport::applied::Applied;
use crate::transport::connection::handshake::Name;
use crate::transport::ping::{Ping, Pong};
use crate::transport::request::{ClusterRoute, CompletionSink, Redirect};
use crate::transport::result_budget::ResultBudget;
use crate::transport::warning::Warning;

const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
const REPLY: &[u8] = b"$4\r\ntrue\r\n";

/// Counts the calls that succeeded.
#[derive(Default)]
struct Answers(Mutex<usize>);

impl CompletionSink for Answers {
    fn deliver(&self, batch: Vec<Finished>) {
        *self.0.lock().unwrap() += batch.iter().filter(|finished| finished.outcome.is_ok()).count();
    }

    fn warn(&self, _: Warning) {}

    fn closed(&self, _: u32) {}

    fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
        None
    }
}

/// A machine, and what surrounds it.
struct World {
    machine: Machine,
    now: Instant,
    connections: u64,
    answers: Arc<Answers>,
    calls: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let address = Address::Tcp("localhost".into(), 6379);
        let features = ServerFeatures::default();
        let config = Config { command_timeout: COMMAND_TIMEOUT, is_routed: false, address, asks_after: None, features };
        let machine = Machine::new(config, Backoff::default().seeded(seed));
        Self { machine, now: Instant::now(), connections: 0, answers: Arc::default(), calls: 0 }
    }

    fn identity(number: u64) -> Identity {
        let line = format!("id={number} addr=127.0.0.1:{number}");
        Identity::read(&Value::BulkString(line.into_bytes())).expect("a name")
    }

    fn connect(&mut self) {
        self.connections += 1;
        let number = NonZeroU64::new(self.connections).expect("not zero");
        let opening = Opening::Greeted(Name::Known(Self::identity(self.connections)));
        self.machine.connected(number, opening, self.now);
    }

    fn call(&mut self) {
        let id = format!("run-{}", self.calls).into_bytes();
        let end = id.len();
        let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), id, end, end);
        self.machine.call(Request::new(call, self.calls, self.answers.clone()), self.now + COMMAND_TIMEOUT);
        self.calls += 1;
        self.machine.advance(self.now);
    }

    /// The server takes all that is to be written. Whether there was any.
    fn write(&mut self) -> bool {
        let bytes = self.machine.unwritten().len();
        self.machine.wrote(bytes, crate::moment::Moment::default());
        bytes > 0
    }

    fn answer(&mut self) {
        self.machine.received(REPLY, self.now);
        self.machine.advance(self.now);
    }

    fn answers(&mut self) -> usize {
        crate::transport::pending_calls::deliver(self.machine.finished());
        *self.answers.0.lock().unwrap()
    }

    /// Lets time pass until something is needed, or to an end.
    fn pass_until(&mut self, need: Need, end: Instant) {
        while self.machine.need() != need && self.now < end {
            self.now = self.machine.next_moment().unwrap_or(end).clamp(self.now, end);
            self.machine.advance(self.now);
        }
    }

    /// A connection over which one call was answered, and how long nothing happened then.
    fn after_idling(idle: Duration) -> Self {
        let mut world = World::new(1);
        world.connect();
        world.call();
        assert!(world.write());
        world.answer();
        assert_eq!(world.answers(), 1);
        let end = world.now + idle;
        world.pass_until(Need::Connection, end);
        world
    }
}

#[test]
fn a_call_over_a_path_that_forgot_the_connection_is_answered_over_another_one_within_a_second() {
    let mut world = World::after_idling(Duration::from_secs(600));
    let made = world.now;
    world.call();
    // The bytes go nowhere.
    assert!(world.write());
    world.pass_until(Need::BytesAndConnection, made + COMMAND_TIMEOUT);
    assert!(world.now - made <= Duration::from_millis(600), "{:?}", world.now - made);
    let fences = world.machine.to_fence();
    assert_eq!(fences.identities, [World::identity(1)], "the old connection's bytes may still arrive");
    assert!(fences.one_is_used);
    // A generous round trip.
    world.now += Duration::from_millis(300);
    world.connect();
    assert!(world.write(), "the call is sent again");
    world.answer();
    assert_eq!(world.answers(), 2);
    assert!(world.now - made < Duration::from_secs(1));
    assert!(world.machine.to_fence().identities.is_empty());
}

#[test]
fn a_server_is_waited_for_longer_over_a_connection_with_traffic() {
    let mut world = World::after_idling(Duration::from_secs(20));
    let made = world.now;
    world.call();
    assert!(world.write());
    world.pass_until(Need::BytesAndConnection, made + COMMAND_TIMEOUT);
    assert_eq!(world.now - made, COMMAND_TIMEOUT / 2);
}

#[test]
fn an_answer_over_the_silent_connection_ends_the_search_for_another_one() {
    let mut world = World::after_idling(Duration::from_secs(20));
    world.call();
    assert!(world.write());
    let end = world.now + COMMAND_TIMEOUT;
    world.pass_until(Need::BytesAndConnection, end);
    world.call();
    assert!(!world.write(), "nothing more is sent to a silent server");
    world.answer();
    assert_eq!((world.machine.need(), world.answers()), (Need::Bytes, 2));
    assert!(world.write());
    world.answer();
    assert_eq!((world.answers(), world.connections), (3, 1));
}

/// The moments at which connections were needed within a time, each of which `meet` deals with.
fn attempts(world: &mut World, time: Duration, mut meet: impl FnMut(&mut World)) -> Vec<Duration> {
    let (begin, mut at) = (world.now, Vec::new());
    loop {
        world.pass_until(Need::Connection, begin + time);
        if world.now >= begin + time {
            return at;
        }
        at.push(world.now - begin);
        meet(world);
    }
}

fn within(at: &[Duration], from: u64, to: u64) -> usize {
    at.iter().filter(|at| (from..to).contains(&at.as_secs())).count()
}

#[test]
fn a_server_that_refuses_connections_is_asked_at_most_nine_times_in_three_seconds_and_then_about_once_a_second() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        let at = attempts(&mut world, Duration::from_secs(60), |world| {
            let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            let error = ConnectError::dial(&refused, &world.machine.config.address.clone());
            world.machine.not_connected(error, false, world.now);
        });
        assert!(within(&at, 0, 3) <= 9, "{at:?}");
        assert!(within(&at, 10, 60) <= 56, "{at:?}");
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] <= Backoff::LONGEST), "{at:?}");
    }
}

#[test]
fn a_server_that_takes_the_handshake_and_hangs_up_is_asked_as_seldom() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.call();
        let at = attempts(&mut world, Duration::from_secs(9), |world| {
            world.connect();
            world.machine.disconnected(ConnectError::closed(), false, world.now);
        });
        assert!(within(&at, 0, 3) <= 9, "{at:?}");
        assert!(within(&at, 3, 9) <= 8, "{at:?}");
    }
}

/// A server that answers a call over each connection, and ends it after a while.
fn hanging_up_after(life: Duration, seed: u64) -> (Vec<Duration>, Vec<Duration>) {
    let mut world = World::new(seed);
    let mut lost: Option<Instant> = None;
    let mut away = Vec::new();
    let at = attempts(&mut world, Duration::from_secs(60), |world| {
        away.extend(lost.map(|lost| world.now - lost));
        world.connect();
        world.call();
        world.write();
        world.answer();
        world.now += life;
        world.machine.disconnected(ConnectError::closed(), false, world.now);
        lost = Some(world.now);
    });
    (at, away)
}

#[test]
fn a_server_that_answers_and_hangs_up_is_asked_at_most_five_times_a_second_besides_ten_in_ten_seconds() {
    for seed in 0..50 {
        let (at, _) = hanging_up_after(Duration::ZERO, seed);
        assert!(at.len() <= 60 * 5 + 60 + 1, "{}", at.len());
    }
}

#[test]
fn a_connection_that_worked_for_a_moment_is_replaced_at_once_however_often_it_ends() {
    for seed in 0..50 {
        let (_, away) = hanging_up_after(Duration::from_millis(800), seed);
        assert!(away.len() > 60 && away.iter().all(|pause| *pause <= Duration::from_millis(50)), "{away:?}");
    }
}

#[test]
fn a_server_that_refuses_the_login_is_asked_a_few_times_however_many_call() {
    let mut world = World::new(1);
    let (end, mut attempts) = (world.now + Duration::from_secs(10), 0);
    while world.now < end {
        world.call();
        if world.machine.need() == Need::Connection {
            attempts += 1;
            let refusal = ErrorReply { code: "WRONGPASS".into(), detail: "invalid username-password pair".into() };
            world.machine.not_connected(ConnectError::handshake(refusal), false, world.now);
            assert!(world.machine.calls().next().is_none(), "calls that wait are told");
        }
        world.now += Duration::from_millis(10);
        world.machine.advance(world.now);
    }
    assert!((20..50).contains(&attempts), "{attempts}");
}

/// What becomes of pings.
#[derive(Clone, Default)]
struct Pongs(Arc<Mutex<Vec<Result<Duration, String>>>>);

impl Pongs {
    /// A ping with this much time.
    fn ping(&self, world: &mut World, time: Duration) {
        let pongs = self.clone();
        let answer = move |pong: Pong| pongs.0.lock().unwrap().push(pong.map_err(|error| error.message));
        // Its deadline counts from the clock, and this world's time may be elsewhere.
        let mut ping = Ping::new(time, answer);
        ping.deadline = world.now + time;
        world.machine.ping(ping, world.now);
        world.machine.advance(world.now);
    }

    fn taken(&self) -> Vec<Result<Duration, String>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn pings_are_answered_in_their_place_among_the_replies() {
    let (mut world, pongs) = (World::new(1), Pongs::default());
    pongs.ping(&mut world, SECOND);
    world.connect();
    world.call();
    pongs.ping(&mut world, SECOND);
    assert_eq!(world.machine.unwritten().windows(4).filter(|word| word == b"PING").count(), 2);
    assert!(world.write());
    world.now += Duration::from_millis(20);
    world.machine.received(b"+PONG\r\n$4\r\ntrue\r\n-NOPERM no ping\r\n", world.now);
    let took = Duration::from_millis(20);
    assert_eq!((world.answers(), pongs.taken()), (1, vec![Ok(took), Ok(took)]));
}

#[test]
fn a_ping_is_answered_at_once_where_it_is_known_that_there_is_no_connection() {
    let (mut world, pongs) = (World::new(1), Pongs::default());
    pongs.ping(&mut world, SECOND);
    assert_eq!(pongs.taken(), []);
    world.machine.not_connected(ConnectError::closed(), false, world.now);
    assert!(matches!(&pongs.taken()[..], [Err(_)]));
    pongs.ping(&mut world, SECOND);
    assert!(matches!(&pongs.taken()[..], [Err(_)]), "during the pause as well");
    world.connect();
    pongs.ping(&mut world, SECOND);
    assert_eq!(pongs.taken(), []);
}

#[test]
fn a_ping_goes_over_the_next_connection_and_no_late_answer_is_taken_for_its_own() {
    let (mut world, pongs) = (World::new(1), Pongs::default());
    world.connect();
    pongs.ping(&mut world, SECOND);
    assert!(world.write());
    world.machine.disconnected(ConnectError::closed(), false, world.now);
    world.pass_until(Need::Connection, world.now + SECOND);
    world.connect();
    world.machine.advance(world.now);
    assert!(world.write());
    world.now += SECOND * 2;
    world.machine.advance(world.now);
    assert!(matches!(&pongs.taken()[..], [Err(message)] if message.contains("1000 ms")));
    pongs.ping(&mut world, SECOND);
    world.machine.received(b"+PONG\r\n", world.now);
    assert_eq!(pongs.taken(), [], "that was the answer to the one given up");
    world.machine.received(b"+PONG\r\n", world.now);
    assert_eq!(pongs.taken(), [Ok(Duration::ZERO)]);
}

/// When a server is asked about itself to which calls are made all the time, or none but the first.
fn asked_after(is_busy: bool) -> Duration {
    let mut world = World::new(1);
    world.machine.config.asks_after = Some(SECOND);
    world.connect();
    let made = world.now;
    world.call();
    loop {
        let bytes = world.machine.unwritten().to_vec();
        if bytes.windows(4).any(|word| word == b"INFO") {
            return world.now - made;
        }
        assert!(world.now - made < SECOND * 60, "it is asked");
        if !bytes.is_empty() {
            world.write();
            world.now += Duration::from_millis(50);
            if is_busy {
                // The next one is on its way before this one is answered.
                world.call();
            }
            world.answer();
        } else {
            world.now += Duration::from_millis(50);
            world.machine.advance(world.now);
        }
    }
}

#[test]
fn a_server_is_asked_about_itself_when_it_is_idle_and_in_the_end_also_when_it_never_is() {
    for (is_busy, wanted) in [(false, SECOND), (true, SECOND * 10)] {
        let after = asked_after(is_busy);
        assert!(after >= wanted && after < wanted + Duration::from_millis(200), "{is_busy}: {after:?}");
    }
}

#[test]
fn a_machine_is_ready_once_the_server_has_answered_and_while_it_is_not_silent() {
    let mut world = World::new(1);
    assert!(!world.machine.is_ready());
    let opening = Opening::Pipelined({
        let mut pipeline = redis::Pipeline::new();
        Name::ask(&mut pipeline);
        pipeline
    });
    world.machine.connected(NonZeroU64::MIN, opening, world.now);
    assert!(!world.machine.is_ready());
    assert!(world.write());
    world.machine.received(b"$27\r\nid=1 addr=127.0.0.1:1 a=b c\r\n", world.now);
    assert!(world.machine.is_ready());
    world.call();
    assert!(world.write());
    let end = world.now + COMMAND_TIMEOUT;
    world.pass_until(Need::BytesAndConnection, end);
    assert!(!world.machine.is_ready());
    world.answer();
    assert!(world.machine.is_ready());
    let counts = world.machine.take_counts();
    assert_eq!((counts.round_trips, counts.retries), (1, 0));
    assert!(counts.bytes_written > 0 && counts.bytes_read > 0);
}

#[test]
fn what_a_router_recalls_comes_back_and_its_reply_is_nobodys() {
    let mut world = World::new(1);
    world.connect();
    let deadline = world.now + COMMAND_TIMEOUT;
    for slot in [1, 2] {
        let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), slot.to_string().into(), 1, 1);
        let mut request = Request::new(call, u32::from(slot), world.answers.clone());
        request.route = Some(ClusterRoute {
            environment: world.answers.clone(),
            sequence: u64::from(slot),
            deadline,
            slot,
            sharded: false,
            asking: false,
            moves: 0,
            detours: 0,
            losses: 0,
            refusals: 0,
            reason: None,
        });
        world.machine.call(request, deadline);
    }
    world.machine.advance(world.now);
    assert!(world.write());
    world.machine.recall(&[1], world.now);
    let back = world.machine.finished().pop().expect("it comes back");
    assert_eq!(back.request.token, 1);
    assert!(matches!(back.redirect, Some(Redirect::Lost)));
    assert_eq!(back.request.delivery.applied(), Applied::Maybe);
    world.answer();
    assert_eq!(world.answers(), 0);
    world.answer();
    assert_eq!(world.answers(), 1);
}
