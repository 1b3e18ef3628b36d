use super::*;
use crate::store::Operation;
use crate::store::reply::Reply;
use crate::transport::request::Nowhere;
use crate::transport::target::test_target;

type Note = fn(&mut Delivery);

fn failure() -> Result<Reply, Box<StoreError>> {
    Err(Box::new(StoreError::new(Code::Connection, "the connection was lost.")))
}

fn done() -> Result<Reply, Box<StoreError>> {
    Ok(Reply { answer: crate::store::Answer::Nothing, snapshot: None })
}

/// What the error of a disposal says whose parts ended in these ways: done, or failed after these attempts.
fn said_of(parts: [Option<&[Note]>; 3]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let mut router = Router::new(test_target(), Arc::default());
    let call = Call::new(Operation::Dispose, Arc::default(), b"run".into(), 3, 3);
    let now = Instant::now();
    let request = Request::new(call.clone(), 0, Arc::new(Nowhere));
    let index = router.calls.insert(Entry { left: 3, ..Entry::new(request, 0, now + Duration::from_secs(1)) });
    for (which, part) in parts.into_iter().enumerate() {
        let mut delivery = Delivery::default();
        part.unwrap_or_default().iter().for_each(|note| note(&mut delivery));
        let outcome = if part.is_none() { done() } else { failure() };
        router.settle((index << 2 | which) as u32, call.part(ROLES[which]), (outcome, delivery, None), now);
    }
    let finished = router.finished.pop().expect("all parts are back");
    finished.outcome.unwrap_err().message
}

#[test]
fn an_error_covers_all_parts_of_a_call() {
    let (unsent, lost): (&[Note], &[Note]) = (&[], &[Delivery::sent, Delivery::lost]);
    let lost_and_refused: &[Note] = &[Delivery::sent, Delivery::lost, Delivery::sent, Delivery::refused];
    let refused: &[Note] = &[Delivery::sent, Delivery::refused];
    for (parts, says) in [
        (
            [Some(unsent), Some(unsent), Some(unsent)],
            "the connection was lost. The command had not been sent, so it was not applied.",
        ),
        ([Some(unsent), None, None], "the connection was lost. Other parts of the call have been applied."),
        (
            [Some(unsent), Some(lost), Some(unsent)],
            "the connection was lost. The command had been sent, so it may have been applied.",
        ),
        ([Some(refused), Some(refused), Some(refused)], "the connection was lost."),
        (
            [Some(lost_and_refused), Some(refused), Some(refused)],
            "the connection was lost. It had been sent before without an answer, so it may have been applied.",
        ),
        ([None, Some(lost), None], "the connection was lost. Other parts of the call have been applied."),
    ] {
        assert_eq!(said_of(parts), says);
    }
}
