//! A log that was damaged before its last commit: what a cut takes, what it leaves, and what it refuses.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick_core::event::EventType;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::fixtures::{Bench, event, files, intent, kek, keys};
use crate::log::Log;
use crate::read::Directory;
use crate::record::{Class, Recorder};
use crate::verify::{Verdict, verify};
use crate::wal::batch;

/// A log that stopped hard with `signed` of its events under a checkpoint and 300 more behind it, in batches of one.
async fn stopped(signed: usize) -> Bench {
    let bench = Bench::new();
    let log = bench.open();
    for _ in 0..signed {
        drop(log.record(intent(b"value"), Class::Grant).await.unwrap());
    }
    drop(log);
    let log = Log::open(Options {
        publish_every: Duration::from_hours(1),
        ..bench.options()
    })
    .unwrap();
    let mut published = log.published();
    let first = published.changed();
    tokio::time::timeout(Duration::from_secs(20), first)
        .await
        .unwrap()
        .unwrap();
    for at in 0..300 {
        let value = format!("behind {at}");
        drop(
            log.record(intent(value.as_bytes()), Class::Grant)
                .await
                .unwrap(),
        );
    }
    // As a process that was killed: nothing succeeds any more.
    bench.disk.left.store(0, Ordering::SeqCst);
    drop(log);
    bench.disk.left.store(i64::MAX, Ordering::SeqCst);
    bench
}

/// Flips a byte in the first batch that begins at or behind leaf `index`; gives its number and the leaf it begins with.
fn damage_at(bench: &Bench, index: u64) -> (u64, u64) {
    let path = segment::path(&bench.dir.path().join("wal"), 0);
    let mut bytes = fs::read(&path).unwrap();
    for block in 1..bytes.len() / 4096 {
        let found = batch::opening(&bytes[block * 4096..]);
        if let Some(opening) = found.filter(|opening| opening.first_index >= index) {
            bytes[block * 4096 + 80] ^= 1;
            fs::write(&path, bytes).unwrap();
            return (opening.number, opening.first_index);
        }
    }
    panic!("no such batch");
}

fn cutting(bench: &Bench, at: u64) -> Result<Cut, CutError<OpenError>> {
    cut(&bench.options(), at, |_| Ok(()))
}

fn published(bench: &Bench) -> u64 {
    match verify(bench.dir.path(), &keys()) {
        Verdict::Altered(_) | Verdict::CannotTell { .. } => {
            let note = fs::read(bench.dir.path().join("checkpoint")).unwrap();
            let checkpoint = Checkpoint::verify(&note, &keys());
            checkpoint.unwrap().size
        }
        Verdict::Proven(report) => report.checkpoint.size,
    }
}

#[tokio::test]
async fn a_damaged_log_is_cut_where_it_is_damaged_and_goes_on() {
    let bench = stopped(40).await;
    let signed = published(&bench);
    let (at, index) = damage_at(&bench, signed + 150);
    let refused = bench.try_open().err().unwrap();
    assert_eq!(refused.code(), Code::LogCorrupt);
    assert!(
        refused.to_string().contains("segment 0000000000000000"),
        "{refused}"
    );
    let command = format!("audit repair --cut-at {at} ");
    assert!(refused.help().contains(&command), "{}", refused.help());
    let before = fs::read(segment::path(&bench.dir.path().join("wal"), 0)).unwrap();

    let mut recorded = None;
    let cut = cut(&bench.options(), at, |cut| {
        // Everything is still there when this is called.
        assert_eq!(bench.try_open().err().unwrap().code(), Code::LogFenced);
        recorded = Some(cut.clone());
        Ok::<_, OpenError>(())
    })
    .unwrap();
    assert_eq!(recorded.as_ref(), Some(&cut));
    assert_eq!((cut.batch, cut.index), (at, index));
    let copy = fs::read(bench.dir.path().join(&cut.file)).unwrap();
    assert_eq!(bailiwick_crypto::hash::sha256(&[&copy]), cut.digest);
    assert_eq!(copy.len() as u64, cut.bytes);
    let from = usize::try_from(cut.offset).unwrap();
    assert!(
        before[from..].starts_with(&copy),
        "what is cut is kept as it was"
    );

    // What comes next takes the place of what was cut, files and values included.
    let log = bench.open();
    for at in 0..400 {
        let value = format!("after {at}");
        let receipt = log
            .record(intent(value.as_bytes()), Class::Grant)
            .await
            .unwrap();
        assert!(receipt.index >= index);
    }
    drop(log);
    match verify(bench.dir.path(), &keys()) {
        Verdict::Proven(report) => assert!(report.checkpoint.size > index + 400),
        other => panic!("{other:?}"),
    }
    let directory = Directory::new(bench.dir.path().to_path_buf());
    for entry in directory.entries(0) {
        let entry = entry.unwrap();
        if entry.parse().unwrap().event.kind == EventType::ToolIntent {
            let value = directory.reveal(entry.index, &[kek()]).unwrap();
            let value = String::from_utf8_lossy(value[0].value.expose()).into_owned();
            assert_eq!(value.starts_with("after"), entry.index >= index, "{value}");
        }
    }
}

#[tokio::test]
async fn only_damage_is_cut_and_nothing_that_was_signed() {
    let bench = stopped(40).await;
    let signed = published(&bench);
    let all = || -> Vec<(PathBuf, Vec<u8>)> {
        let files = files(bench.dir.path()).into_iter();
        files
            .map(|file| (file.clone(), fs::read(file).unwrap()))
            .collect()
    };
    let intact = all();
    assert!(matches!(cutting(&bench, 5), Err(CutError::Sound)));
    assert_eq!(all(), intact);

    // Somebody who would be rid of more, or of less, than is damaged.
    let (at, _) = damage_at(&bench, signed + 100);
    let damaged = all();
    for other in [0, at - 1, at + 1] {
        let refused = cutting(&bench, other).unwrap_err();
        assert!(matches!(&refused, CutError::Elsewhere { batch, .. } if *batch == at));
        assert!(refused.help().contains(&at.to_string()));
    }
    // Somebody who makes the damage, to be rid of what was signed.
    let (early, _) = damage_at(&bench, signed / 2);
    let refused = cutting(&bench, early).unwrap_err();
    assert_eq!(refused.code(), Code::LogRolledBack);
    assert!(refused.help().contains("--succeed"), "{}", refused.help());
    // Not even by taking the checkpoints out of the directory: they are remembered elsewhere.
    fs::remove_file(bench.dir.path().join("checkpoint")).unwrap();
    fs::remove_dir_all(bench.dir.path().join("checkpoints")).unwrap();
    assert_eq!(
        cutting(&bench, early).unwrap_err().code(),
        Code::LogRolledBack
    );
    drop(damaged);
    // What cannot be put on record is not cut.
    let bench = stopped(3).await;
    let (at, _) = damage_at(&bench, published(&bench) + 1);
    let refused = cut(&bench.options(), at, |_| {
        Err(bench.try_open().err().unwrap())
    });
    assert!(matches!(refused, Err(CutError::Record(_))));
    assert_eq!(bench.try_open().err().unwrap().code(), Code::LogCorrupt);
    cutting(&bench, at).unwrap();
    drop(bench.open());
}

#[tokio::test]
async fn a_cut_that_a_stop_interrupts_is_finished_with_the_same_hash() {
    let mut interrupted = 0;
    for steps in (0..).step_by(2) {
        let bench = stopped(3).await;
        let (at, index) = damage_at(&bench, published(&bench) + 100);
        bench.disk.left.store(steps, Ordering::SeqCst);
        let mut said = Vec::new();
        let first = cut(&bench.options(), at, |cut| {
            said.push(cut.digest);
            Ok::<_, OpenError>(())
        });
        bench.disk.left.store(i64::MAX, Ordering::SeqCst);
        let done = first.is_ok();
        if !done {
            interrupted += 1;
            match cut(&bench.options(), at, |cut| {
                said.push(cut.digest);
                Ok::<_, OpenError>(())
            }) {
                Ok(cut) => assert_eq!(cut.index, index),
                // All was destroyed, and the order too, when the last sync failed.
                Err(CutError::Sound) => {}
                Err(other) => panic!("{steps}: {other}"),
            }
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{steps}");
        let log = bench.open();
        log.record(event(EventType::FenceSet), Class::Narrow)
            .await
            .unwrap();
        drop(log);
        assert_eq!(verify(bench.dir.path(), &keys()).exit_code(), 0, "{steps}");
        if done {
            break;
        }
    }
    assert!(interrupted > 3, "no stop came in the middle");
}
