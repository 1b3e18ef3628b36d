//! The byte stream to a server: dialling with the socket options that make a dead peer noticeable, and a count of what
//! arrives, by which the driver distinguishes a slow server from one that does not answer.

use std::future::{Future, poll_fn};
use std::io;
use std::io::{IoSlice, Read};
use std::net::{IpAddr, SocketAddr};
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::addresses::{DELAY, Trial, order};
use super::resolve::resolve;
use super::stream::AsyncStream;
use crate::config::{Address, Family};
use crate::error_texts::connections as texts;
use crate::transport::runtime;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::sleep;

/// Idle time before the first keepalive probe, and the time between probes. Notices a half-open connection that is idle.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Unanswered probes before the connection counts as dead.
const KEEPALIVE_PROBES: u32 = 3;
/// How long sent bytes may stay unacknowledged by the peer's kernel. Notices a half-open connection that is busy.
#[cfg(any(target_os = "android", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that a visitor reads at a time: more than a small answer has would take that thread's time instead of the I/O thread's.
const VISIT_BYTES: usize = 4096;

/// A stream to a server.
pub struct Stream {
    socket: Socket,
    progress: Progress,
    write_blocked: bool,
    /// Of one of several addresses, until something has been read.
    trial: Option<Trial>,
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

/// Connects to an address: to the first IP address of a host name that takes the connection. The caller sets the time limit.
pub async fn dial(address: &Address, family: Family) -> io::Result<Stream> {
    let (socket, trial) = open(address, family).await.inspect_err(runtime::check_after)?;
    Ok(Stream { socket, progress: Progress::default(), write_blocked: false, trial })
}

async fn open(address: &Address, family: Family) -> io::Result<(Socket, Option<Trial>)> {
    Ok(match address {
        Address::Tcp(host, port) => {
            let (stream, trial) = dial_tcp(host, *port, family).await?;
            configure(&stream)?;
            (Socket::Tcp(stream), trial)
        }
        #[cfg(unix)]
        Address::Unix(path) => (Socket::Unix(UnixStream::connect(path).await?), None),
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(io::Error::new(io::ErrorKind::Unsupported, texts::NO_UNIX_SOCKETS)),
    })
}

async fn dial_tcp(host: &str, port: u16, family: Family) -> io::Result<(TcpStream, Option<Trial>)> {
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
    match order(addresses, Instant::now()).as_slice() {
        [address] => Ok((TcpStream::connect(address).await?, None)),
        addresses => race(addresses, TcpStream::connect).await.map(|(stream, trial)| (stream, Some(trial))),
    }
}

type Dialling<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Connects to addresses in their order, to one more whenever there is none that is waited for or the last one has been silent
/// for a while, and takes the first connection there is.
async fn race<T, F>(addresses: &[SocketAddr], connect: impl Fn(SocketAddr) -> F) -> io::Result<(T, Trial)>
where
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut rest = addresses.iter();
    let mut open: Vec<(Dialling<T>, Option<Trial>)> = Vec::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, texts::NO_ADDRESS_OF_FAMILY);
    let mut pause = Box::pin(sleep(Duration::ZERO));
    poll_fn(|cx| {
        loop {
            let mut place = 0;
            while let Some((dialling, trial)) = open.get_mut(place) {
                match dialling.as_mut().poll(cx) {
                    Poll::Pending => place += 1,
                    Poll::Ready(Ok(stream)) => {
                        let Some(trial) = trial.take() else { continue };
                        return Poll::Ready(Ok((stream, trial)));
                    }
                    Poll::Ready(Err(error)) => {
                        if let (_, Some(trial)) = open.remove(place) {
                            trial.failed();
                        }
                        last = io::Error::new(error.kind(), error.to_string());
                    }
                }
            }
            if !open.is_empty() && (rest.len() == 0 || pause.as_mut().poll(cx).is_pending()) {
                return Poll::Pending;
            }
            let Some(&address) = rest.next() else {
                return Poll::Ready(Err(io::Error::new(last.kind(), last.to_string())));
            };
            open.push((Box::pin(connect(address)), Some(Trial::new(address))));
            pause = Box::pin(sleep(DELAY));
        }
    })
    .await
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

impl Stream {
    /// Reads what the runtime may not have heard of yet. It hears of it later, and reads behind this.
    fn read_now(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled_to(VISIT_BYTES.min(buffer.remaining()));
        match on_socket!(self, socket => (&*SockRef::from(&*socket)).read(room)) {
            Ok(bytes) => {
                buffer.advance(bytes);
                Poll::Ready(Ok(()))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncStream for Stream {
    #[cfg(target_os = "linux")]
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = match runtime::is_visited() {
            true => self.read_now(buffer),
            false => on_socket!(self, socket => Pin::new(socket).poll_read(cx, buffer)),
        };
        if let Poll::Ready(outcome) = &result {
            self.progress.note();
            if let Some(trial) = self.trial.take() {
                match outcome {
                    Ok(()) if buffer.filled().len() > before => trial.answered(),
                    _ => trial.failed(),
                }
            }
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

// Only Linux has more than one loopback address, and drops what finds a full queue.
#[cfg(all(test, target_os = "linux"))]
mod tests;
