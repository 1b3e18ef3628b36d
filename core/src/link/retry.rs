//! Which refusals are worth another try, how long to wait between tries, and what a failure is called.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::time::Duration;

use super::Finished;
use super::pending::Waiting;
use crate::config::Address;
use crate::error::{Code, StoreError};
use crate::store::reply::Refusal;

/// How the server's parser begins its complaints (`networking.c`). Then the connection ends.
const PARSER: &str = "Protocol error: ";
/// How many connections have to end when a call's answer is due, before it may be the cause.
const SUSPICIOUS_LOSSES: u32 = 2;
/// The first pause of such a call; it doubles to 1.6 s, by when a connection counts as a good one.
const SUSPECT_PAUSE: Duration = Duration::from_millis(100);

/// What to do about a server's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was applied and it will pass: try again on the same connection after a pause.
    Retry,
    /// Nothing was applied and this server is the wrong one: resolve the address again, connect, try again.
    Reconnect,
    /// Trying again would not help.
    Report,
}

/// Sorts a refusal. The codes are those of <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>
/// and of the server's sources; one that nobody knows is reported.
pub fn verdict(refusal: &Refusal) -> Verdict {
    match refusal.code.as_str() {
        "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "NOREPLICAS" | "BUSY" => Verdict::Retry,
        "READONLY" | "MASTERDOWN" => Verdict::Reconnect,
        "ERR" if refusal.detail.starts_with("max number of clients") => Verdict::Reconnect,
        _ => Verdict::Report,
    }
}

/// The error for a refusal that is reported, with what to do next where that is known.
pub fn refused(refusal: Refusal) -> StoreError {
    let refusal = in_other_words(refusal);
    let advice = match refusal.code.as_str() {
        "NOAUTH" if refusal.detail.starts_with("Authentication") => ": the server wants a password and none was given",
        "WRONGPASS" => ": check username and password",
        "NOPERM" => ": the ACL user lacks a permission the store needs",
        "WRONGTYPE" => ": the key is used by something else",
        "OOM" => ": raise the server's maxmemory or give the store a ttl",
        "MISCONF" => ": the server cannot persist, see its log",
        "MOVED" | "ASK" => ": another server of a cluster has the key; a cluster is passed as an array of its servers",
        _ => "",
    };
    let message =
        format!("Redis refused the command: {} {}{advice}", refusal.code, refusal.detail.trim_end_matches('.'));
    StoreError { reply: Some(refusal.code), ..StoreError::new(Code::Reply, message) }
}

/// The error for a call that a server refused with its last word before it hung up. `None` when that is worth another try, or
/// does not say what is wrong with the call.
pub fn last_word(refusal: Refusal) -> Option<StoreError> {
    let refusal = in_other_words(refusal);
    // What aborted a transaction was said before, and will be again.
    let tells = refusal.code != "EXECABORT" && !refusal.detail.starts_with(PARSER);
    (tells && verdict(&refusal) == Verdict::Report).then(|| refused(refusal))
}

/// What the server's parser complains about, as the server would say it elsewhere.
fn in_other_words(refusal: Refusal) -> Refusal {
    match refusal.detail.strip_prefix(PARSER) {
        // Until it has the password, it does not even read what is long.
        Some(complaint) if complaint.starts_with("unauthenticated") => {
            Refusal { code: "NOAUTH".into(), detail: "Authentication required".into() }
        }
        Some("invalid bulk length") => {
            let detail = "an id or a result is longer than the server takes (its proto-max-bulk-len)";
            Refusal { detail: detail.into(), ..refusal }
        }
        _ => refusal,
    }
}

/// The error for a call that connections keep ending with.
pub fn ends_connections(losses: u32, bytes: usize) -> StoreError {
    let message = format!(
        "the connection was lost {losses} times when the answer to this call of {bytes} bytes was the next to come: is it \
         more than the server, or a proxy before it, takes?"
    );
    StoreError::new(Code::Connection, message)
}

/// How long a call is kept from the next connection because it may be what ends them: the others have to get through.
pub fn suspect_pause(losses: u32) -> Option<Duration> {
    let doublings = losses.checked_sub(SUSPICIOUS_LOSSES)?;
    Some(SUSPECT_PAUSE.saturating_mul(1 << doublings.min(4)))
}

/// Ends a call that was answered with more than a program can use.
pub fn too_large(waiting: Waiting) -> Finished {
    let call = &waiting.request.call;
    let key = call.key(call.kind.role()).to_bytes();
    let message = format!(
        "the answer about \"{}\" is larger than 512 MB or 16 million values, which is more than can be read at once.",
        String::from_utf8_lossy(&key)
    );
    waiting.give_up(StoreError::new(Code::Reply, message))
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It could not be made, or broke; the next attempt may succeed.
    Passing(StoreError),
    /// The server answered and refused us (credentials, database): whoever waits is told at once.
    Refused(StoreError),
}

impl Trouble {
    /// The error for whoever waited.
    pub fn error(&self) -> &StoreError {
        match self {
            Trouble::Passing(error) | Trouble::Refused(error) => error,
        }
    }

    /// The server refused the handshake.
    pub fn handshake(refusal: Refusal) -> Self {
        match verdict(&refusal) {
            Verdict::Report => Trouble::Refused(refused(refusal)),
            Verdict::Retry | Verdict::Reconnect => Trouble::Passing(refused(refusal)),
        }
    }

    /// No attempt has ended yet.
    pub fn connecting(address: &Address) -> Self {
        Trouble::Passing(StoreError::new(Code::Connection, format!("no connection to {} yet.", place(address))))
    }

    /// Dialling failed.
    pub fn dial(error: &io::Error, address: &Address) -> Self {
        let (name, advice) = match error.kind() {
            io::ErrorKind::ConnectionRefused => ("ECONNREFUSED", ": is Redis running?"),
            io::ErrorKind::TimedOut => ("ETIMEDOUT", ": is the address right, and does a firewall let us through?"),
            io::ErrorKind::HostUnreachable => ("EHOSTUNREACH", ": there is no route to it."),
            io::ErrorKind::NetworkUnreachable => ("ENETUNREACH", ": there is no route to it."),
            io::ErrorKind::PermissionDenied => ("EACCES", ": this process may not open it."),
            io::ErrorKind::NotFound => ("ENOENT", ": there is no such socket, or the host name has no such address."),
            _ => ("cannot connect to", "."),
        };
        let place = place(address);
        Trouble::Passing(StoreError {
            cause: Some(error.to_string()),
            ..StoreError::new(Code::Connection, format!("{name} {place}{advice}"))
        })
    }

    /// There is a connection, and nothing comes over it.
    pub fn silent(address: &Address) -> Self {
        let message =
            format!("{} took the connection but does not answer: is the server stopped or overloaded?", place(address));
        Trouble::Passing(StoreError::new(Code::Timeout, message))
    }

    /// Another server has got the address of a cluster's node.
    pub fn stranger(address: &Address) -> Self {
        let message = format!(
            "another server answers at {}, and not the cluster's node that the cluster's map names there: nothing was sent to it.",
            place(address)
        );
        Trouble::Passing(StoreError::new(Code::Connection, message))
    }

    /// A live client does not say what to connect with.
    pub fn silent_client() -> Self {
        let message = "the client the store was made from does not answer the question for its settings.";
        Trouble::Passing(StoreError::new(Code::Connection, message))
    }

    /// A connection that was in use ended.
    pub fn lost(detail: &str) -> Self {
        Trouble::Passing(StoreError {
            cause: Some(detail.into()),
            ..StoreError::new(Code::Connection, "the connection to Redis was lost and did not come back in time.")
        })
    }
}

pub(super) fn place(address: &Address) -> String {
    match address {
        Address::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Address::Tcp(host, port) => format!("{host}:{port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}

/// The pause before the next attempt: doubles from 50 ms to less than 2 s, so that calls go on within two seconds of the
/// server's return, with jitter so that a fleet does not return in step.
#[derive(Debug)]
pub struct Backoff {
    attempts: u32,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 0, longest: Self::LONGEST }
    }
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_millis(1800);

    /// Where another server may take over at any moment, and somebody tells which: calls go on soon after it has.
    pub fn impatient() -> Self {
        Self { longest: Duration::from_millis(400), ..Self::default() }
    }

    /// The next pause: between half and all of the current step.
    pub fn next(&mut self) -> Duration {
        let step = Self::FIRST.saturating_mul(1 << self.attempts.min(10)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        // A new hasher state is the standard library's source of random bits; a pause needs no better one.
        let random = RandomState::new().build_hasher().finish() as u32;
        step / 2 + (step / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// To be called when an attempt succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_less_than_two_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= Backoff::FIRST / 2 && pauses[0] <= Backoff::FIRST);
        assert!(pauses[10..].iter().all(|pause| *pause >= Backoff::LONGEST / 2 && *pause <= Backoff::LONGEST));
        backoff.reset();
        assert!(backoff.next() <= Backoff::FIRST);
    }

    #[test]
    fn refusals_are_sorted_by_what_helps() {
        let verdict_of = |code: &str, detail: &str| verdict(&Refusal { code: code.into(), detail: detail.into() });
        for code in ["LOADING", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS"] {
            assert_eq!(verdict_of(code, ""), Verdict::Retry, "{code}");
        }
        for code in ["READONLY", "MASTERDOWN"] {
            assert_eq!(verdict_of(code, ""), Verdict::Reconnect, "{code}");
        }
        assert_eq!(verdict_of("ERR", "max number of clients reached"), Verdict::Reconnect);
        for code in ["ERR", "WRONGTYPE", "OOM", "MISCONF", "NOAUTH", "WRONGPASS", "NOPERM", "EXECABORT", "NEWCODE"] {
            assert_eq!(verdict_of(code, ""), Verdict::Report, "{code}");
        }
    }
}
