//! When a server is believed not to have answered in time.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

/// Bytes that are read after a deadline before it is believed to have passed without an answer.
const MAX_OVERDUE_BYTES: usize = 16 * 1024 * 1024;

/// Whether something that the server owes is past its time. That is believed only when what its socket held at that moment
/// has been read: it may have answered long ago, while this process was stopped or had no time.
pub enum Overdue {
    /// Nothing is.
    No,
    /// The runtime is asked what has come to its sockets.
    Asking(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// So many bytes have been read since.
    Reading(usize),
}

impl Overdue {
    /// Whether reading tells what has come until now.
    pub fn is_ready(&mut self, is_overdue: bool, cx: &mut Context<'_>) -> bool {
        match self {
            _ if !is_overdue => *self = Overdue::No,
            Overdue::Reading(_) => {}
            Overdue::No => {
                // Goes on behind the runtime's next look at its sockets.
                let mut asking: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(tokio::task::yield_now());
                if asking.as_mut().poll(cx).is_pending() {
                    *self = Overdue::Asking(asking);
                    return false;
                }
                *self = Overdue::Reading(0);
            }
            Overdue::Asking(asking) => {
                if asking.as_mut().poll(cx).is_pending() {
                    return false;
                }
                *self = Overdue::Reading(0);
            }
        }
        true
    }

    /// Counts what was read. Whether there may be more that has to be read first.
    pub fn counts(&mut self, bytes: usize) -> bool {
        let Overdue::Reading(read) = self else { return false };
        *read += bytes;
        let reads_on = bytes > 0 && *read < MAX_OVERDUE_BYTES;
        if !reads_on {
            *self = Overdue::No;
        }
        reads_on
    }
}
