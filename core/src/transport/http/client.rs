//! The HTTP client: a pool of connections, one request at a time on each with HTTP/1.1, all on one with HTTP/2.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Uri};
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::TokioTimer;

use super::connector::{Connector, Endpoint};
use super::encode::Path;
use super::error::NotConnected;
use super::proxy::on_the_way;
use crate::config::{Address, Upstash};
use crate::error_texts::http as texts;
use crate::transport::error::{ConnectError, display_address};
use crate::transport::observed::Observed;
use crate::transport::runtime::Executor;
use crate::transport::target::Target;

/// The largest answer that is kept, in bytes.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long a connection may wait for its next request: load balancers keep them for a minute.
const IDLE: Duration = Duration::from_secs(50);

const ENCODING: HeaderName = HeaderName::from_static("upstash-encoding");
const SYNC_TOKEN: HeaderName = HeaderName::from_static("upstash-sync-token");
/// The longest sync token that is sent back, in bytes. Servers take 8 KiB of headers or more; with a longer one, none of the next requests
/// would be taken.
const MAX_SYNC_TOKEN: usize = 4096;
const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("idioteque-redis/", env!("CARGO_PKG_VERSION")));

/// What a server answered, and what is still to come of it.
pub struct Response {
    /// How it begins.
    pub head: Head,
    body: Limited<Incoming>,
    address: Address,
}

/// How an answer begins.
#[derive(Clone)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// `Retry-After`: when to ask again.
    pub retry_after: Option<Duration>,
    /// What the next request sends to see what this one wrote.
    pub sync_token: Option<HeaderValue>,
}

impl Response {
    /// The next bytes of the body; `None` at its end.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        Poll::Ready(Some(match frame {
            Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
            Err(error) if error.is::<LengthLimitError>() => Err(Failure::TooLarge),
            Err(error) => Err(Failure::Lost(lost(&*error, &self.address))),
        }))
    }
}

/// Why there is no answer.
pub enum Failure {
    /// There was no connection, so nothing was sent.
    NotSent(ConnectError),
    /// The connection was lost; the request may have been carried out.
    Lost(ConnectError),
    /// The answer is larger than [`MAX_ANSWER_BYTES`].
    TooLarge,
}

/// Sends requests to one database.
pub struct Client {
    pool: Pool<Connector, Full<Bytes>>,
    connector: Connector,
    headers: HeaderMap,
    endpoint: Uri,
    url: String,
    address: Address,
}

impl Client {
    /// A client for a database; connects at the first request.
    ///
    /// # Errors
    /// When the environment names a proxy that cannot be used.
    pub fn new(target: &Target, upstash: &Upstash, observed: &Arc<Observed>) -> Result<Self, ConnectError> {
        let settings = &target.settings;
        let proxy = on_the_way(upstash, settings)?;
        let mut headers = HeaderMap::new();
        let sensitive = |text: String| {
            HeaderValue::try_from(text).ok().map(|mut value| {
                value.set_sensitive(true);
                value
            })
        };
        headers.extend(sensitive(format!("Bearer {}", upstash.token.reveal())).map(|value| (AUTHORIZATION, value)));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ENCODING, HeaderValue::from_static("base64"));
        headers.insert(USER_AGENT, OURSELVES);
        if let Some(login) = proxy.as_ref().filter(|_| settings.tls.is_none()).and_then(|proxy| proxy.login.clone()) {
            headers.insert(PROXY_AUTHORIZATION, login);
        }
        let connector = Connector::new(Endpoint {
            address: settings.address.clone(),
            family: settings.family,
            tls: settings.tls.clone(),
            proxy,
            timeout: target.connect_timeout,
            observed: observed.clone(),
        });
        let pool = pool(&connector);
        let endpoint = upstash.url.parse().unwrap_or_default();
        Ok(Self { pool, connector, headers, endpoint, url: upstash.url.clone(), address: settings.address.clone() })
    }

    /// Sends nothing more over the connections that there are. Those with requests under way end with their answers.
    pub fn leave_connections(&mut self) {
        self.pool = pool(&self.connector);
    }

    /// Sends a request.
    pub fn send(
        &self,
        path: Path,
        body: Vec<u8>,
        sync_token: Option<&HeaderValue>,
    ) -> impl Future<Output = Result<Response, Failure>> + Send + 'static {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = format!("{}{}", self.url, path.as_str()).parse().unwrap_or_else(|_| self.endpoint.clone());
        *request.headers_mut() = self.headers.clone();
        if let Some(token) = sync_token {
            request.headers_mut().insert(SYNC_TOKEN, token.clone());
        }
        let answer = self.pool.request(request);
        let address = self.address.clone();
        async move {
            let (head, body) = answer.await.map_err(|error| failure(&error, &address))?.into_parts();
            let head = Head {
                status: head.status.as_u16(),
                retry_after: head.headers.get(RETRY_AFTER).and_then(read_retry_after),
                sync_token: head.headers.get(SYNC_TOKEN).filter(|token| token.len() <= MAX_SYNC_TOKEN).cloned(),
            };
            Ok(Response { head, body: Limited::new(body, MAX_ANSWER_BYTES), address })
        }
    }
}

fn pool(connector: &Connector) -> Pool<Connector, Full<Bytes>> {
    Pool::builder(Executor).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector.clone())
}

/// How long to wait, in seconds. A date says nothing, because its clock and ours may differ.
fn read_retry_after(value: &HeaderValue) -> Option<Duration> {
    let digits = value.to_str().ok()?.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

fn failure(error: &PoolError, address: &Address) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(NotConnected(connect_error)) = error.downcast_ref() {
            return Failure::NotSent(connect_error.clone());
        }
        cause = error.source();
    }
    match error.is_connect() {
        true => Failure::NotSent(lost(error, address)),
        false => Failure::Lost(lost(error, address)),
    }
}

/// A connection that broke, with the innermost reason.
fn lost(error: &(dyn Error + 'static), address: &Address) -> ConnectError {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    ConnectError::Transient(texts::lost(display_address(address)).caused_by(innermost.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_retry_after_says_is_a_time_or_nothing() {
        let read = |text: &'static str| read_retry_after(&HeaderValue::from_static(text));
        assert_eq!(read(" 5 "), Some(Duration::from_secs(5)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        for digits in ["18446744073709551615", "18446744073709551616", "99999999999999999999999999999"] {
            assert_eq!(read(digits), Some(Duration::from_secs(u64::MAX)), "{digits}");
        }
        for nonsense in ["", "-1", "+5", "1.5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
