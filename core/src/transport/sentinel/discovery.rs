//! Which server is the primary: the sentinels are asked at every connect, and in between they are listened to and asked
//! again now and then, so that a failover is followed at once.
//!
//! They may disagree for a while. The one with the highest configuration epoch is right:
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#configuration-epochs>.
//!
//! The one that leads a failover checks the replica that it has promoted only once a second, and names it as the primary
//! afterwards. Until then the old primary, if it runs, takes writes that will be lost. So the client checks by itself: the leader
//! names the replica it has promoted (`SENTINEL REPLICAS`), and once `ROLE` there is `master`, that is the primary.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use redis::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::config::{Address, Sentinels, Settings, Topology};
use crate::error::{Code, StoreError};
use crate::error_texts::connections as texts;
use crate::transport::error::ConnectError;
use crate::transport::io::AsyncStream;
use crate::transport::probe::{Answers, AuthConfig, Open, ask, error_reply, is_primary, next, replication_role, text};
use crate::transport::protocol::auth::Credentials;
use crate::transport::warning::Warning;

/// The channels on which a sentinel announces a new primary: when it has switched to it, and, if it leads the failover, already
/// when it has promoted the replica, and when the promotion is done.
const CHANNELS: [&str; 3] = ["+switch-master", "+promoted-slave", "+failover-state-wait-promotion"];
/// The time between two rounds of questions while connected, if no sentinel sends a message.
const POLL: Duration = Duration::from_secs(1);
/// The shortest time between two rounds.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
/// How long one round waits for the slower sentinels when one has answered.
const RESPONSE_GRACE: Duration = Duration::from_millis(200);
/// The limit for one sentinel.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a replica that is being promoted is watched until it is the primary.
const PROMOTION_TIMEOUT: Duration = Duration::from_millis(300);
/// How long reports with an older epoch than the known one are ignored. Then no sentinel has that epoch any more: the failover was
/// given up, or the sentinels were set up anew.
const STALE_EPOCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Sentinels that are listened to.
const MAX_LISTENED: usize = 5;
/// Sentinels that are asked; those that only the others name come last.
const MAX_ASKED: usize = 16;

/// The report of one sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelReport {
    primary: Address,
    epoch: u64,
    others: Vec<Address>,
    /// The replica that it has promoted, while it leads a failover.
    promoted: Option<Address>,
}

impl SentinelReport {
    /// The report with the highest rank is believed.
    fn rank(&self) -> (u64, bool) {
        (self.epoch, self.promoted.is_some())
    }
}

fn auth_config(sentinels: &Sentinels) -> AuthConfig {
    AuthConfig {
        family: sentinels.family,
        credentials: Credentials { username: sentinels.username.clone(), password: sentinels.password.clone() },
        tls: sentinels.tls.clone(),
    }
}

/// Asks the sentinels where the primary is, all at once, and adds those they name to the list. `servers` is how to log in
/// to what they name.
///
/// # Errors
/// When none of them answers, or none has a primary of that name.
pub async fn locate(
    sentinels: &mut Sentinels,
    servers: &AuthConfig,
    deadline: Instant,
    warnings: &mut Vec<Warning>,
) -> Result<Address, ConnectError> {
    let (report, others) = consult(sentinels, servers, deadline, warnings).await?;
    learn(sentinels, others);
    sentinels.epoch = report.epoch;
    Ok(report.primary)
}

/// Adds sentinels that are not yet known, unless only those that were given may be asked.
fn learn(sentinels: &mut Sentinels, others: Vec<Address>) {
    if sentinels.only_given {
        return;
    }
    for other in others {
        if sentinels.addresses.len() < MAX_ASKED && !sentinels.addresses.contains(&other) {
            sentinels.addresses.push(other);
        }
    }
}

/// Keeps the sentinels that an earlier connection found.
pub fn remember(sentinels: &mut Sentinels, earlier: &Sentinels) {
    if sentinels.master == earlier.master {
        learn(sentinels, earlier.addresses.clone());
    }
}

/// The report with the highest rank, and all sentinels that any of them names.
async fn consult(
    sentinels: &Sentinels,
    servers: &AuthConfig,
    deadline: Instant,
    warnings: &mut Vec<Warning>,
) -> Result<(SentinelReport, Vec<Address>), ConnectError> {
    let auth_config = auth_config(sentinels);
    let mut open: Open<'_, Result<(SentinelReport, Option<Warning>), ConnectError>> = Vec::new();
    for address in &sentinels.addresses {
        open.push(Box::pin(report_of(address, &auth_config, &sentinels.master)));
    }
    let mut best: Option<SentinelReport> = None;
    let mut others = Vec::new();
    let mut connect_errors = Vec::new();
    let mut until = deadline;
    while !open.is_empty() {
        let Ok(report) = timeout_at(until, next(&mut open)).await else { break };
        match report {
            Ok((mut report, warning)) => {
                warnings.extend(warning);
                others.append(&mut report.others);
                until = until.min(Instant::now() + RESPONSE_GRACE);
                if best.as_ref().is_none_or(|best| best.rank() < report.rank()) {
                    best = Some(report);
                }
            }
            Err(connect_error) => connect_errors.push(connect_error),
        }
    }
    let mut best = best.ok_or_else(|| none_of(sentinels, connect_errors))?;
    if let Some(replica) = best.promoted.take_if(|replica| *replica != best.primary)
        && becomes_primary(&replica, servers, deadline.min(Instant::now() + PROMOTION_TIMEOUT)).await
    {
        // The failover's own epoch is at least this.
        (best.primary, best.epoch) = (replica, best.epoch.saturating_add(1));
    }
    Ok((best, others))
}

/// Whether a server calls itself the primary, now or soon.
async fn becomes_primary(server: &Address, auth_config: &AuthConfig, deadline: Instant) -> bool {
    let watched = timeout_at(deadline, async {
        loop {
            let answers = ask(server, auth_config, &[&["ROLE"]], LIMIT).await;
            match answers.as_ref().map(|answers| answers.replies.as_slice()) {
                Ok([Value::Array(role), ..]) if role.first().is_some_and(is_primary) => return true,
                Ok([Value::ServerError(_), ..]) => {
                    let answers = ask(server, auth_config, &[&["INFO", "replication"]], LIMIT).await;
                    match answers.ok().and_then(|answers| replication_role(answers.replies.first()?)) {
                        Some(role) if role == "master" => return true,
                        Some(_) => sleep(MIN_INTERVAL).await,
                        // Where the user may not ask, the sentinels' report counts.
                        None => return false,
                    }
                }
                Err(ConnectError::Fatal(_)) => return false,
                _ => sleep(MIN_INTERVAL).await,
            }
        }
    });
    watched.await.unwrap_or(false)
}

/// The error when no sentinel named the primary.
fn none_of(sentinels: &Sentinels, connect_errors: Vec<ConnectError>) -> ConnectError {
    let count = sentinels.addresses.len();
    let all_refuse = !connect_errors.is_empty()
        && connect_errors.iter().all(|connect_error| matches!(connect_error, ConnectError::Fatal(_)));
    let reason =
        connect_errors.last().map_or(texts::SENTINELS_DO_NOT_ANSWER, |connect_error| &connect_error.error().message);
    let text = texts::no_primary_known(count, &sentinels.master, reason);
    let last = connect_errors.last().map(|connect_error| connect_error.error().clone());
    let code = last.as_ref().filter(|_| all_refuse).map_or(Code::Connection, |error| error.code);
    let error = StoreError {
        cause: last.as_ref().and_then(|error| error.cause.clone()),
        reply: last.filter(|_| all_refuse).and_then(|error| error.reply),
        ..StoreError { code, ..text.error() }
    };
    if all_refuse { ConnectError::Fatal(error) } else { ConnectError::Transient(error) }
}

/// Asks one sentinel.
async fn report_of(
    address: &Address,
    auth_config: &AuthConfig,
    master: &str,
) -> Result<(SentinelReport, Option<Warning>), ConnectError> {
    let questions: [&[&str]; 4] = [
        &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", master],
        &["SENTINEL", "MASTER", master],
        &["SENTINEL", "SENTINELS", master],
        &["SENTINEL", "REPLICAS", master],
    ];
    let Answers { replies, login_not_needed } = ask(address, auth_config, &questions, LIMIT).await?;
    let warning = login_not_needed.then(|| Credentials::not_needed(address));
    if let Some(error_reply) = replies.first().and_then(error_reply) {
        return Err(ConnectError::handshake(error_reply));
    }
    read_report(&replies)
        .map(|report| (report, warning))
        .ok_or_else(|| ConnectError::Transient(texts::no_such_primary(master).error()))
}

/// Reads the replies of a sentinel.
pub fn read_report(replies: &[Value]) -> Option<SentinelReport> {
    let primary = match replies.first()? {
        Value::Array(pair) => Address::Tcp(text(pair.first()?)?, text(pair.get(1)?)?.parse().ok()?),
        _ => return None,
    };
    let described = replies.get(1);
    let epoch = described.and_then(|reply| field(reply, "config-epoch")?.parse().ok()).unwrap_or(0);
    let others = list(replies.get(2)).iter().filter_map(address).collect();
    let leads = described.is_some_and(|reply| has_flag(reply, "failover_in_progress"));
    let promoted = || list(replies.get(3)).iter().find(|replica| has_flag(replica, "promoted")).and_then(address);
    Some(SentinelReport { primary, epoch, others, promoted: leads.then(promoted).flatten() })
}

/// The entries of a reply; none of what is no list.
fn list(reply: Option<&Value>) -> &[Value] {
    match reply {
        Some(Value::Array(entries)) => entries,
        _ => &[],
    }
}

/// Where a described server is.
fn address(reply: &Value) -> Option<Address> {
    Some(Address::Tcp(field(reply, "ip")?, field(reply, "port")?.parse().ok()?))
}

fn has_flag(reply: &Value, name: &str) -> bool {
    field(reply, "flags").is_some_and(|flags| flags.split(',').any(|flag| flag == name))
}

/// A field of a sentinel's description of a server.
fn field(reply: &Value, name: &str) -> Option<String> {
    match reply {
        Value::Array(flat) => {
            flat.chunks_exact(2).find(|pair| text(&pair[0]).as_deref() == Some(name)).and_then(|pair| text(&pair[1]))
        }
        Value::Map(pairs) => {
            pairs.iter().find(|(key, _)| text(key).as_deref() == Some(name)).and_then(|(_, value)| text(value))
        }
        _ => None,
    }
}

/// Resolves when the sentinels name another primary than the one in use; without sentinels, never.
pub async fn primary_moved(settings: Settings, subscriptions: &mut SentinelSubscriptions) -> ConnectError {
    match &settings.topology {
        Topology::Sentinel(sentinels) => {
            moved(sentinels, &AuthConfig::to_servers(&settings), &settings.address, subscriptions).await
        }
        Topology::Single | Topology::Cluster(_) | Topology::Upstash(_) => std::future::pending().await,
    }
}

/// Resolves when `current` is not the primary any more. Reports with an older epoch than the known one are ignored.
async fn moved(
    sentinels: &Sentinels,
    servers: &AuthConfig,
    current: &Address,
    subscriptions: &mut SentinelSubscriptions,
) -> ConnectError {
    subscriptions.listen_to(sentinels);
    let mut known = sentinels.epoch;
    let mut stale_since = None;
    loop {
        // The warnings were given when the connection was made.
        if let Ok((report, _)) = consult(sentinels, servers, Instant::now() + LIMIT, &mut Vec::new()).await {
            let now = Instant::now();
            if report.epoch >= known || now >= *stale_since.get_or_insert(now) + STALE_EPOCH_TIMEOUT {
                if report.primary != *current {
                    return ConnectError::Transient(texts::primary_changed().error());
                }
                (known, stale_since) = (report.epoch, None);
            }
        }
        subscriptions.pause(POLL).await;
    }
}

/// What listens to the sentinels, for as long as the primary is used or looked for. What is in their messages does not
/// matter: any of them makes all sentinels be asked.
#[derive(Default)]
pub struct SentinelSubscriptions(Vec<Subscription>);

impl SentinelSubscriptions {
    /// Listens to these sentinels from now on.
    pub fn listen_to(&mut self, sentinels: &Sentinels) {
        let auth_config = auth_config(sentinels);
        let addresses = &sentinels.addresses[..sentinels.addresses.len().min(MAX_LISTENED)];
        self.0.retain(|subscription| {
            subscription.auth_config == auth_config && addresses.contains(&subscription.address)
        });
        for address in addresses {
            if !self.0.iter().any(|subscription| subscription.address == *address) {
                self.0.push(listen(address.clone(), auth_config.clone()));
            }
        }
    }

    /// Resolves after a while, or when a sentinel sends a message, but not at once.
    pub async fn pause(&mut self, longest: Duration) {
        let end = Instant::now() + longest;
        sleep(MIN_INTERVAL.min(longest)).await;
        let mut end = Box::pin(sleep_until(end));
        poll_fn(|cx| {
            // All of them are polled, so that messages of two sentinels lead to one round of questions.
            let mut notified = false;
            for subscription in &mut self.0 {
                notified |= subscription.poll(cx);
            }
            if notified || end.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The open subscription, if there is one.
type SubscribedStream = Option<Box<dyn AsyncStream>>;

/// A subscription to one sentinel.
struct Subscription {
    address: Address,
    auth_config: AuthConfig,
    stream: Pin<Box<dyn Future<Output = SubscribedStream> + Send>>,
}

fn listen(address: Address, auth_config: AuthConfig) -> Subscription {
    let stream = Box::pin(subscribe(address.clone(), auth_config.clone(), Duration::ZERO));
    Subscription { address, auth_config, stream }
}

impl Subscription {
    /// Whether the sentinel has sent a message.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut notified = false;
        while let Poll::Ready(stream) = self.stream.as_mut().poll(cx) {
            notified |= stream.is_some();
            self.stream = match stream {
                Some(stream) => Box::pin(next_message(stream)),
                None => Box::pin(subscribe(self.address.clone(), self.auth_config.clone(), POLL)),
            };
        }
        notified
    }
}

/// Subscribes after a pause; `None` when that fails.
async fn subscribe(address: Address, auth_config: AuthConfig, pause: Duration) -> SubscribedStream {
    sleep(pause).await;
    let mut pipeline = redis::Pipeline::new();
    auth_config.credentials.append_to(&mut pipeline);
    for channel in CHANNELS {
        // One by one: an ACL user may not have all of them.
        pipeline.cmd("SUBSCRIBE").arg(channel);
    }
    let attempt = async {
        let (mut stream, _) = auth_config.reach(&address).await.ok()?;
        stream.write_all(&pipeline.get_packed_pipeline()).await.ok()?;
        stream.flush().await.ok()?;
        Some(stream)
    };
    timeout(LIMIT, attempt).await.ok().flatten()
}

/// Waits for a message; `None` when the connection ends.
async fn next_message(mut stream: Box<dyn AsyncStream>) -> SubscribedStream {
    let mut message = [0; 1024];
    match stream.read(&mut message).await {
        Ok(count) if count > 0 => Some(stream),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(reports: &[&str]) -> Value {
        Value::Array(reports.iter().map(|report| Value::BulkString(report.as_bytes().to_vec())).collect())
    }

    #[test]
    fn a_sentinel_names_the_primary_its_epoch_and_the_others() {
        let master = texts(&["name", "main", "config-epoch", "7"]);
        let others = Value::Array(vec![texts(&["name", "x", "ip", "10.0.0.2", "port", "26379"])]);
        let report = read_report(&[texts(&["10.0.0.1", "6379"]), master, others]).unwrap();
        assert_eq!(report.primary, Address::Tcp("10.0.0.1".into(), 6379));
        assert_eq!((report.epoch, report.others), (7, vec![Address::Tcp("10.0.0.2".into(), 26379)]));
        assert_eq!(report.promoted, None);
    }

    #[test]
    fn only_who_leads_a_failover_has_promoted_a_replica() {
        let report = |flags: &str, replica: &str| {
            let master = texts(&["config-epoch", "7", "flags", flags]);
            let replicas = [
                texts(&["ip", "a", "port", "1", "flags", "slave"]),
                texts(&["ip", "b", "port", "2", "flags", replica]),
            ];
            read_report(&[texts(&["h", "1"]), master, Value::Array(vec![]), Value::Array(replicas.into())]).unwrap()
        };
        let leader = report("master,o_down,failover_in_progress", "slave,promoted");
        assert_eq!(leader.promoted, Some(Address::Tcp("b".into(), 2)));
        assert_eq!(report("master,failover_in_progress", "slave").promoted, None);
        assert_eq!(report("master", "slave,promoted").promoted, None);
        // Of two with one epoch, the leader's ranks higher; a higher epoch ranks above both.
        assert!(leader.rank() > report("master", "slave").rank());
        assert!(leader.rank() < SentinelReport { epoch: 8, ..report("master", "slave") }.rank());
    }

    #[test]
    fn a_sentinel_without_that_primary_gives_no_report() {
        assert_eq!(read_report(&[Value::Nil, Value::Nil, Value::Nil]), None);
        assert_eq!(read_report(&[]), None);
        let refused = redis::parse_redis_value(b"-NOPERM no\r\n").unwrap();
        let report = read_report(&[texts(&["h", "1"]), refused.clone(), refused]).unwrap();
        assert_eq!((report.epoch, report.others.len()), (0, 0));
    }
}
