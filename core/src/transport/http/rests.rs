//! Answers that have said everything and have not ended: they are read to their ends, so that their connections can be used again.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::client::Response;

/// How many there are at most. Of more, the oldest is left, with its connection.
const MAX_RESTS: usize = 16;
/// How long an end is waited for.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The answers, oldest first, and until when their ends are waited for. No call waits for them.
#[derive(Default)]
pub struct Rests {
    responses: VecDeque<(Response, Instant)>,
}

impl Rests {
    /// Adds one.
    pub fn add(&mut self, response: Response, now: Instant) {
        if self.responses.len() == MAX_RESTS {
            self.responses.pop_front();
        }
        self.responses.push_back((response, now + MAX_WAIT));
    }

    /// Reads on, and leaves what has ended or is late. Returns how many bytes have come.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> u64 {
        let mut bytes_read = 0;
        self.responses.retain_mut(|(response, ends_at)| {
            loop {
                match response.poll_body(cx) {
                    Poll::Ready(Some(Ok(bytes))) => bytes_read += bytes.len() as u64,
                    Poll::Ready(Some(Err(_)) | None) => return false,
                    Poll::Pending => return now < *ends_at,
                }
            }
        });
        bytes_read
    }

    /// When the first one is left.
    pub fn ends_at(&self) -> Option<Instant> {
        self.responses.front().map(|(_, ends_at)| *ends_at)
    }
}
