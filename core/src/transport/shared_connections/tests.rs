//! Calls over a socket, while the I/O thread has no time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::store::{Call, Operation};
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

/// Answers every command, and says which keys were asked for.
fn serve_gets(mut stream: TcpStream, asked: &Sender<String>) {
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        input.extend_from_slice(&buffer[..read]);
        while let Some((command, used)) = resp::parse(&input) {
            input.drain(..used);
            let answer: &[u8] = match &*command {
                [get, key] if get == b"GET" => {
                    asked.send(resp::text(key).to_owned()).unwrap();
                    b"$-1\r\n"
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
    let call = Call::new(Operation::IsExecutionInProgress, Arc::default(), id.into(), id.len(), id.len());
    connection.send_all(vec![Request::new(call, token, sink.clone())]);
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let (asked, asks) = channel();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| serve_gets(stream, &asked)));
    let settings = crate::config::from_input(&crate::config::Input::Text(address)).unwrap();
    let target = Target { settings, command_timeout: LONG, connect_timeout: LONG, ..test_target() };
    let (over, is_over) = channel();
    let sink: Arc<dyn CompletionSink> = Arc::new(Sink(Mutex::new(over)));
    let connection = SharedConnection::open(target, &sink).unwrap();
    question(&connection, &sink, 1, "first");
    assert_eq!(is_over.recv_timeout(LONG), Ok(1));
    assert_eq!(asks.recv_timeout(LONG).as_deref(), Ok("first"));

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
