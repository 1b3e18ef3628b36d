//! Large results are checked on a thread of its own, so that neither the I/O thread nor a JavaScript thread takes the time.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::{mem, thread};

use super::request::Finished;
use crate::store::Answer;
use crate::store::reply::Results;

/// What is to be checked, for as long as the process runs; `None` where there is no thread to be had. The budgets of the
/// environments bound how much that is.
static CHECKER: OnceLock<Option<Sender<Finished>>> = OnceLock::new();

fn start() -> Option<Sender<Finished>> {
    let (sender, receiver) = channel::<Finished>();
    let run = move || {
        for mut finished in receiver {
            if let Ok(reply) = &mut finished.outcome
                && let Answer::Results(results) = &mut reply.answer
            {
                results.check();
            }
            finished.request.sink.clone().deliver(vec![finished]);
        }
    };
    thread::Builder::new().name("idioteque-check".into()).spawn(run).ok()?;
    Some(sender)
}

/// Takes out what has to be checked: it is delivered when it has been. Where that is impossible it stays, and whoever reads it
/// checks it.
pub fn take_unchecked(finished: &mut Vec<Finished>) {
    if !finished.iter().any(is_unchecked) {
        return;
    }
    let Some(checker) = CHECKER.get_or_init(start) else { return };
    for one in mem::take(finished) {
        match is_unchecked(&one) {
            true => finished.extend(checker.send(one).err().map(|error| error.0)),
            false => finished.push(one),
        }
    }
}

fn is_unchecked(finished: &Finished) -> bool {
    finished.request.route.is_none()
        && matches!(&finished.outcome, Ok(reply) if matches!(&reply.answer, Answer::Results(Results::Unchecked(_))))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::store::answer::SplicedResults;
    use crate::store::splice::splice;
    use crate::store::{Call, Operation, Reply};
    use crate::transport::pending_calls::deliver;
    use crate::transport::request::{CompletionSink, Request};
    use crate::transport::result_budget::ResultBudget;
    use crate::transport::warning::Warning;

    /// Passes on what it gets, and on which thread.
    struct Answers(Mutex<Sender<(thread::ThreadId, u32, Answer)>>);

    impl CompletionSink for Answers {
        fn deliver(&self, batch: Vec<Finished>) {
            for finished in batch {
                let (token, answer) = (finished.request.token, finished.outcome.ok().map(|reply| reply.answer));
                let all = (thread::current().id(), token, answer.unwrap_or(Answer::Nothing));
                let _ = self.0.lock().unwrap().send(all);
            }
        }

        fn warn(&self, _: Warning) {}

        fn closed(&self, _: u32) {}

        fn result_budget(&self) -> Option<&Arc<ResultBudget>> {
            None
        }
    }

    #[test]
    fn large_results_are_checked_on_another_thread_and_others_do_not_wait() {
        let (sender, answers) = channel();
        let sink = Arc::new(Answers(Mutex::new(sender)));
        let finished = |token, answer| {
            let call = Call::new(Operation::GetResults, Arc::default(), b"id".into(), 2, 2);
            Request::new(call, token, sink.clone()).finish(Ok(Reply { answer, snapshot: None }))
        };
        let large = format!("[{}1]", "1,".repeat(1024 * 1024));
        let results = splice([(b"task".as_slice(), large.as_bytes())]);
        assert!(matches!(results, Results::Unchecked(_)));
        deliver(&mut vec![finished(1, Answer::Results(results)), finished(2, Answer::Flag(true))]);
        let next = || answers.recv_timeout(Duration::from_secs(10)).unwrap();
        let mut both = [next(), next()];
        both.sort_by_key(|(_, token, _)| *token);
        let [checked, other] = both;
        assert_eq!(
            checked.2,
            Answer::Results(Results::Spliced(SplicedResults::whole(format!("{{\"task\":{large}}}").into_bytes())))
        );
        assert!(checked.0 != thread::current().id() && other.0 == thread::current().id());
    }
}
