//! A new wrapping key: everything is wrapped anew, whatever stops on the way, and the old key opens nothing any more.

use super::*;
use crate::erase::{Erasure, Selector};
use crate::seal::Kek;

fn next(id: u32) -> Kek {
    Kek {
        id,
        key: bailiwick_core::Secret::new([u8::try_from(id).unwrap(); 32]),
    }
}

fn opens(bench: &Bench, receipt: &Receipt, keks: &[Kek]) -> Result<Vec<u8>, Code> {
    let directory = Directory::new(bench.dir.path().to_path_buf());
    let revealed = directory.reveal(receipt.index, keks);
    revealed
        .map(|values| values[0].value.expose().clone())
        .map_err(|error| error.code())
}

async fn fill(log: &Log, count: usize) -> Vec<Receipt> {
    let answers: Vec<_> = (0..count)
        .map(|at| log.record(intent(format!("value {at}").as_bytes()), Class::Grant))
        .collect();
    let mut receipts = Vec::new();
    for answer in answers {
        receipts.push(answer.await.unwrap());
    }
    receipts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_key_opens_nothing_any_more_and_the_new_one_everything() {
    let bench = Bench::new();
    let log = Arc::new(bench.open());
    // A full bundle and an unfinished one.
    let mut receipts = fill(&log, 300).await;
    let backup: Vec<Vec<u8>> = receipts
        .iter()
        .map(|receipt| opens(&bench, receipt, &[kek()]).unwrap())
        .collect();
    // Others go on recording meanwhile.
    let busy = tokio::spawn({
        let log = log.clone();
        async move { fill(&log, 200).await }
    });
    log.rotate_kek(Some(next(4)), "system").await.unwrap();
    receipts.extend(busy.await.unwrap());
    receipts.extend(fill(&log, 3).await);
    for round in 0..2 {
        for (at, receipt) in receipts.iter().enumerate() {
            assert_eq!(
                opens(&bench, receipt, &[kek()]),
                Err(Code::SealLocked),
                "{round}: {at}"
            );
            let value = opens(&bench, receipt, &[next(4)]).unwrap();
            if let Some(before) = backup.get(at) {
                assert_eq!(value, *before, "{round}");
            }
        }
        let on_record = kinds(&log)
            .into_iter()
            .filter(|kind| *kind == EventType::LogKeyRotated);
        assert_eq!(on_record.count(), 1);
        log.close();
    }
    let open = |older_keks| {
        Log::open(Options {
            kek: next(4),
            older_keks,
            ..bench.options()
        })
        .unwrap()
    };
    drop(log);
    // What the tiler had in memory did not bring the old key back, and erasure reaches what was wrapped anew.
    let log = open(Vec::new());
    let gone = &receipts[7];
    log.erase(Erasure {
        selector: Selector::Event(gone.event),
        basis: "request".into(),
        actor: "uid:0".into(),
        asked_by: None,
        besides: 0,
    })
    .await
    .unwrap();
    fill(&log, 300).await;
    log.close();
    assert_eq!(
        opens(&bench, gone, &[next(4), kek()]),
        Err(Code::PayloadErased)
    );
    assert_eq!(opens(&bench, &receipts[8], &[next(4)]).unwrap(), backup[8]);
    assert_proven(&bench);
}

#[tokio::test]
async fn a_change_of_keys_that_a_stop_interrupts_is_finished_by_asking_again() {
    let mut interrupted = 0;
    for steps in (0..).step_by(5) {
        let bench = Bench::new();
        let log = Arc::new(bench.open());
        let receipts = fill(&log, 20).await;
        let size = log.size();
        until(&mut log.published(), |published| *published >= size).await;
        bench.disk.left.store(steps, Ordering::SeqCst);
        let rotating = tokio::spawn({
            let log = log.clone();
            async move { log.rotate_kek(Some(next(4)), "system").await.is_ok() }
        });
        while !rotating.is_finished() && bench.disk.left.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        let closing = log.clone();
        tokio::task::spawn_blocking(move || closing.close())
            .await
            .unwrap();
        let done = rotating.await.unwrap();
        bench.disk.left.store(i64::MAX, Ordering::SeqCst);
        drop(log);
        let log = Log::open(Options {
            kek: next(4),
            older_keks: vec![kek()],
            ..bench.options()
        })
        .unwrap();
        for receipt in &receipts {
            opens(&bench, receipt, &[next(4), kek()]).unwrap();
        }
        if !done {
            interrupted += 1;
            log.rotate_kek(None, "system").await.unwrap();
        }
        for receipt in &receipts {
            opens(&bench, receipt, &[next(4)]).unwrap();
        }
        drop(log);
        assert_proven(&bench);
        if done {
            break;
        }
    }
    assert!(interrupted > 2, "no stop came in the middle");
}
