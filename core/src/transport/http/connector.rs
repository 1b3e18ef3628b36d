//! Connections to the endpoint: dialled with our socket options, through the proxy if the environment names one, encrypted
//! with our TLS, over which HTTP/2 is offered.

use std::future::Future;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tower_service::Service;

use super::error::NotConnected;
use super::proxy::{Proxy, tunnel_failed};
use crate::config::{Address, Family, Tls};
use crate::transport::error::ConnectError;
use crate::transport::io::AsyncStream;
use crate::transport::io::tcp::dial;
use crate::transport::io::tls;
use crate::transport::io::tls::{encrypt, encrypt_for};
use crate::transport::observed::Observed;

/// The supported protocols, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, NotConnected>> + Send>>;

/// Makes connections to one endpoint.
#[derive(Clone)]
pub struct Connector(Arc<Endpoint>);

/// Where connections go, and how.
pub struct Endpoint {
    /// The endpoint.
    pub address: Address,
    /// The IP versions to use.
    pub family: Family,
    /// How the connection is encrypted; `None` is plaintext.
    pub tls: Option<Tls>,
    /// What is in between.
    pub proxy: Option<Proxy>,
    /// Limit for one attempt.
    pub timeout: Duration,
    /// What others can see of the endpoint.
    pub observed: Arc<Observed>,
}

impl Connector {
    /// Makes connections to an endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(endpoint))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Channel>;
    type Error = NotConnected;
    type Future = Connecting<TokioIo<Channel>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let endpoint = self.0.clone();
        Box::pin(async move {
            let unresponsive = || match (&endpoint.tls, &endpoint.proxy) {
                (Some(_), None) => tls::handshake_timeout(&endpoint.address),
                (_, proxy) => {
                    ConnectError::unresponsive(proxy.as_ref().map_or(&endpoint.address, |proxy| &proxy.address))
                }
            };
            let connected = timeout(endpoint.timeout, endpoint.connect(uri)).await;
            connected.unwrap_or_else(|_| Err(unresponsive())).map(TokioIo::new).map_err(NotConnected)
        })
    }
}

impl Endpoint {
    async fn connect(&self, endpoint: Uri) -> Result<Channel, ConnectError> {
        let stream = match (&self.proxy, &self.tls) {
            (None, _) => reach(&self.address, self.family, None, &self.observed).await?,
            (Some(proxy), None) => reach(&proxy.address, self.family, proxy.tls.as_ref(), &self.observed).await?,
            (Some(proxy), Some(_)) => through(proxy, self.family, endpoint, &self.observed).await?,
        };
        let Some(tls) = &self.tls else {
            return Ok(Channel { stream, is_http2: false, is_proxied: self.proxy.is_some() });
        };
        let encrypted = encrypt_for(&PROTOCOLS, stream, tls, &self.address).await?;
        let is_http2 = encrypted.protocol() == Some(PROTOCOLS[0]);
        Ok(Channel { stream: Box::new(encrypted), is_http2, is_proxied: false })
    }
}

/// Dials, and encrypts the stream where that is asked for.
async fn reach(
    address: &Address,
    family: Family,
    tls: Option<&Tls>,
    observed: &Observed,
) -> Result<Box<dyn AsyncStream>, ConnectError> {
    let stream = dial(address, family).await.map_err(|error| ConnectError::dial(&error, address))?;
    observed.dialled(stream.peer_or(address));
    match tls {
        None => Ok(Box::new(stream)),
        Some(tls) => Ok(Box::new(encrypt(stream, tls, address).await?)),
    }
}

/// A tunnel through a proxy to the endpoint.
async fn through(
    proxy: &Proxy,
    family: Family,
    endpoint: Uri,
    observed: &Arc<Observed>,
) -> Result<Box<dyn AsyncStream>, ConnectError> {
    let dialler =
        ToProxy { address: proxy.address.clone(), family, tls: proxy.tls.clone(), observed: observed.clone() };
    let mut tunnel = Tunnel::new(Uri::default(), dialler);
    if let Some(login) = &proxy.login {
        tunnel = tunnel.with_auth(HeaderValue::clone(login));
    }
    match tunnel.call(endpoint).await {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => Err(tunnel_failed(&error, &proxy.address)),
    }
}

/// Dials the proxy for a tunnel.
struct ToProxy {
    address: Address,
    family: Family,
    tls: Option<Tls>,
    observed: Arc<Observed>,
}

impl Service<Uri> for ToProxy {
    type Response = TokioIo<Box<dyn AsyncStream>>;
    type Error = NotConnected;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (address, family, tls) = (self.address.clone(), self.family, self.tls.clone());
        let observed = self.observed.clone();
        Box::pin(async move {
            let reached = reach(&address, family, tls.as_ref(), &observed).await;
            reached.map(TokioIo::new).map_err(NotConnected)
        })
    }
}

/// A connection with the traits that the HTTP client needs.
pub struct Channel {
    stream: Box<dyn AsyncStream>,
    is_http2: bool,
    /// Requests name the endpoint, because a proxy reads them.
    is_proxied: bool,
}

impl Connection for Channel {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied);
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
