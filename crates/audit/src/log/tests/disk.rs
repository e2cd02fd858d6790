//! Disks that are full, fail, tear writes, or were set back: what the log refuses, keeps and says.

use bailiwick_core::event::{Parent, ParentRole, Status};

use super::*;
use crate::fixtures::{EIO, ENOSPC};
use crate::wal::recover::RecoverError;
use crate::wal::segment;

#[tokio::test]
async fn the_machines_own_disk_does_too() {
    let bench = Bench::new();
    for _ in 0..2 {
        let disk = Arc::new(SystemDisk);
        let log = Log::open(Options {
            disk,
            min_free: 0,
            ..bench.options()
        })
        .unwrap();
        let before = log.size();
        let answers: Vec<_> = (0..300)
            .map(|_| log.record(event(EventType::TokenIssued), Class::Grant))
            .collect();
        for answer in answers {
            assert!(answer.await.unwrap().index >= before);
        }
    }
    assert_eq!(assert_proven(&bench), 604);
    assert!(bench.dir.path().join("tile/entries/001").exists());
}

#[tokio::test]
async fn a_disk_short_of_space_takes_refusals_and_recovers_by_itself() {
    let bench = Bench::new();
    let log = bench.open();
    grant(&log).await.unwrap();
    bench.disk.free.store(0, Ordering::SeqCst);
    let refused = grant(&log).await.unwrap_err();
    assert_eq!(refused, RecordError::Unavailable(Unavailable::Degraded));
    assert_eq!(refused.code(), Code::AuditUnavailable);
    narrow(&log).await.unwrap();
    assert!(log.is_degraded());
    bench.disk.free.store(u64::MAX, Ordering::SeqCst);
    grant(&log).await.unwrap();
    assert!(!log.is_degraded());
    assert_eq!(
        kinds(&log),
        [
            EventType::LogOpened,
            EventType::TokenIssued,
            EventType::LogDegraded,
            EventType::FenceSet,
            EventType::LogRestored,
            EventType::TokenIssued,
        ]
    );
    drop(log);
    assert_proven(&bench);
}

#[tokio::test]
async fn a_write_that_runs_out_of_space_fails_its_batch_and_nothing_else() {
    let bench = Bench::new();
    let log = bench.open();
    let before = grant(&log).await.unwrap();
    bench.disk.write.store(ENOSPC, Ordering::SeqCst);
    assert_eq!(
        grant(&log).await,
        Err(RecordError::Unavailable(Unavailable::Full))
    );
    // A larger batch leaves more behind than the next one covers by itself.
    let large = log.record(intent(&vec![b'x'; 20_000]), Class::Grant).await;
    assert_eq!(large, Err(RecordError::Unavailable(Unavailable::Full)));
    assert_eq!(
        narrow(&log).await,
        Err(RecordError::Unavailable(Unavailable::Full))
    );
    bench.disk.write.store(0, Ordering::SeqCst);
    let after = grant(&log).await.unwrap();
    assert_eq!(
        (after.index, after.batch),
        (before.index + 2, before.batch + 1),
        "`log.restored` comes between"
    );
    let restored = log
        .directory()
        .entry(before.index + 1)
        .unwrap()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(restored.event.kind, EventType::LogRestored);
    assert_eq!(
        restored.event.change.unwrap().after.unwrap(),
        "1 events could only be counted"
    );
    assert!(bench.aborted.lock().unwrap().is_none());
    drop(log);
    assert_proven(&bench);
    let reopened = bench.open();
    assert!(
        !kinds(&reopened).contains(&EventType::LogRecovered),
        "the refused batch left something behind"
    );
}

#[tokio::test]
async fn what_could_only_be_counted_is_stated_once_each() {
    let bench = Bench::new();
    let log = bench.open();
    grant(&log).await.unwrap();
    bench.disk.free.store(0, Ordering::SeqCst);
    narrow(&log).await.unwrap();
    bench.disk.write.store(ENOSPC, Ordering::SeqCst);
    let tried_again = event(EventType::TaskEnded);
    for lost in [event(EventType::FenceSet), event(EventType::ToolRefused)] {
        for one in [lost.clone(), tried_again.clone(), lost] {
            log.record(one, Class::Narrow).await.unwrap_err();
        }
        grant(&log).await.unwrap_err();
    }
    bench.disk.write.store(0, Ordering::SeqCst);
    bench.disk.free.store(u64::MAX, Ordering::SeqCst);
    // Whoever tried again gets it on record after all.
    log.record(tried_again, Class::Narrow).await.unwrap();
    let said: Vec<_> = leaves(&log.directory())
        .into_iter()
        .filter(|leaf| {
            let kind = leaf.event.kind;
            kind == EventType::LogDegraded || kind == EventType::LogRestored
        })
        .map(|leaf| leaf.event.change.unwrap().after.unwrap())
        .collect();
    assert_eq!(
        said,
        [
            format!("0 bytes free, {} wanted", 1 << 20),
            "2 events could only be counted".to_owned()
        ]
    );
    // What is left at the end is stated at the end, if anything can be.
    bench.disk.free.store(0, Ordering::SeqCst);
    narrow(&log).await.unwrap();
    bench.disk.write.store(ENOSPC, Ordering::SeqCst);
    narrow(&log).await.unwrap_err();
    bench.disk.write.store(0, Ordering::SeqCst);
    log.close();
    let last = leaves(&log.directory()).pop().unwrap().event;
    assert_eq!(last.kind, EventType::LogClosed);
    assert_eq!(
        last.change.unwrap().after.as_deref(),
        Some("1 events could only be counted")
    );
}

#[tokio::test]
async fn any_other_failure_of_the_disk_aborts() {
    for arm in [
        |bench: &Bench| bench.disk.sync.store(EIO, Ordering::SeqCst),
        |bench: &Bench| {
            bench.disk.write.store(EIO, Ordering::SeqCst);
        },
    ] {
        let bench = Bench::new();
        let log = bench.open();
        let acknowledged = grant(&log).await.unwrap();
        arm(&bench);
        assert_eq!(
            grant(&log).await,
            Err(RecordError::Unavailable(Unavailable::Stopped))
        );
        assert!(
            bench
                .aborted
                .lock()
                .unwrap()
                .as_deref()
                .unwrap()
                .contains("cannot be made durable")
        );
        assert_eq!(
            narrow(&log).await,
            Err(RecordError::Unavailable(Unavailable::Stopped))
        );
        drop(log);
        bench.disk.sync.store(0, Ordering::SeqCst);
        bench.disk.write.store(0, Ordering::SeqCst);
        let log = bench.open();
        let entry = log.directory().entry(acknowledged.index).unwrap().unwrap();
        assert_eq!(entry.leaf_hash(), acknowledged.leaf_hash);
        drop(log);
        assert_proven(&bench);
    }
}

#[tokio::test]
async fn a_torn_last_write_is_told_in_the_log() {
    let bench = Bench::new();
    let log = bench.open();
    grant(&log).await.unwrap();
    bench.disk.sync.store(EIO, Ordering::SeqCst);
    // Published or not, the batch whose sync failed was never promised; tear it.
    assert!(grant(&log).await.is_err());
    let end = log.size();
    drop(log);
    bench.disk.sync.store(0, Ordering::SeqCst);
    let path = segment::path(&bench.dir.path().join("wal"), 0);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    let log = bench.open();
    until(&mut log.watch(), |size| *size > end).await;
    assert_eq!(
        kinds(&log)[usize::try_from(end).unwrap()],
        EventType::LogRecovered
    );
    drop(log);
    grant(&bench.open()).await.unwrap();
}

#[tokio::test]
async fn calls_that_a_stop_cut_off_get_a_result_that_says_unknown() {
    let bench = Bench::new();
    let log = bench.open();
    let (answered, lost) = (intent(b"1"), intent(b"2"));
    let mut result = event(EventType::ToolResult);
    result.parents = vec![Parent {
        role: ParentRole::Intent,
        id: answered.id,
    }];
    let lost_id = lost.id;
    for event in [answered, lost, result] {
        log.record(event, Class::Grant).await.unwrap();
    }
    drop(log);
    for _ in 0..2 {
        drop(bench.open());
    }
    let unknown: Vec<Event> = leaves(&Directory::new(bench.dir.path().to_path_buf()))
        .into_iter()
        .map(|leaf| leaf.event)
        .filter(|event| {
            event
                .outcome
                .as_ref()
                .is_some_and(|outcome| outcome.status == Status::Unknown)
        })
        .collect();
    assert_eq!(unknown.len(), 1, "once, whatever the number of restarts");
    assert_eq!(unknown[0].kind, EventType::ToolResult);
    assert_eq!(
        unknown[0].parents,
        [Parent {
            role: ParentRole::Intent,
            id: lost_id
        }]
    );
    assert_eq!(
        unknown[0].outcome.as_ref().unwrap().code.as_deref(),
        Some("node_restart")
    );
    assert_proven(&bench);
}

#[test]
fn a_directory_has_one_writer() {
    let bench = Bench::new();
    let log = bench.open();
    let refused = bench.try_open().err().unwrap();
    assert!(matches!(refused, OpenError::Locked { .. }));
    assert_eq!(refused.code(), Code::LogFenced);
    drop(log);
    bench.open();
}

#[tokio::test]
async fn without_room_for_a_segment_refusals_use_the_reserve() {
    let bench = Bench::new();
    let log = bench.open();
    grant(&log).await.unwrap();
    // Fill the first segment; the spare becomes the second, and no third can be made.
    let value = vec![b'v'; 200 << 10];
    let wal = bench.dir.path().join("wal");
    fs::create_dir(wal.join("spare.tmp")).unwrap();
    let mut last = None;
    for _ in 0..30 {
        last = Some(log.record(intent(&value), Class::Grant).await);
        if last.as_ref().unwrap().is_err() {
            break;
        }
        // That there is no third one is known before the second is full, however busy the machine is.
        log.spare.wait_ready();
    }
    assert_eq!(
        last.unwrap(),
        Err(RecordError::Unavailable(Unavailable::Degraded))
    );
    narrow(&log).await.unwrap();
    fs::remove_dir(wal.join("spare.tmp")).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while grant(&log).await.is_err() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the log did not recover by itself"
        );
        tokio::task::yield_now().await;
    }
    drop(log);
    assert_proven(&bench);
}

#[tokio::test]
async fn a_snapshot_of_yesterday_does_not_open() {
    let bench = Bench::new();
    let log = bench.open();
    grant(&log).await.unwrap();
    drop(log);
    let path = segment::path(&bench.dir.path().join("wal"), 0);
    let yesterday = fs::read(&path).unwrap();
    let log = bench.open();
    grant(&log).await.unwrap();
    drop(log);
    fs::write(&path, yesterday).unwrap();
    let refused = bench.try_open().err().unwrap();
    assert!(
        matches!(
            refused,
            OpenError::Recover(RecoverError::RolledBack {
                signed: 6,
                found: 3
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_checkpoint_that_a_stop_left_empty_is_published_again() {
    let bench = Bench::new();
    drop(bench.open());
    fs::write(bench.dir.path().join("checkpoint"), b"").unwrap();
    drop(bench.open());
    assert_proven(&bench);
}
