//! `PING` over the very connection that calls use: who asks, and what becomes of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StoreError;
use crate::error_texts::calls as texts;

/// What becomes of a ping: the time that the server took, or why it did not answer.
pub type Pong = Result<Duration, StoreError>;

/// A ping that has no answer. Dropping it answers it with an error.
pub struct Ping {
    /// When it is given up.
    pub deadline: Instant,
    timeout: Duration,
    answer: Option<Box<dyn FnOnce(Pong) + Send>>,
}

impl Ping {
    /// A ping that is given up after this time, counted from now. `answer` is called once, on whatever thread.
    pub fn new(timeout: Duration, answer: impl FnOnce(Pong) + Send + 'static) -> Self {
        Self { deadline: Instant::now() + timeout, timeout, answer: Some(Box::new(answer)) }
    }

    /// Answers it.
    pub fn answer(mut self, pong: Pong) {
        self.settle(pong);
    }

    /// Its time is over.
    pub fn expire(self, reason: Option<&StoreError>) {
        let sentence = reason.map_or(texts::SERVER_DID_NOT_ANSWER, |error| &error.message);
        let text = texts::ping_given_up(self.timeout.as_millis(), sentence);
        let error = match reason {
            None => text.error(),
            Some(error) => StoreError { message: text.into_message(), ..error.clone() },
        };
        self.answer(Err(error));
    }

    /// One for each of several servers. The slowest of their answers is the answer, or the first error.
    pub fn split(mut self, count: usize) -> Vec<Ping> {
        let (deadline, timeout) = (self.deadline, self.timeout);
        let Some(answer) = self.answer.take() else { return Vec::new() };
        let group = Arc::new(Mutex::new(Group { answer: Some(answer), left: count, slowest: Duration::ZERO }));
        let part = |_| {
            let group = group.clone();
            let answer = move |pong| Group::note(&group, pong);
            Ping { deadline, timeout, answer: Some(Box::new(answer)) }
        };
        (0..count).map(part).collect()
    }

    fn settle(&mut self, pong: Pong) {
        if let Some(answer) = self.answer.take() {
            answer(pong);
        }
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        self.settle(Err(texts::shut_down().error()));
    }
}

/// Several pings with one answer.
struct Group {
    answer: Option<Box<dyn FnOnce(Pong) + Send>>,
    left: usize,
    slowest: Duration,
}

impl Group {
    fn note(group: &Mutex<Group>, pong: Pong) {
        let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
        group.left -= 1;
        let pong = match pong {
            Ok(took) => {
                group.slowest = group.slowest.max(took);
                if group.left > 0 {
                    return;
                }
                Ok(group.slowest)
            }
            Err(error) => Err(error),
        };
        let answer = group.answer.take();
        drop(group);
        if let Some(answer) = answer {
            answer(pong);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn ping() -> (Ping, mpsc::Receiver<Pong>) {
        let (sender, receiver) = mpsc::channel();
        (Ping::new(Duration::from_secs(1), move |pong| sender.send(pong).unwrap()), receiver)
    }

    #[test]
    fn a_ping_is_answered_once_also_when_it_is_dropped() {
        let (dropped, answers) = ping();
        drop(dropped);
        assert!(answers.recv().unwrap().is_err());
        let (answered, answers) = ping();
        answered.answer(Ok(Duration::ZERO));
        assert_eq!((answers.recv().unwrap(), answers.recv().is_err()), (Ok(Duration::ZERO), true));
    }

    #[test]
    fn several_servers_answer_with_the_slowest_time_or_the_first_error() {
        let milliseconds = Duration::from_millis;
        let (whole, answers) = ping();
        for (part, took) in whole.split(3).into_iter().zip([5, 9, 7]) {
            part.answer(Ok(milliseconds(took)));
        }
        assert_eq!(answers.recv().unwrap(), Ok(milliseconds(9)));
        let (whole, answers) = ping();
        let mut parts = whole.split(2).into_iter();
        parts.next().unwrap().expire(None);
        assert!(answers.recv().unwrap().is_err());
        parts.next().unwrap().answer(Ok(Duration::ZERO));
        assert!(answers.recv().is_err(), "one answer only");
    }
}
