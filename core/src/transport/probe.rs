//! A short connection that asks one server where the others are.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::timeout;

use crate::config::{Address, Family, Settings, Tls};
use crate::store::ErrorReply;
use crate::transport::conversation::{Conversation, Interrupted};
use crate::transport::error::ConnectError;
use crate::transport::io::AsyncStream;
use crate::transport::io::tcp::dial;
use crate::transport::io::tls::{TlsAlert, encrypt, handshake_timeout};
use crate::transport::protocol::auth::{Credentials, Login};
use crate::transport::retry_policy::refuses_connection;

/// How to reach and log in to the servers that are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthConfig {
    /// The IP versions to use.
    pub family: Family,
    /// What to log in with.
    pub credentials: Credentials,
    /// How the connection is encrypted; `None` is plaintext.
    pub tls: Option<Tls>,
}

impl AuthConfig {
    /// How to reach the servers themselves.
    pub fn to_servers(settings: &Settings) -> Self {
        Self { family: settings.family, credentials: Credentials::of(settings), tls: settings.tls.clone() }
    }

    /// Dials a server and encrypts the stream where that is asked for. Returns what the server may object to, too.
    pub async fn reach(&self, address: &Address) -> Result<(Box<dyn AsyncStream>, TlsAlert), ConnectError> {
        let stream =
            dial(address, self.family).await.map_err(|error: io::Error| ConnectError::dial(&error, address))?;
        let Some(tls) = &self.tls else { return Ok((Box::new(stream), TlsAlert::default())) };
        let encrypted = encrypt(stream, tls, address).await?;
        let alert = encrypted.alert();
        Ok((Box::new(encrypted), alert))
    }
}

/// What a server answered.
pub struct Answers {
    /// One reply for each question, refusals among them.
    pub replies: Vec<Value>,
    /// The server wanted no password, and one was sent.
    pub login_not_needed: bool,
}

/// Asks a server and closes the connection.
///
/// # Errors
/// When it cannot be reached or logged in to, or has not answered within the time limit.
pub async fn ask(
    address: &Address,
    auth_config: &AuthConfig,
    questions: &[&[&str]],
    limit: Duration,
) -> Result<Answers, ConnectError> {
    match timeout(limit, converse(address, auth_config, questions)).await {
        Ok(replies) => replies,
        Err(_) if auth_config.tls.is_some() => Err(handshake_timeout(address)),
        Err(_) => Err(ConnectError::unresponsive(address)),
    }
}

async fn converse(address: &Address, auth_config: &AuthConfig, questions: &[&[&str]]) -> Result<Answers, ConnectError> {
    let (logins, mut replies) = match put(address, auth_config, questions).await? {
        (logins, Ok(replies)) => (logins, replies),
        // The first question is the one that matters, and some proxies hang up at commands that they do not know.
        (_, Err(Interrupted { hung_up: true, .. })) if questions.len() > 1 => {
            let (logins, replies) = put(address, auth_config, &questions[..1]).await?;
            (logins, replies?)
        }
        (_, Err(interrupted)) => return Err(interrupted.into()),
    };
    let answers = replies.split_off(logins.min(replies.len()));
    let login = replies.first().map_or(Ok(Login::Accepted), |reply| auth_config.credentials.read(reply));
    let refused = answers.first().and_then(error_reply);
    match (login, refused) {
        (Err(login), _) if matches!(login.code.as_str(), "NOAUTH" | "WRONGPASS" | "LOADING") => {
            Err(ConnectError::handshake(login))
        }
        (Err(login), Some(_)) => Err(ConnectError::handshake(login)),
        (Ok(Login::NotNeeded), Some(refused)) if refused.code == "NOAUTH" => {
            Err(ConnectError::handshake(Credentials::default_user_is_off()))
        }
        (_, Some(refused)) if refused.code == "LOADING" || refuses_connection(&refused) => {
            Err(ConnectError::handshake(refused))
        }
        (login, _) => Ok(Answers { replies: answers, login_not_needed: login == Ok(Login::NotNeeded) }),
    }
}

/// Puts questions over a connection of their own. Returns the number of replies to the login, too.
async fn put(
    address: &Address,
    auth_config: &AuthConfig,
    questions: &[&[&str]],
) -> Result<(usize, Result<Vec<Value>, Interrupted>), ConnectError> {
    let (stream, alert) = auth_config.reach(address).await?;
    let mut pipeline = Pipeline::new();
    let logins = auth_config.credentials.append_to(&mut pipeline);
    for question in questions {
        pipeline.cmd(question[0]).arg(&question[1..]);
    }
    let replies = Conversation::new(stream, address.clone()).ask(&pipeline).await;
    match alert.connect_error(address).filter(|_| replies.is_err()) {
        Some(alerted) => Err(alerted),
        None => Ok((logins, replies)),
    }
}

/// Questions that are under way.
pub type Open<'a, T> = Vec<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// The next answer of any of them, which is not among them any more. There must be one.
pub async fn next<T>(open: &mut Open<'_, T>) -> T {
    let (index, answer) = poll_fn(|cx| {
        let found = open.iter_mut().enumerate().find_map(|(index, question)| match question.as_mut().poll(cx) {
            Poll::Ready(answer) => Some((index, answer)),
            Poll::Pending => None,
        });
        found.map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    drop(open.swap_remove(index));
    answer
}

/// What a reply refuses, if it does.
pub fn error_reply(reply: &Value) -> Option<ErrorReply> {
    match reply {
        Value::ServerError(error) => Some(ErrorReply::new(error)),
        _ => None,
    }
}

/// A reply that is a text.
pub fn text(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// Whether the first word of an answer to `ROLE` is that of a primary.
pub fn is_primary(role: &Value) -> bool {
    matches!(role, Value::BulkString(role) if role == b"master")
}

/// The role in an answer to `INFO replication`: `master` or `slave`.
pub fn replication_role(reply: &Value) -> Option<String> {
    let info = text(reply)?;
    info.lines().find_map(|line| line.strip_prefix("role:")).map(|role| role.trim().to_owned())
}
