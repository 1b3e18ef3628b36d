//! Tests of what the error of a call says whose parts ended in different ways.

use super::*;
use crate::store::Operation;
use crate::store::reply::Reply;
use crate::transport::observed::Observed;
use crate::transport::request::Nowhere;
use crate::transport::target::test_target;

type Note = fn(&mut Delivery);

fn failure() -> Result<Reply, Box<StoreError>> {
    Err(Box::new(texts::lost().error()))
}

fn done() -> Result<Reply, Box<StoreError>> {
    Ok(Reply { answer: crate::store::Answer::Nothing, snapshot: None })
}

/// What the error of a disposal says whose parts ended in these ways: done, or failed after these attempts.
fn said_of(parts: [Option<&[Note]>; 3]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let target = test_target();
    let inbox = Inbox::new(Arc::new(Observed::new(&target.settings)));
    let mut router = Router::new(target, inbox);
    let call = Call::new(Operation::Dispose, Arc::default(), b"run".into(), 3, 3);
    let now = Instant::now();
    let request = Request::new(call.clone(), 0, Arc::new(Nowhere));
    let index = router.calls.insert(SplitCall { left: 3, ..SplitCall::new(request, 0, now + Duration::from_secs(1)) });
    for (which, part) in parts.into_iter().enumerate() {
        let mut delivery = Delivery::default();
        part.unwrap_or_default().iter().for_each(|note| note(&mut delivery));
        let outcome = if part.is_none() { done() } else { failure() };
        router.part_done((index << 2 | which) as u32, call.part(ROLES[which]), (outcome, delivery, None), now);
    }
    let finished = router.finished.pop().expect("all parts are back");
    finished.outcome.unwrap_err().message
}

#[test]
fn an_error_covers_all_parts_of_a_call() {
    let (unsent, lost): (&[Note], &[Note]) = (&[], &[Delivery::sent, Delivery::lost]);
    let lost_and_refused: &[Note] = &[Delivery::sent, Delivery::lost, Delivery::sent, Delivery::refused];
    let refused: &[Note] = &[Delivery::sent, Delivery::refused];
    let lost_and =
        |sentence: &str| format!("the connection to Redis was lost and did not come back in time. {sentence}");
    for (parts, says) in [
        ([Some(unsent), Some(unsent), Some(unsent)], lost_and("The command had not been sent, so it was not applied.")),
        ([Some(unsent), None, None], lost_and("Other parts of the call have been applied.")),
        ([Some(unsent), Some(lost), Some(unsent)], lost_and("The command had been sent, so it may have been applied.")),
        ([Some(refused), Some(refused), Some(refused)], texts::lost().into_message()),
        (
            [Some(lost_and_refused), Some(refused), Some(refused)],
            lost_and("It had been sent before without an answer, so it may have been applied."),
        ),
        ([None, Some(lost), None], lost_and("Other parts of the call have been applied.")),
    ] {
        assert_eq!(said_of(parts), says);
    }
}
