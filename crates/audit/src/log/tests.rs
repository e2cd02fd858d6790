//! The log as the rest of Bailiwick sees it: receipts, order, many writers, followers, sealed values.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering;

use bailiwick_core::event::EventType;
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault};

use super::*;
use crate::fixtures::{Bench, JumpingClock, event, files, intent, kek, keys};
use crate::leaf::Leaf;
use crate::record::Receipt;
use crate::seal::RevealError;
use crate::verify::{Verdict, verify};

mod bounds;
mod clock;
mod disk;
mod erase;
mod keks;
mod retention;
mod retire;
mod scrub;
mod standing;
mod upkeep;

fn kinds(log: &Log) -> Vec<EventType> {
    log.read(0)
        .map(|entry| entry.unwrap().parse().unwrap().event.kind)
        .collect()
}

fn leaves(directory: &Directory) -> Vec<Leaf> {
    directory
        .entries(0)
        .map(|entry| entry.unwrap().parse().unwrap())
        .collect()
}

async fn grant(log: &Log) -> Result<Receipt, RecordError> {
    log.record(event(EventType::TokenIssued), Class::Grant)
        .await
}

async fn narrow(log: &Log) -> Result<Receipt, RecordError> {
    log.record(event(EventType::FenceSet), Class::Narrow).await
}

async fn until<T: Send + Sync>(receiver: &mut watch::Receiver<T>, wanted: impl FnMut(&T) -> bool) {
    tokio::time::timeout(Duration::from_secs(20), receiver.wait_for(wanted))
        .await
        .unwrap()
        .unwrap();
}

fn assert_proven(bench: &Bench) -> u64 {
    match verify(bench.dir.path(), &keys()) {
        Verdict::Proven(report) => {
            assert_eq!(
                report.wal_size,
                Some(report.checkpoint.size),
                "closing publishes everything"
            );
            report.checkpoint.size
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_writers_get_dense_indexes_and_true_receipts() {
    let bench = Bench::new();
    let log = Arc::new(bench.open());
    let mut writers = Vec::new();
    for writer in 0..64 {
        let log = log.clone();
        writers.push(tokio::spawn(async move {
            let mut receipts = Vec::new();
            for call in 0..10 {
                let class = if call % 2 == 0 {
                    Class::Grant
                } else {
                    Class::Narrow
                };
                receipts.push(
                    log.record(intent(format!("{writer}/{call}").as_bytes()), class)
                        .await
                        .unwrap(),
                );
            }
            receipts
        }));
    }
    let mut receipts = Vec::new();
    for writer in writers {
        let mine = writer.await.unwrap();
        assert!(
            mine.is_sorted_by_key(|receipt| receipt.index),
            "one writer's events keep their order"
        );
        receipts.extend(mine);
    }
    let indexes: BTreeSet<u64> = receipts.iter().map(|receipt| receipt.index).collect();
    // Index 0 is the log's own `log.opened`.
    assert_eq!(indexes, (1..=640).collect());
    assert!(
        receipts
            .iter()
            .map(|receipt| receipt.batch)
            .collect::<BTreeSet<_>>()
            .len()
            < 640,
        "no group commit"
    );
    for receipt in &receipts {
        let entry = log.directory().entry(receipt.index).unwrap().unwrap();
        assert_eq!(entry.leaf_hash(), receipt.leaf_hash);
        assert_eq!(entry.parse().unwrap().event.id, receipt.event);
        assert_eq!(&*receipt.origin, log.origin());
    }
    drop(log);
    assert_eq!(assert_proven(&bench), 642);
}

#[tokio::test]
async fn a_restart_continues_the_same_log() {
    let bench = Bench::new();
    let mut ids: Vec<EventId> = Vec::new();
    for run in 0..3 {
        let log = bench.open();
        for _ in 0..5 {
            let receipt = grant(&log).await.unwrap();
            ids.push(receipt.event);
            assert_eq!(receipt.index, run * 7 + 1 + (ids.len() as u64 - 1) % 5);
        }
    }
    let leaves = leaves(&Directory::new(bench.dir.path().to_path_buf()));
    let recorded: Vec<EventId> = leaves
        .iter()
        .filter(|leaf| leaf.event.kind == EventType::TokenIssued)
        .map(|leaf| leaf.event.id)
        .collect();
    assert_eq!(recorded, ids);
    assert_eq!(assert_proven(&bench), 21);
    assert_eq!(leaves.first().unwrap().event.kind, EventType::LogOpened);
    assert_eq!(leaves.last().unwrap().event.kind, EventType::LogClosed);
    assert!(leaves.is_sorted_by_key(|leaf| leaf.hlc));
}

#[tokio::test]
async fn dropping_the_answer_does_not_take_the_event_back() {
    let bench = Bench::new();
    let log = bench.open();
    let event = event(EventType::ToolRefused);
    let id = event.id;
    drop(log.record(event, Class::Narrow));
    grant(&log).await.unwrap();
    assert_eq!(log.directory().find(id).unwrap().unwrap().index, 1);
}

#[tokio::test]
async fn an_event_over_the_size_of_a_leaf_is_refused_and_names_the_member() {
    let bench = Bench::new();
    let log = bench.open();
    let mut large = event(EventType::ToolIntent);
    large.actor = Some("a".repeat(66_000));
    let refused = log.record(large, Class::Grant).await.unwrap_err();
    assert!(
        matches!(&refused, RecordError::TooLarge { field, bytes } if field == "actor" && *bytes > 66_000),
        "{refused:?}"
    );
    assert_eq!(refused.code(), Code::EventTooLarge);
    assert_eq!(
        grant(&log).await.unwrap().index,
        1,
        "the refused event took no place"
    );
}

#[tokio::test]
async fn the_largest_leaf_that_fits_is_stored_whole() {
    let bench = Bench::new();
    let log = bench.open();
    let mut large = event(EventType::ToolIntent);
    large.actor = Some(String::new());
    let overhead = log
        .encoder
        .encode(large.clone(), Class::Grant)
        .unwrap()
        .frame
        .stored()
        .unwrap()
        .leaf
        .len();
    large.actor = Some("a".repeat(crate::leaf::MAX_LEAF - overhead));
    let receipt = log.record(large.clone(), Class::Grant).await.unwrap();
    assert_eq!(
        log.directory()
            .entry(receipt.index)
            .unwrap()
            .unwrap()
            .leaf
            .len(),
        crate::leaf::MAX_LEAF
    );
    large.actor.as_mut().unwrap().push('a');
    assert!(matches!(
        log.record(large, Class::Grant).await,
        Err(RecordError::TooLarge { .. })
    ));
    drop(log);
    assert_proven(&bench);
}

#[tokio::test]
async fn logical_time_never_falls_whatever_the_clock_does() {
    let clock = Arc::new(JumpingClock::at(1_700_000_000_000_000));
    let mut bench = Bench::new();
    bench.clock = clock.clone();
    for jump in [0, 3_600, -3_600, -86_400, 0] {
        let log = bench.open();
        for _ in 0..3 {
            grant(&log).await.unwrap();
            clock.jump(jump * 1_000_000);
        }
    }
    let leaves = leaves(&Directory::new(bench.dir.path().to_path_buf()));
    // What the log says about the clock is stamped by another thread than the rest.
    let (own, rest): (Vec<_>, Vec<_>) = leaves
        .iter()
        .partition(|leaf| leaf.event.kind == EventType::LogClockAnomaly);
    assert_eq!(rest.len(), 25);
    assert!(rest.is_sorted_by(|earlier, later| earlier.hlc < later.hlc));
    assert!(own.is_sorted_by(|earlier, later| earlier.hlc < later.hlc));
    assert!(
        !leaves.is_sorted_by_key(|leaf| leaf.ts),
        "the wall clock is recorded as it was"
    );
}

#[tokio::test]
async fn a_follower_sees_each_event_once_it_is_durable() {
    let bench = Bench::new();
    let log = bench.open();
    let mut watch = log.watch();
    let mut reader = log.read(0);
    let mut seen = Vec::new();
    for _ in 0..300 {
        let receipt = grant(&log).await.unwrap();
        until(&mut watch, |size| *size > receipt.index).await;
        seen.extend(reader.by_ref().map(|entry| entry.unwrap().index));
        assert_eq!(reader.position(), receipt.index + 1);
    }
    assert_eq!(seen, (0..=300).collect::<Vec<u64>>());
    assert!(reader.next().is_none());
}

#[tokio::test]
async fn a_running_log_is_read_proved_and_verified_without_its_lock() {
    let bench = Bench::new();
    let log = bench.open();
    let mut published = log.published();
    for _ in 0..600 {
        let receipt = grant(&log).await.unwrap();
        if receipt.index % 50 == 0 {
            until(&mut published, |size| *size > receipt.index).await;
            let offline = Directory::new(bench.dir.path().to_path_buf());
            let proof = offline.prove(receipt.index).unwrap();
            let checkpoint = crate::proof::Proof::parse(&proof.to_string())
                .unwrap()
                .verify(&keys())
                .unwrap();
            assert!(checkpoint.size > receipt.index);
            let verdict = verify(bench.dir.path(), &keys());
            assert_eq!(verdict.exit_code(), 0, "{verdict:?}");
        }
    }
}

#[tokio::test]
async fn closing_writes_what_waits_and_then_refuses() {
    let bench = Bench::new();
    let log = bench.open();
    let waiting: Vec<_> = (0..100)
        .map(|_| log.record(event(EventType::ToolResult), Class::Grant))
        .collect();
    log.close();
    for answer in waiting {
        answer.await.unwrap();
    }
    assert_eq!(
        grant(&log).await,
        Err(RecordError::Unavailable(Unavailable::Stopped))
    );
    assert_eq!(kinds(&log).last(), Some(&EventType::LogClosed));
    assert_proven(&bench);
}

#[tokio::test]
async fn no_sealed_value_is_in_the_clear_anywhere() {
    let bench = Bench::new();
    let log = bench.open();
    let canary = b"canary-5b1f-in-the-arguments";
    let kept = log.record(intent(canary), Class::Grant).await.unwrap();
    let mut secret = intent(canary);
    secret.sealed[0].class = bailiwick_core::event::SealedClass::Secret;
    let secret = log.record(secret, Class::Grant).await.unwrap();
    assert_eq!(
        log.directory().reveal(kept.index, &[kek()]).unwrap()[0]
            .value
            .expose(),
        canary
    );
    let reveal = log.directory().reveal(secret.index, &[kek()]).unwrap_err();
    assert!(
        matches!(reveal, crate::read::ReadError::Reveal(RevealError::NotKept)),
        "a secret is never kept"
    );
    drop(log);
    let all = files(bench.dir.path());
    assert!(all.len() > 4);
    for file in all {
        let bytes = fs::read(&file).unwrap();
        assert!(
            !bytes.windows(canary.len()).any(|window| window == canary),
            "{}",
            file.display()
        );
    }
}

#[test]
fn segment_sizes_that_cannot_work_are_refused() {
    let bench = Bench::new();
    for segment_size in [0, 4096, MIN_SEGMENT - 4096, MIN_SEGMENT + 1] {
        let refused = Log::open(Options {
            segment_size,
            ..bench.options()
        })
        .err()
        .unwrap();
        assert!(matches!(refused, OpenError::SegmentSize { given } if given == segment_size));
    }
}

#[tokio::test]
async fn an_unpublished_event_is_not_proven_by_an_older_checkpoint() {
    let bench = Bench::new();
    let log = Log::open(Options {
        publish_every: Duration::from_hours(1),
        ..bench.options()
    })
    .unwrap();
    let mut published = log.published();
    until(&mut published, |size| *size > 0).await;
    let mut last = grant(&log).await.unwrap();
    while last.index < *published.borrow() {
        last = grant(&log).await.unwrap();
    }
    let refused = log.directory().prove(last.index).unwrap_err();
    assert!(
        matches!(refused, crate::proof::ProveError::Unpublished { index } if index == last.index),
        "{refused:?}"
    );
    let nothing: Option<Digest> = log
        .directory()
        .entry(last.index + 1)
        .unwrap()
        .map(|entry| entry.leaf_hash());
    assert_eq!(nothing, None);
}
