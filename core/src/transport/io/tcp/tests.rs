use std::net::{Ipv4Addr, TcpListener};

use socket2::{Domain, Socket as RawSocket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

/// Generous where nothing is waited for.
const SOON: Duration = Duration::from_secs(5);

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn listen(host: [u8; 4], port: u16, backlog: i32) -> (TcpListener, u16) {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::from(host), port)).into()).unwrap();
    socket.listen(backlog).unwrap();
    let listener = TcpListener::from(socket);
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port of one address that swallows packets, and of another that takes connections.
fn one_that_swallows_and_one_that_listens(last: u8) -> (String, u16, impl Sized) {
    let (swallows, port) = listen([127, 71, 0, last], 0, 0);
    // The queue of connections that nobody accepts is full with the first.
    let queued = std::net::TcpStream::connect(swallows.local_addr().unwrap()).unwrap();
    let (listens, _) = listen([127, 71, 1, last], port, 16);
    (format!("127.71.0.{last},127.71.1.{last}"), port, (swallows, queued, listens))
}

async fn reach(host: &str, port: u16) -> (Stream, IpAddr, Duration) {
    let begun = Instant::now();
    let address = Address::Tcp(host.into(), port);
    let stream = timeout(SOON, dial(&address, Family::Any)).await.expect("a connection in time").unwrap();
    let Socket::Tcp(socket) = &stream.socket else { panic!("no TCP") };
    let ip = socket.peer_addr().unwrap().ip();
    (stream, ip, begun.elapsed())
}

#[test]
fn an_address_that_swallows_packets_costs_one_delay_and_the_next_attempt_nothing() {
    let (host, port, _listeners) = one_that_swallows_and_one_that_listens(1);
    run(async {
        let (_stream, ip, took) = reach(&host, port).await;
        assert_eq!(ip, IpAddr::from([127, 71, 1, 1]));
        assert!(took >= DELAY);
        let (_stream, ip, took) = reach(&host, port).await;
        assert_eq!(ip, IpAddr::from([127, 71, 1, 1]));
        assert!(took < DELAY, "{took:?}");
    });
}

#[test]
fn an_address_that_refuses_is_followed_by_the_next_one_at_once() {
    let (_listens, port) = listen([127, 72, 0, 2], 0, 16);
    run(async {
        let (_stream, ip, took) = reach("127.72.0.1,127.72.0.2", port).await;
        assert_eq!(ip, IpAddr::from([127, 72, 0, 2]));
        assert!(took < DELAY, "{took:?}");
        let refused = dial(&Address::Tcp("127.72.0.3,127.72.0.4".into(), port), Family::Any).await;
        assert_eq!(refused.map(drop).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let none = dial(&Address::Tcp("127.72.0.2".into(), port), Family::V6).await;
        assert!(none.is_ok(), "a literal address is what it is");
        let none = dial(&Address::Tcp("127.72.0.2,127.72.0.1".into(), port), Family::V6).await;
        assert_eq!(none.map(drop).unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn an_address_whose_server_says_nothing_goes_last_at_the_next_attempt() {
    let (silent, port) = listen([127, 73, 0, 1], 0, 16);
    let (speaks, _) = listen([127, 73, 0, 2], port, 16);
    let host = "127.73.0.1,127.73.0.2";
    run(async {
        let (waiting, ip, _) = reach(host, port).await;
        assert_eq!(ip, IpAddr::from([127, 73, 0, 1]));
        tokio::time::sleep(DELAY).await;
        let (mut stream, ip, _) = reach(host, port).await;
        assert_eq!(ip, IpAddr::from([127, 73, 0, 2]), "while the first one is still waited for");
        drop(waiting);
        speaks.set_nonblocking(true).unwrap();
        let speaks = tokio::net::TcpListener::from_std(speaks).unwrap();
        let (mut peer, _) = speaks.accept().await.unwrap();
        peer.write_all(b"+OK\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        let (_stream, ip, _) = reach(host, port).await;
        assert_eq!(ip, IpAddr::from([127, 73, 0, 2]), "and after it was given up");
    });
    drop(silent);
}

#[test]
fn an_address_whose_server_hangs_up_without_a_word_goes_last_at_the_next_attempt() {
    let (hangs_up, port) = listen([127, 74, 0, 1], 0, 16);
    let (_listens, _) = listen([127, 74, 0, 2], port, 16);
    let host = "127.74.0.1,127.74.0.2";
    run(async {
        let (mut stream, ip, _) = reach(host, port).await;
        assert_eq!(ip, IpAddr::from([127, 74, 0, 1]));
        drop(hangs_up.accept().unwrap());
        assert!(stream.read_u8().await.is_err());
        let (_stream, ip, _) = reach(host, port).await;
        assert_eq!(ip, IpAddr::from([127, 74, 0, 2]));
    });
}
