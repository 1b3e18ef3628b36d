//! One question on the I/O thread, and who is told what became of it.

use std::future::Future;
use std::pin::Pin;

use redis::Value;

use super::Node;
use crate::error::StoreError;
use crate::error_texts::admin as texts;

/// What a question came to.
pub enum Answer {
    /// The servers.
    Nodes(Vec<Node>),
    /// One reply for each command, refusals among them.
    Replies(Vec<Value>),
}

type Tell = Box<dyn FnOnce(Result<Answer, StoreError>) + Send>;

/// Who is told, exactly once, also when the I/O thread ends before there is an answer.
pub struct Done(Option<Tell>);

impl Done {
    /// Calls a function.
    pub fn new(tell: impl FnOnce(Result<Answer, StoreError>) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    /// Tells it.
    pub fn finish(mut self, outcome: Result<Answer, StoreError>) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Result<Answer, StoreError>) {
        if let Some(tell) = self.0.take() {
            tell(outcome);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.tell(Err(texts::interrupted().error()));
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer, StoreError>> + Send>>;

/// A question.
pub struct Job {
    asking: Asking,
    done: Done,
}

impl Job {
    /// What `asking` comes to is told to `done`.
    pub fn new(done: Done, asking: impl Future<Output = Result<Answer, StoreError>> + Send + 'static) -> Self {
        Self { asking: Box::pin(asking), done }
    }

    /// Asks.
    pub async fn run(self) {
        let outcome = self.asking.await;
        self.done.finish(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_question_that_is_dropped_is_answered_with_an_error() {
        let (tell, told) = mpsc::channel();
        let done = |tell: &mpsc::Sender<bool>| {
            let tell = tell.clone();
            Done::new(move |outcome| tell.send(outcome.is_ok()).unwrap())
        };
        drop(Job::new(done(&tell), async { Ok(Answer::Replies(Vec::new())) }));
        assert_eq!(told.try_recv(), Ok(false));
        done(&tell).finish(Ok(Answer::Replies(Vec::new())));
        assert_eq!((told.try_recv(), told.try_recv()), (Ok(true), Err(mpsc::TryRecvError::Empty)));
    }
}
