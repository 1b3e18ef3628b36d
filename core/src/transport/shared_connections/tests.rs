//! Calls over a socket, while the I/O thread has no time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::store::{Call, Operation};
use crate::transport::connection::attempts::OVERLAP;
use crate::transport::inbox::Idle;
use crate::transport::request::Finished;
use crate::transport::result_budget::ResultBudget;
use crate::transport::simulation::resp;
use crate::transport::target::test_target;
use crate::transport::warning::Warning;

const LONG: Duration = Duration::from_secs(20);

/// Says which calls are over.
struct Sink(Mutex<Sender<u32>>);

impl CompletionSink for Sink {
    fn deliver(&self, batch: Vec<Finished>) {
        let over = self.0.lock().unwrap();
        batch.iter().for_each(|finished| over.send(finished.request.token).unwrap());
    }

    fn warn(&self, _: Warning) {}

    fn closed(&self, _: u32) {}

    fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
        None
    }
}

/// Answers every command but those about `never`, and says which keys were asked for, and when the server is asked about itself.
fn serve_gets(mut stream: TcpStream, asked: &Sender<String>) {
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        input.extend_from_slice(&buffer[..read]);
        while let Some((command, used)) = resp::parse(&input) {
            input.drain(..used);
            let answer: &[u8] = match &*command {
                [get, key] if get == b"GET" => {
                    asked.send(resp::text(key).to_owned()).unwrap();
                    match resp::text(key) {
                        "never" => continue,
                        _ => b"$-1\r\n",
                    }
                }
                [info, ..] if info == b"INFO" => {
                    asked.send("INFO".to_owned()).unwrap();
                    b"$0\r\n\r\n"
                }
                [client, id] if client == b"CLIENT" && id == b"ID" => b":7\r\n",
                _ => b"+OK\r\n",
            };
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}

fn question(connection: &SharedConnection, sink: &Arc<dyn CompletionSink>, token: u32, id: &str) {
    watched_question(connection, sink, token, id, None);
}

fn watched_question(
    connection: &SharedConnection,
    sink: &Arc<dyn CompletionSink>,
    token: u32,
    id: &str,
    watch: Option<&Rc<AnswerWatch>>,
) {
    let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), id.into(), id.len(), id.len());
    connection.send_all(vec![Request::new(call, token, sink.clone())], watch);
}

/// A connection to a server that answers every command but those about `never`.
fn connect(
    command_timeout: Duration,
) -> (Arc<SharedConnection>, Arc<dyn CompletionSink>, Receiver<u32>, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let (asked, asks) = channel();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| serve_gets(stream, &asked)));
    let settings = crate::config::from_input(&crate::config::Input::Text(address)).unwrap();
    let target = Target { settings, command_timeout, connect_timeout: LONG, ..test_target() };
    let (over, is_over) = channel();
    let sink: Arc<dyn CompletionSink> = Arc::new(Sink(Mutex::new(over)));
    let connection = SharedConnection::open(target, &sink).unwrap();
    question(&connection, &sink, 1, "first");
    assert_eq!(is_over.recv_timeout(LONG), Ok(1));
    assert_eq!(asks.recv_timeout(LONG).as_deref(), Ok("first"));
    (connection, sink, is_over, asks)
}

/// Waits until the driver sleeps beside a connection that nothing is under way on.
fn wait_until_idle(connection: &SharedConnection) {
    let begin = Instant::now();
    while !connection.inbox.lock().sleeper.as_ref().is_some_and(|sleeper| sleeper.idle == Idle::Yes) {
        assert!(begin.elapsed() < LONG, "the driver never slept");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Keeps the I/O thread busy until the sender is dropped.
fn occupy_io_thread() -> Sender<()> {
    let (is_occupied, occupied) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(Some((is_occupied, released)));
    let occupy = move || {
        let channels: Option<(Sender<()>, Receiver<()>)> = released.lock().unwrap().take();
        async move {
            if let Some((occupied, released)) = channels {
                occupied.send(()).unwrap();
                let _ = released.recv_timeout(LONG);
            }
        }
    };
    runtime::spawn(occupy, || ()).unwrap();
    occupied.recv_timeout(LONG).unwrap();
    release
}

#[test]
fn a_lone_small_call_is_sent_by_the_thread_that_makes_it() {
    let (connection, sink, is_over, asks) = connect(LONG);
    // One that is too large for that waits for the I/O thread.
    wait_until_idle(&connection);
    let busy = occupy_io_thread();
    question(&connection, &sink, 2, &"large".repeat(1024));
    assert_eq!(connection.inbox.lock().requests.len(), 1);
    drop(busy);
    assert_eq!(is_over.recv_timeout(LONG), Ok(2));
    assert_eq!(asks.recv_timeout(LONG).map(|key| key.len()), Ok(5 * 1024));

    wait_until_idle(&connection);
    let busy = occupy_io_thread();
    question(&connection, &sink, 3, "small");
    assert_eq!(asks.recv_timeout(LONG).as_deref(), Ok("small"));
    // The next one would be beside it, and waits.
    question(&connection, &sink, 4, "beside");
    assert_eq!(connection.inbox.lock().requests.len(), 1);
    drop(busy);
    assert_eq!([is_over.recv_timeout(LONG), is_over.recv_timeout(LONG)], [Ok(3), Ok(4)]);
}

/// Sends a question by a thread that watches for the answer, while the I/O thread is busy, until it is not left to that one to look for
/// the answer, as it is once in a while.
#[cfg(target_os = "linux")]
fn ask_watching(
    connection: &SharedConnection,
    sink: &Arc<dyn CompletionSink>,
    is_over: &Receiver<u32>,
    id: &str,
    watch: &Rc<AnswerWatch>,
) -> Sender<()> {
    for _ in 0..10 {
        wait_until_idle(connection);
        let busy = occupy_io_thread();
        watched_question(connection, sink, 2, id, Some(watch));
        if connection.inbox.lock().sleeper.is_some() {
            return busy;
        }
        drop(busy);
        assert_eq!(is_over.recv_timeout(LONG), Ok(2));
    }
    panic!("the I/O thread was always wanted");
}

/// Reads what comes until a call is over.
#[cfg(target_os = "linux")]
fn read_answer(watch: &Rc<AnswerWatch>, is_over: &Receiver<u32>) -> u32 {
    let begin = Instant::now();
    loop {
        watch.read_answers();
        if let Ok(token) = is_over.recv_timeout(Duration::from_millis(1)) {
            return token;
        }
        assert!(begin.elapsed() < LONG, "no answer was read");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_answer_to_a_lone_call_is_read_by_the_thread_that_watches_for_it() {
    let (connection, sink, is_over, _asks) = connect(LONG);
    let watch = AnswerWatch::new().unwrap();
    for _ in 0..3 {
        let busy = ask_watching(&connection, &sink, &is_over, "watched", &watch);
        assert_eq!(read_answer(&watch, &is_over), 2);
        // And sends the next one, as if nothing had been.
        assert_eq!(connection.inbox.lock().sleeper.as_ref().map(|sleeper| sleeper.idle), Some(Idle::Yes));
        drop(busy);
    }

    // When that thread has no time, the I/O thread reads it.
    drop(ask_watching(&connection, &sink, &is_over, "unread", &watch));
    assert_eq!(is_over.recv_timeout(LONG), Ok(2));

    // What comes meanwhile is beside it, and wakes the I/O thread, which answers both.
    drop(ask_watching(&connection, &sink, &is_over, "watched", &watch));
    watched_question(&connection, &sink, 3, "beside", Some(&watch));
    assert_eq!([is_over.recv_timeout(LONG), is_over.recv_timeout(LONG)], [Ok(2), Ok(3)]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_watched_call_that_is_not_answered_ends_in_time() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    let (connection, sink, is_over, asks) = connect(TIMEOUT);
    let watch = AnswerWatch::new().unwrap();
    while asks.recv_timeout(LONG).unwrap() != "INFO" {}
    drop(ask_watching(&connection, &sink, &is_over, "answered", &watch));
    assert_eq!(is_over.recv_timeout(LONG), Ok(2));
    // When the time for that has passed, and the time for another attempt to connect, nothing is left that would wake the I/O thread.
    thread::sleep(TIMEOUT.max(OVERLAP));
    wait_until_idle(&connection);
    watched_question(&connection, &sink, 3, "never", Some(&watch));
    assert_eq!(is_over.recv_timeout(LONG), Ok(3));
}
