//! The queue's bounds: events, bytes, the wait, and what one batch takes.

use bailiwick_core::Id;

use super::batch::{SLOT, Stored};
use super::*;

fn pending(leaf: usize) -> (Pending, oneshot::Receiver<Result<Receipt, RecordError>>) {
    let (answer, waiting) = oneshot::channel();
    let pending = Pending {
        id: Id::from_bits(1),
        class: Class::Grant,
        hlc: Hlc(1),
        frame: EventFrame::new(Stored {
            leaf: &vec![0; leaf],
            slot: &[0; SLOT],
            sealed: &[],
        }),
        leaf_hash: Digest([0; 32]),
        answer: Some(answer),
    };
    (pending, waiting)
}

#[tokio::test]
async fn a_queue_that_stays_full_for_a_second_refuses() {
    let queue = Queue::new(MAX_BATCH_BYTES);
    for _ in 0..MAX_QUEUED {
        queue.try_push(pending(1).0).unwrap();
    }
    let (one_more, waiting) = pending(1);
    let one_more = queue.try_push(one_more).unwrap_err();
    queue.push(one_more).await;
    assert_eq!(
        waiting.await.unwrap(),
        Err(RecordError::Unavailable(Unavailable::Busy))
    );
    assert_eq!(
        queue.refused().count(),
        0,
        "a grant that was refused is no loss"
    );
    // What narrows authority has happened all the same, and is counted.
    for _ in 0..2 {
        let (mut narrowing, _waiting) = pending(1);
        narrowing.class = Class::Narrow;
        let narrowing = queue.try_push(narrowing).unwrap_err();
        queue.push(narrowing).await;
    }
    assert_eq!(queue.refused().count(), 1);
    assert!(queue.take().is_some());
    queue.try_push(pending(1).0).unwrap();
}

#[tokio::test]
async fn bytes_are_bounded_too_and_room_wakes_who_waits() {
    let queue = Queue::new(MAX_BATCH_BYTES);
    let mut count = 0;
    while queue.try_push(pending(60_000).0).is_ok() {
        count += 1;
    }
    assert!(count < MAX_QUEUED && count * 60_000 <= MAX_QUEUED_BYTES as usize);
    let (waiting_for_room, _answer) = pending(60_000);
    let waiting_for_room = Box::new(waiting_for_room);
    let ((), taken) = tokio::join!(queue.push(waiting_for_room), async {
        queue.take().unwrap().len()
    });
    let mut total = taken;
    queue.close();
    while let Some(batch) = queue.take() {
        total += batch.len();
    }
    assert_eq!(total, count + 1);
}

#[test]
fn a_batch_takes_what_fits_and_at_least_one() {
    let queue = Queue::new(200 << 10);
    for _ in 0..10 {
        queue.try_push(pending(60_000).0).unwrap();
    }
    assert_eq!(queue.take().unwrap().len(), 3);
    let queue = Queue::new(1);
    queue.try_push(pending(1_000).0).unwrap();
    assert_eq!(queue.take().unwrap().len(), 1);
    let queue = Queue::new(MAX_BATCH_BYTES);
    for _ in 0..MAX_BATCH_EVENTS + 10 {
        queue.try_push(pending(1).0).unwrap();
    }
    assert!(queue.take().unwrap().len() <= MAX_BATCH_EVENTS - OWN_EVENTS);
}

#[tokio::test]
async fn a_closed_queue_hands_out_what_waits_and_takes_nothing_more() {
    let queue = Queue::new(MAX_BATCH_BYTES);
    queue.try_push(pending(1).0).unwrap();
    queue.close();
    let (late, waiting) = pending(1);
    let late = queue.try_push(late).unwrap_err();
    queue.push(late).await;
    assert_eq!(
        waiting.await.unwrap(),
        Err(RecordError::Unavailable(Unavailable::Stopped))
    );
    assert_eq!(queue.take().unwrap().len(), 1);
    assert!(queue.take().is_none());
}
