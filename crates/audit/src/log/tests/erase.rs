//! Erasure takes values and salts out of every file, changes no proof, and is on record first.

use std::collections::BTreeSet;

use super::*;
use crate::erase::{EraseError, Erasure, Job, Selector};
use crate::seal;

fn erasure(selector: Selector) -> Erasure {
    Erasure {
        selector,
        basis: "request 17 under GDPR article 17".into(),
        actor: "uid:0".into(),
        asked_by: None,
        besides: 0,
    }
}

/// An intent of a user.
fn of_user(user: &str, args: &[u8]) -> Event {
    Event {
        user: Some(user.into()),
        ..intent(args)
    }
}

/// Slot and box as they are in the write-ahead log before anything is retired.
fn stored(bench: &Bench, index: u64) -> ([u8; 64], Vec<u8>) {
    let wal = bench.dir.path().join("wal");
    let mut scan = crate::wal::scan::Scan::start_at(&wal, index)
        .unwrap()
        .unwrap();
    loop {
        let batch = scan.next().unwrap().unwrap();
        if batch.commit.size > index {
            let at = usize::try_from(index - batch.opening.first_index).unwrap();
            return (*batch.events[at].slot, batch.events[at].sealed.to_vec());
        }
    }
}

fn assert_nowhere(bench: &Bench, needle: &[u8]) {
    for file in files(bench.dir.path()) {
        let bytes = fs::read(&file).unwrap();
        assert!(
            !bytes.windows(needle.len()).any(|window| window == needle),
            "{}",
            file.display()
        );
    }
}

fn reveal_code(log: &Log, index: u64) -> Code {
    log.directory().reveal(index, &[kek()]).unwrap_err().code()
}

#[tokio::test]
async fn erase_then_verify() {
    let bench = Bench::new();
    let log = bench.open();
    let mut receipts = Vec::new();
    // A full bundle and an unfinished one.
    for at in 0..300 {
        let user = if at % 100 == 7 {
            "usr_alice"
        } else {
            "usr_bob"
        };
        let args = format!("{{\"issue\":{at}}}");
        let event = of_user(user, args.as_bytes());
        receipts.push(log.record(event, Class::Grant).await.unwrap());
    }
    let gone = [7, 107, 207].map(|at| receipts[at].index);
    let before: Vec<_> = gone.map(|index| stored(&bench, index)).into();
    let proofs: Vec<_> = {
        let size = log.size();
        until(&mut log.published(), |published| *published >= size).await;
        gone.map(|index| log.directory().prove(index).unwrap())
            .into()
    };
    let selector = Selector::User("usr_alice".into());
    assert_eq!(log.erasable(&selector).unwrap(), BTreeSet::from(gone));
    let erased = log.erase(erasure(selector)).await.unwrap();
    assert_eq!(erased.count, 3);
    let on_record = log
        .directory()
        .entry(erased.receipt.index)
        .unwrap()
        .unwrap();
    let on_record = on_record.parse().unwrap().event;
    assert_eq!(on_record.kind, EventType::LogErased);
    let change = on_record.change.unwrap();
    assert_eq!(
        change.after.unwrap(),
        "3 events; request 17 under GDPR article 17"
    );
    assert!(!change.id.contains("alice"));

    // Values and keys are in no file, whether the log is open, closed or opened again.
    for _ in 0..2 {
        for (slot, sealed) in &before {
            assert_nowhere(&bench, &slot[4..]);
            assert_nowhere(&bench, sealed);
        }
        for index in gone {
            assert_eq!(reveal_code(&log, index), Code::PayloadErased);
        }
        log.close();
    }
    drop(log);
    let log = bench.open();
    for index in gone {
        assert_eq!(reveal_code(&log, index), Code::PayloadErased);
    }
    for (at, receipt) in receipts.iter().enumerate() {
        let entry = log.directory().entry(receipt.index).unwrap().unwrap();
        assert_eq!(entry.leaf_hash(), receipt.leaf_hash);
        if !gone.contains(&receipt.index) {
            let revealed = log.directory().reveal(receipt.index, &[kek()]).unwrap();
            let value = format!("{{\"issue\":{at}}}");
            assert_eq!(revealed[0].value.expose(), value.as_bytes());
        }
    }
    for proof in proofs {
        proof.verify(&keys()).unwrap();
        let leaf = Leaf::parse(&proof.leaf).unwrap();
        assert_no_guess_fits(&bench, &leaf, proof.index);
    }
    drop(log);
    assert_proven(&bench);
}

/// Somebody who has every file and the node's key, and knows that the value is one of a few, tries each against the commitment.
fn assert_no_guess_fits(bench: &Bench, leaf: &Leaf, index: u64) {
    let mut salts = vec![[0; 32]];
    for file in files(&bench.dir.path().join("keys")) {
        let bytes = fs::read(file).unwrap();
        for slot in bytes.as_chunks::<64>().0 {
            salts.extend(seal::salt_of(&[kek()], leaf, slot, "/args"));
        }
    }
    for guess in 0..400 {
        let value = format!("{{\"issue\":{guess}}}");
        for salt in &salts {
            assert!(
                !seal::discloses(leaf, salt, "/args", value.as_bytes()),
                "{guess} at {index}"
            );
        }
    }
}

#[tokio::test]
async fn a_guess_does_fit_while_the_key_is_there() {
    let bench = Bench::new();
    let log = bench.open();
    let receipt = log.record(intent(b"yes"), Class::Grant).await.unwrap();
    let leaf = log.directory().entry(receipt.index).unwrap().unwrap();
    let leaf = leaf.parse().unwrap();
    let (slot, _) = stored(&bench, receipt.index);
    let salt = seal::salt_of(&[kek()], &leaf, &slot, "/args").unwrap();
    assert!(seal::discloses(&leaf, &salt, "/args", b"yes"));
    assert!(!seal::discloses(&leaf, &salt, "/args", b"no"));
}

#[tokio::test]
async fn an_erasure_that_a_stop_interrupts_is_finished_at_the_next_start() {
    let mut finished_late = 0;
    for steps in (0..).step_by(4) {
        let bench = Bench::new();
        let log = bench.open();
        let receipt = log
            .record(of_user("usr_a", b"1"), Class::Grant)
            .await
            .unwrap();
        let other = log
            .record(of_user("usr_b", b"2"), Class::Grant)
            .await
            .unwrap();
        let size = log.size();
        until(&mut log.published(), |published| *published >= size).await;
        let (slot, sealed) = stored(&bench, receipt.index);
        bench.disk.left.store(steps, Ordering::SeqCst);
        let log = Arc::new(log);
        let erasing = tokio::spawn({
            let log = log.clone();
            async move {
                log.erase(erasure(Selector::User("usr_a".into())))
                    .await
                    .is_ok()
            }
        });
        // It waits for a disk that works again; a stop comes first.
        while !erasing.is_finished() && bench.disk.left.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        let closing = log.clone();
        tokio::task::spawn_blocking(move || closing.close())
            .await
            .unwrap();
        let done = erasing.await.unwrap();
        bench.disk.left.store(i64::MAX, Ordering::SeqCst);
        drop(log);
        let log = bench.open();
        let on_record = kinds(&log).contains(&EventType::LogErased);
        assert!(on_record || !done);
        log.close();
        if on_record {
            finished_late += u64::from(!done);
            assert_nowhere(&bench, &slot[4..]);
            assert_nowhere(&bench, &sealed);
            assert_eq!(reveal_code(&log, receipt.index), Code::PayloadErased);
        } else {
            let revealed = log.directory().reveal(receipt.index, &[kek()]).unwrap();
            assert_eq!(revealed[0].value.expose(), b"1");
        }
        let kept = log.directory().reveal(other.index, &[kek()]).unwrap();
        assert_eq!(kept[0].value.expose(), b"2");
        assert_eq!(Job::read(bench.dir.path()).unwrap(), None);
        assert_proven(&bench);
        if done {
            break;
        }
    }
    assert!(finished_late > 0, "no stop came in the middle");
}

#[tokio::test]
async fn an_erasure_whose_log_ends_right_after_its_event_does_not_wait() {
    let bench = Bench::new();
    let log = bench.open();
    let receipt = log
        .record(of_user("usr_a", b"1"), Class::Grant)
        .await
        .unwrap();
    let mut erasing = Box::pin(log.erase(erasure(Selector::User("usr_a".into()))));
    let before = log.size();
    let mut watch = log.watch();
    // Its event is on record, and it has not been asked to go on when the log's threads end.
    tokio::select! {
        biased;
        _ = watch.wait_for(|size| *size > before) => {}
        done = &mut erasing => panic!("{done:?}"),
    }
    log.close();
    // Where its order came in time it was carried out; where not, the next start does it.
    let done = erasing.await;
    assert!(
        matches!(done, Ok(_) | Err(EraseError::Interrupted)),
        "{done:?}"
    );
    drop(log);
    let log = bench.open();
    log.close();
    assert_eq!(reveal_code(&log, receipt.index), Code::PayloadErased);
}

#[tokio::test]
async fn a_legal_hold_refuses_and_nothing_is_done() {
    let bench = Bench::new();
    let log = bench.open();
    let receipt = log
        .record(of_user("usr_a", b"1"), Class::Grant)
        .await
        .unwrap();
    let nothing = log.erase(erasure(Selector::User("usr_none".into()))).await;
    assert!(matches!(nothing, Err(EraseError::Nothing)));
    drop(log);
    let hold_from = Some(Timestamp::from_secs(1));
    let log = Log::open(Options {
        hold_from,
        ..bench.options()
    })
    .unwrap();
    let refused = log.erase(erasure(Selector::Event(receipt.event))).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, EraseError::Held { index } if index == receipt.index));
    assert_eq!(refused.code(), Code::Held);
    assert!(!kinds(&log).contains(&EventType::LogErased));
    log.directory().reveal(receipt.index, &[kek()]).unwrap();
}

#[tokio::test]
async fn revealing_is_an_event_first() {
    let bench = Bench::new();
    let log = bench.open();
    let receipt = log.record(intent(b"yes"), Class::Grant).await.unwrap();
    let revealed = log.reveal(receipt.index, "uid:0", "incident 4").await;
    assert_eq!(revealed.unwrap()[0].value.expose(), b"yes");
    let last = log.read(0).last().unwrap().unwrap().parse().unwrap().event;
    assert_eq!(last.kind, EventType::LogRevealed);
    assert_eq!(last.cause, Some(receipt.event));
    assert_eq!(last.actor.as_deref(), Some("uid:0"));
    // Where that cannot be recorded nothing is revealed.
    bench.disk.free.store(0, Ordering::SeqCst);
    let refused = log.reveal(receipt.index, "uid:0", "incident 4").await;
    assert_eq!(refused.unwrap_err().code(), Code::AuditUnavailable);
}
