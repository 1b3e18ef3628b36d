//! Name resolution, and what else blocks: each on a thread of its own, so that the I/O thread does not wait, and nobody waits for
//! a place in somebody's pool of threads. That no thread can be had is an error, after which one tries again.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::error_texts::connections as texts;

/// Host names that are being looked up at the same time. The system gives each up after some ten seconds.
const MAX_LOOKUPS: usize = 32;

type Answer = Result<Vec<SocketAddr>, LookupError>;

/// What the system says of a host name that it finds no address for. Inside the [`io::Error`], because none of its kinds says that it
/// was the name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LookupError(String);

impl Display for LookupError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for LookupError {}

/// Whether it was the name that no address was found for.
pub fn is_lookup_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<LookupError>)
}

/// The look-ups under way, and who waits for them.
static LOOKUPS: Mutex<Vec<Lookup>> = Mutex::new(Vec::new());

struct Lookup {
    host: String,
    waiting: Vec<oneshot::Sender<Answer>>,
}

fn lookups() -> MutexGuard<'static, Vec<Lookup>> {
    LOOKUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The addresses of a host name. All who ask for the same one at the same time share a look-up.
///
/// # Errors
/// What the system says, or that it cannot be asked just now.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses =
        join(host)?.await.map_err(|_| io::Error::other(texts::LOOKUP_ENDED))?.map_err(io::Error::other)?;
    addresses.iter_mut().for_each(|address| address.set_port(port));
    Ok(addresses)
}

/// Joins the look-up of a host name that is under way, or begins one.
fn join(host: &str) -> io::Result<oneshot::Receiver<Answer>> {
    let (sender, answer) = oneshot::channel();
    let mut lookups = lookups();
    if let Some(lookup) = lookups.iter_mut().find(|lookup| lookup.host == host) {
        lookup.waiting.retain(|waiting| !waiting.is_closed());
        lookup.waiting.push(sender);
        return Ok(answer);
    }
    if lookups.len() >= MAX_LOOKUPS {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, texts::TOO_MANY_LOOKUPS));
    }
    let entry = Entry(host.to_owned());
    on_thread(move || {
        let addresses = look_up(&entry.0);
        entry.answer(&addresses.map_err(|error| LookupError(error.to_string())));
    })?;
    lookups.push(Lookup { host: host.to_owned(), waiting: vec![sender] });
    Ok(answer)
}

#[cfg(not(test))]
fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    (host, 0).to_socket_addrs().map(Vec::from_iter)
}

/// In tests, a host name may be a list of addresses.
#[cfg(test)]
fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    host.split(',')
        .map(|host| (host, 0).to_socket_addrs().map(Vec::from_iter))
        .collect::<Result<Vec<_>, _>>()
        .map(|all| all.concat())
}

/// The place of a host name among the look-ups.
struct Entry(String);

impl Entry {
    /// Gives the place back and the answer to those who wait for it.
    fn answer(self, answer: &Answer) {
        let mut lookups = lookups();
        let Some(place) = lookups.iter().position(|lookup| lookup.host == self.0) else { return };
        let waiting = lookups.swap_remove(place).waiting;
        drop(lookups);
        for waiting in waiting {
            // Whoever has stopped waiting need not know.
            let _ = waiting.send(answer.clone());
        }
    }
}

/// Runs something that blocks, and resolves with what it returns.
///
/// # Errors
/// When there is no thread to be had.
pub async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, outcome) = oneshot::channel();
    on_thread(move || drop(sender.send(work())))?;
    outcome.await.map_err(|_| io::Error::other(texts::THREAD_ENDED))
}

fn on_thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("idioteque-redis-blocking".into()).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_name_is_looked_up_and_its_place_given_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let addresses = runtime.block_on(resolve("localhost", 6379)).unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 6379));
        assert!(!addresses.is_empty());
        let literal = runtime.block_on(resolve("127.0.0.1", 1)).unwrap();
        assert_eq!(literal, [SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 1)]);
        assert!(runtime.block_on(resolve("no such host", 1)).is_err_and(|error| is_lookup_error(&error)));
        assert!(!lookups().iter().any(|lookup| ["localhost", "127.0.0.1", "no such host"].contains(&&*lookup.host)));
        assert_eq!(runtime.block_on(off_thread(|| 7)).unwrap(), 7);
    }

    #[test]
    fn whoever_asks_for_the_same_name_shares_its_look_up_and_their_number_is_bounded() {
        let add = |host: String| lookups().push(Lookup { host, waiting: Vec::new() });
        (0..MAX_LOOKUPS).for_each(|number| add(format!("busy-{number}.invalid")));
        let refused = join("another.invalid").map(drop).map_err(|error| error.kind());
        let mut shared = join("busy-0.invalid").unwrap();
        let answer = Ok(vec![SocketAddr::from(([10, 0, 0, 1], 0))]);
        (0..MAX_LOOKUPS).for_each(|number| Entry(format!("busy-{number}.invalid")).answer(&answer));
        assert_eq!(refused, Err(io::ErrorKind::WouldBlock));
        assert_eq!(shared.try_recv(), Ok(answer));
    }
}
