//! The byte stream to a server: dialling with the socket options that make a dead peer noticeable, and a count of what
//! arrives, by which the driver distinguishes a slow server from one that does not answer.

use std::io;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use super::resolve::resolve;
use crate::config::{Address, Family};
use crate::error_texts::connections as texts;
use crate::transport::runtime;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// Idle time before the first keepalive probe, and the time between probes. Notices a half-open connection that is idle.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Unanswered probes before the connection counts as dead.
const KEEPALIVE_PROBES: u32 = 3;
/// How long sent bytes may stay unacknowledged by the peer's kernel. Notices a half-open connection that is busy.
#[cfg(any(target_os = "android", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// A stream to a server.
pub struct Stream {
    socket: Socket,
    progress: Progress,
    write_blocked: bool,
}

enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Grows whenever the peer shows life: bytes arrive, or a full send buffer drains.
#[derive(Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// The current count.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Connects to an address, trying each IP address of a host name in turn. The caller sets the time limit.
pub async fn dial(address: &Address, family: Family) -> io::Result<Stream> {
    let socket = open(address, family).await.inspect_err(runtime::check_after)?;
    Ok(Stream { socket, progress: Progress::default(), write_blocked: false })
}

async fn open(address: &Address, family: Family) -> io::Result<Socket> {
    Ok(match address {
        Address::Tcp(host, port) => Socket::Tcp(dial_tcp(host, *port, family).await?),
        #[cfg(unix)]
        Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(io::Error::new(io::ErrorKind::Unsupported, texts::NO_UNIX_SOCKETS)),
    })
}

async fn dial_tcp(host: &str, port: u16, family: Family) -> io::Result<TcpStream> {
    let wanted = |address: &SocketAddr| match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    // A literal address needs no look-up, which costs a thread.
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => resolve(host, port).await?.into_iter().filter(wanted).collect(),
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, texts::NO_ADDRESS_OF_FAMILY);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                configure(&stream)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    #[cfg(not(any(target_os = "openbsd", target_os = "haiku")))]
    let keepalive = keepalive.with_interval(KEEPALIVE).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    // Closing drops what the kernel still holds: an abandoned write must not arrive after it was sent again elsewhere.
    socket.set_linger(Some(Duration::ZERO))
}

impl Stream {
    /// A handle on the count of signs of life.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Who is at the other end, which was dialled by this address.
    pub fn peer_or(&self, address: &Address) -> Address {
        let peer = match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(_) => None,
        };
        peer.map_or_else(|| address.clone(), |peer| Address::Tcp(peer.ip().to_string(), peer.port()))
    }

    fn note_write<T>(&mut self, result: Poll<T>) -> Poll<T> {
        if result.is_ready() && self.write_blocked {
            self.progress.note();
        }
        self.write_blocked = result.is_pending();
        result
    }
}

/// Runs an expression on whichever socket it is.
macro_rules! on_socket {
    ($stream:expr, $socket:ident => $call:expr) => {
        match &mut $stream.socket {
            Socket::Tcp($socket) => $call,
            #[cfg(unix)]
            Socket::Unix($socket) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = on_socket!(self, socket => Pin::new(socket).poll_read(cx, buffer));
        if result.is_ready() {
            self.progress.note();
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = on_socket!(self, socket => Pin::new(socket).poll_write(cx, bytes));
        self.note_write(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = on_socket!(self, socket => Pin::new(socket).poll_write_vectored(cx, bytes));
        self.note_write(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }
}
