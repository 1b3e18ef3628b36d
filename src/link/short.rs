//! A short connection that asks one server a few questions about where the others are.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::guard::Guarded;
use super::retry::Trouble;
use super::stream::dial;
use super::tls::{Objection, encrypt};
use crate::config::{Address, Family, Secret, Settings, Tls};
use crate::store::reply::Refusal;

/// How to reach and log in to the servers that are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The IP versions to use.
    pub family: Family,
    /// ACL user.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// How the connection is encrypted; `None` is plaintext.
    pub tls: Option<Tls>,
}

/// A stream to a server, encrypted or not.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Access {
    /// How to reach the servers themselves.
    pub fn to_servers(settings: &Settings) -> Self {
        Self {
            family: settings.family,
            username: settings.username.clone(),
            password: settings.password.clone(),
            tls: settings.tls.clone(),
        }
    }

    /// Dials a server and encrypts the stream where that is asked for. Returns what the server may object to, too.
    pub async fn reach(&self, address: &Address) -> Result<(Box<dyn Wire>, Objection), Trouble> {
        let stream = dial(address, self.family).await.map_err(|error: io::Error| Trouble::dial(&error, address))?;
        let Some(tls) = &self.tls else { return Ok((Box::new(stream), Objection::default())) };
        let encrypted = encrypt(stream, tls, address).await?;
        let objection = encrypted.objection();
        Ok((Box::new(encrypted), objection))
    }

    /// Adds the login, if there is one, and returns how many replies it brings.
    pub fn log_in(&self, pipeline: &mut Pipeline) -> usize {
        if self.username.is_none() && self.password.is_none() {
            return 0;
        }
        pipeline.cmd("AUTH");
        if let Some(username) = &self.username {
            pipeline.arg(username);
        }
        pipeline.arg(self.password.as_ref().map_or("", Secret::reveal));
        1
    }
}

/// Asks a server and closes the connection. Returns one reply for each question, refusals among them.
///
/// # Errors
/// When it cannot be reached or logged in to, or has not answered within the time limit.
pub async fn ask(
    address: &Address,
    access: &Access,
    questions: &[&[&str]],
    limit: Duration,
) -> Result<Vec<Value>, Trouble> {
    match timeout(limit, converse(address, access, questions)).await {
        Ok(replies) => replies,
        Err(_) => Err(Trouble::silent(address)),
    }
}

async fn converse(address: &Address, access: &Access, questions: &[&[&str]]) -> Result<Vec<Value>, Trouble> {
    let (stream, objection) = access.reach(address).await?;
    let lost = |error: RedisError| objection.trouble(address).unwrap_or_else(|| Trouble::lost(&error.to_string()));
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (stream, owed) = Guarded::new(stream);
    let (mut connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(lost)?;
    let mut pipeline = Pipeline::new();
    let logins = access.log_in(&mut pipeline);
    for question in questions {
        pipeline.cmd(question[0]).arg(&question[1..]);
    }
    owed.ask(pipeline.len());
    let mut replies = drive(&mut connection, driver, &pipeline, lost).await?;
    let answers = replies.split_off(logins.min(replies.len()));
    match replies.first().into_iter().chain(answers.first()).find_map(refusal) {
        Some(refusal) if matches!(refusal.code.as_str(), "NOAUTH" | "WRONGPASS" | "LOADING") => {
            Err(Trouble::handshake(refusal))
        }
        _ => Ok(answers),
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

async fn drive(
    connection: &mut MultiplexedConnection,
    driver: impl Future<Output = ()>,
    pipeline: &Pipeline,
    lost: impl Fn(RedisError) -> Trouble,
) -> Result<Vec<Value>, Trouble> {
    let mut driver = pin!(driver);
    let mut replies = pin!(connection.send_packed_commands(pipeline, 0, pipeline.len()));
    let mut ended = false;
    poll_fn(|cx| {
        if let Poll::Ready(replies) = replies.as_mut().poll(cx) {
            return Poll::Ready(replies.map_err(&lost));
        }
        ended = ended || driver.as_mut().poll(cx).is_ready();
        match replies.as_mut().poll(cx) {
            Poll::Pending if ended => Poll::Ready(Err(Trouble::lost("the server closed the connection"))),
            answer => answer.map_err(&lost),
        }
    })
    .await
}

/// What a reply refuses, if it does.
pub fn refusal(reply: &Value) -> Option<Refusal> {
    match reply {
        Value::ServerError(error) => Some(Refusal::new(error)),
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
