//! A directory that was set back, a second writer, a second history: noticed by what is remembered elsewhere, before anything is signed.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::fixtures::{ORIGIN, signer};
use crate::standing::{CheckpointStoreError, Standing};
use crate::wal::recover::RecoverError;

/// Copies a directory's files.
fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files(dir).into_iter();
    files
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect()
}

/// A checkpoint that the log's key signed for other events.
fn forged(size: u64) -> String {
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size,
        root: Digest([3; 32]),
    };
    checkpoint.sign(&signer()).unwrap()
}

#[tokio::test]
async fn rolled_back_disk() {
    let bench = Bench::new();
    drop(bench.open());
    let yesterday = tempfile::tempdir().unwrap();
    copy(bench.dir.path(), yesterday.path());
    let log = bench.open();
    grant(&log).await.unwrap();
    drop(log);
    let before = bench.checkpoints.standing(ORIGIN).unwrap();
    // All of the directory is as it was, its own checkpoint included.
    fs::remove_dir_all(bench.dir.path()).unwrap();
    copy(yesterday.path(), bench.dir.path());
    let files = contents(bench.dir.path());
    let refused = bench.try_open().err().unwrap();
    assert!(
        matches!(
            refused,
            OpenError::Recover(RecoverError::RolledBack {
                signed: 5,
                found: 2
            })
        ),
        "{refused:?}"
    );
    assert_eq!(refused.code(), Code::LogRolledBack);
    // So is a log that lost everything.
    fs::remove_dir_all(bench.dir.path()).unwrap();
    let lost = bench.try_open().err().unwrap();
    assert_eq!(lost.code(), Code::LogRolledBack);
    fs::remove_dir_all(bench.dir.path()).unwrap();
    copy(yesterday.path(), bench.dir.path());
    assert_eq!(bench.checkpoints.standing(ORIGIN).unwrap(), before);
    assert_eq!(
        contents(bench.dir.path()),
        files,
        "something was written or signed"
    );
}

#[tokio::test]
async fn what_a_witness_holds_is_compared_before_anything_is_signed() {
    let bench = Bench::new();
    drop(bench.open());
    let own = fs::read_to_string(bench.dir.path().join("checkpoint")).unwrap();
    let open = |seen: &[String]| {
        Log::open(Options {
            seen: seen.iter().map(|note| note.clone().into_bytes()).collect(),
            ..bench.options()
        })
    };
    let files = contents(bench.dir.path());
    let larger = open(&[forged(9)]).err().unwrap();
    assert_eq!(larger.code(), Code::LogRolledBack, "{larger:?}");
    for size in [1, 2] {
        let other = open(&[forged(size)]).err().unwrap();
        assert_eq!(other.code(), Code::LogEquivocation, "{other:?}");
        let said = other.to_string();
        assert!(
            said.contains(&own) && said.contains(&forged(size)),
            "{said}"
        );
    }
    assert_eq!(contents(bench.dir.path()), files);
    // A stranger's word, and a note of another key, are nothing.
    let stranger = forged(9).replace(ORIGIN, "example.org/node-2");
    let log = open(&["held: 9".into(), stranger, own]).unwrap();
    grant(&log).await.unwrap();
    drop(log);
    assert_proven(&bench);
}

#[tokio::test]
async fn two_writers() {
    let bench = Bench::new();
    let log = bench.open();
    let receipt = grant(&log).await.unwrap();
    until(&mut log.published(), |size| *size > receipt.index).await;
    // The lock of a directory does not reach to its copy; the epoch does.
    let mut other = Bench::new();
    other.checkpoints = bench.checkpoints.clone();
    copy(bench.dir.path(), other.dir.path());
    let second = other.open();
    let last = grant(&second).await.unwrap();
    until(&mut second.published(), |size| *size > last.index).await;
    let published = fs::read(bench.dir.path().join("checkpoint")).unwrap();
    let _ = grant(&log).await;
    tokio::time::timeout(Duration::from_secs(20), async {
        while bench.aborted.lock().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let why = bench.aborted.lock().unwrap().clone().unwrap();
    assert!(why.contains("took this log over"), "{why}");
    log.close();
    assert!(grant(&log).await.is_err());
    assert_eq!(
        fs::read(bench.dir.path().join("checkpoint")).unwrap(),
        published,
        "a fenced writer published"
    );
    grant(&second).await.unwrap();
    drop(second);
    assert_proven(&other);
    drop(log);
    // The one that was replaced does not come back with its own events either.
    let refused = bench.try_open().err().unwrap();
    assert!(
        matches!(
            refused.code(),
            Code::LogRolledBack | Code::LogCorrupt | Code::LogEquivocation
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_history_that_is_not_ours_stops_publishing_and_not_recording() {
    let bench = Bench::new();
    let log = bench.open();
    let receipt = grant(&log).await.unwrap();
    until(&mut log.published(), |size| *size > receipt.index).await;
    let now = bench.checkpoints.standing(ORIGIN).unwrap();
    let other = Standing {
        note: Some(forged(2)),
        ..now.clone()
    };
    assert!(bench.checkpoints.swap(ORIGIN, &now, &other).unwrap());
    let published = fs::read(bench.dir.path().join("checkpoint")).unwrap();
    for _ in 0..10 {
        grant(&log).await.unwrap();
    }
    drop(log);
    assert_eq!(
        fs::read(bench.dir.path().join("checkpoint")).unwrap(),
        published
    );
    assert_eq!(bench.checkpoints.standing(ORIGIN).unwrap(), other);
    let refused = bench.try_open().err().unwrap();
    assert_eq!(refused.code(), Code::LogEquivocation, "{refused:?}");
}

/// Remembers, and now and then says that it could not.
struct Forgetful(Volatile, AtomicBool);

impl CheckpointStore for Forgetful {
    fn standing(&self, origin: &str) -> Result<Standing, CheckpointStoreError> {
        self.0.standing(origin)
    }

    fn swap(
        &self,
        origin: &str,
        from: &Standing,
        to: &Standing,
    ) -> Result<bool, CheckpointStoreError> {
        let done = self.0.swap(origin, from, to)?;
        if to.note.is_some() && self.1.fetch_not(Ordering::SeqCst) {
            return Err(CheckpointStoreError("the answer was lost".into()));
        }
        Ok(done)
    }
}

#[tokio::test]
async fn a_store_whose_answers_get_lost_only_delays() {
    let mut bench = Bench::new();
    bench.checkpoints = Arc::new(Forgetful(Volatile::default(), AtomicBool::new(true)));
    let log = bench.open();
    for _ in 0..4 {
        let receipt = grant(&log).await.unwrap();
        until(&mut log.published(), |size| *size > receipt.index).await;
    }
    assert!(bench.aborted.lock().unwrap().is_none());
    log.close();
    drop(log);
    let log = bench.open();
    let size = log.size();
    until(&mut log.published(), |published| *published >= size).await;
}
