//! Segments go once the tiles have them, and a stop at any step on the way loses nothing.

use super::*;
use crate::fixtures::tree_of;
use crate::state::State;
use crate::wal::segment;

/// Events with kept values, a tenth of a segment each.
pub(super) async fn fill(log: &Log, count: usize) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for at in 0..count {
        let mut value = vec![b'v'; 200 << 10];
        value[..8].copy_from_slice(&(at as u64).to_le_bytes());
        let recorded = log.record(intent(&value), Class::Grant).await;
        match recorded {
            Ok(receipt) => receipts.push(receipt),
            Err(_) => break,
        }
    }
    receipts
}

fn state(bench: &Bench) -> State {
    State::read(bench.dir.path()).unwrap()
}

fn assert_kept(log: &Log, receipts: &[Receipt]) {
    for (at, receipt) in receipts.iter().enumerate() {
        let entry = log.directory().entry(receipt.index).unwrap().unwrap();
        assert_eq!(entry.leaf_hash(), receipt.leaf_hash, "{}", receipt.index);
        let revealed = log.directory().reveal(receipt.index, &[kek()]).unwrap();
        assert_eq!(
            revealed[0].value.expose()[..8],
            (at as u64).to_le_bytes(),
            "{}",
            receipt.index
        );
    }
}

/// A stretch over tiles, the bundle that is not full yet and the write-ahead log gives each event once, with its own values; that it is
/// opened is on record before anything of it is.
#[tokio::test]
async fn a_stretch_is_worked_through_wherever_it_lies() {
    let bench = Bench::new();
    let log = bench.open();
    let receipts = fill(&log, 40).await;
    for parts in [1, 3, 64] {
        let size = log.size();
        let stretch = log.work_through(1, u64::MAX, "uid:0", "replay").await;
        let mut seen = Vec::new();
        for mut piece in stretch.unwrap().split(parts) {
            while let Some(entry) = piece.next() {
                let entry = entry.unwrap();
                let leaf = entry.parse().unwrap();
                if let Some(at) = receipts.iter().position(|one| one.index == entry.index) {
                    let opened = piece.open(entry.index, &leaf).unwrap().unwrap();
                    assert_eq!(opened[0].value.expose()[..8], (at as u64).to_le_bytes());
                }
                seen.push(entry.index);
            }
        }
        assert!(seen.iter().copied().eq(1..size), "{parts}: {seen:?}");
        let last = log.read(0).last().unwrap().unwrap().parse().unwrap().event;
        assert_eq!(
            (last.kind, last.actor.as_deref()),
            (EventType::LogRevealed, Some("uid:0"))
        );
        assert_eq!(last.change.unwrap().id, format!("1..{size}"));
    }
    bench.disk.free.store(0, Ordering::SeqCst);
    let refused = log.work_through(0, 9, "uid:0", "replay").await;
    assert_eq!(refused.unwrap_err().code(), Code::AuditUnavailable);
}

#[tokio::test]
async fn segments_are_retired_and_everything_is_still_there() {
    let bench = Bench::new();
    let log = bench.open();
    let receipts = fill(&log, 40).await;
    assert_kept(&log, &receipts);
    drop(log);
    let wal = bench.dir.path().join("wal");
    assert_eq!(assert_proven(&bench), 42);
    let base = state(&bench).base;
    assert!(base.segment >= 3, "{base:?}");
    let segments = segment::list(&wal).unwrap();
    assert_eq!(segments, [base.segment]);
    assert_eq!(base.open.len() as u64, base.index - 1, "all are intents");
    for run in 0..2 {
        let log = bench.open();
        assert_kept(&log, &receipts);
        let indexes: Vec<u64> = log.read(0).map(|entry| entry.unwrap().index).collect();
        assert!(indexes.iter().copied().eq(0..indexes.len() as u64), "{run}");
        for receipt in [&receipts[0], &receipts[39]] {
            let found = log.directory().find(receipt.event).unwrap().unwrap();
            assert_eq!(found.index, receipt.index);
        }
        let proof = log.directory().prove(receipts[3].index).unwrap();
        proof.verify(&keys()).unwrap();
    }
    assert_proven(&bench);
}

#[tokio::test]
async fn a_start_reads_only_what_is_left_of_the_write_ahead_log() {
    let bench = Bench::new();
    let log = bench.open();
    let mut last = Vec::new();
    for _ in 0..3 {
        last = fill(&log, 11).await;
        for _ in 0..300 {
            grant(&log).await.unwrap();
        }
    }
    drop(log);
    let base = state(&bench).base;
    assert!(base.index > 256, "{base:?}");
    // Neither the bundles nor the tiles of level 0 left of the edge are needed to start.
    let gone = [
        bench.dir.path().join("tile/entries/000"),
        bench.dir.path().join("tile/0/000"),
    ];
    let bytes = gone.each_ref().map(|path| fs::read(path).unwrap());
    for path in &gone {
        fs::remove_file(path).unwrap();
    }
    let log = bench.open();
    grant(&log).await.unwrap();
    assert_eq!(
        log.directory()
            .entry(last[10].index)
            .unwrap()
            .unwrap()
            .leaf_hash(),
        last[10].leaf_hash
    );
    drop(log);
    for (path, bytes) in gone.iter().zip(bytes) {
        fs::write(path, bytes).unwrap();
    }
    assert_proven(&bench);
}

#[tokio::test]
async fn a_follower_goes_on_when_segments_are_retired_under_it() {
    let bench = Bench::new();
    let log = bench.open();
    let mut reader = log.read(0);
    let mut seen = Vec::new();
    for _ in 0..6 {
        fill(&log, 7).await;
        let durable = log.size();
        // Some of this is read from the segment itself, some from tiles, some from the unfinished bundle.
        until(&mut log.published(), |size| *size >= durable).await;
        seen.extend(reader.by_ref().take(5).map(|entry| entry.unwrap().index));
    }
    seen.extend(reader.by_ref().map(|entry| entry.unwrap().index));
    assert_eq!(seen, (0..43).collect::<Vec<u64>>());
}

/// A log is filled while the disk stops working after each number of steps, up to the number that a whole run takes.
#[tokio::test]
async fn a_stop_at_any_step_of_retiring_loses_nothing() {
    let mut retired = 0;
    for power_cut in [false, true] {
        for steps in (0..).step_by(7) {
            let bench = Bench::new();
            let log = bench.open();
            let before = fill(&log, 8).await;
            until(&mut log.published(), |size| *size >= 9).await;
            bench.disk.left.store(steps, Ordering::SeqCst);
            let acknowledged = fill(&log, 8).await;
            let whole = acknowledged.len() == 8;
            drop(log);
            let whole = whole && bench.disk.left.load(Ordering::SeqCst) > 0;
            if power_cut {
                bench.disk.cut_power(bench.dir.path());
            }
            bench.disk.left.store(i64::MAX, Ordering::SeqCst);
            let log = bench
                .try_open()
                .unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
            retired += u64::from(state(&bench).base.segment > 0);
            assert_kept(&log, &before);
            assert_kept(&log, &acknowledged);
            log.close();
            assert_eq!(assert_proven(&bench), log.size(), "after {steps} steps");
            assert_eq!(
                crate::checkpoint::Checkpoint::verify(
                    &fs::read(bench.dir.path().join("checkpoint")).unwrap(),
                    &keys()
                )
                .unwrap()
                .root,
                tree_of(&log.directory()).root()
            );
            if whole {
                break;
            }
        }
    }
    assert!(retired > 2, "the stops came too early to matter");
}

/// No tile is synced as it is written. What a power cut takes of them is in the write-ahead log until its segment is retired, and from
/// then on it takes nothing.
#[tokio::test]
async fn full_tiles_that_a_power_cut_takes_are_written_again() {
    let bench = Bench::new();
    let log = bench.open();
    for _ in 0..300 {
        grant(&log).await.unwrap();
    }
    drop(log);
    let full = ["tile/0/000", "tile/entries/000"];
    let lens = || full.map(|path| fs::metadata(bench.dir.path().join(path)).unwrap().len());
    let written = lens();
    bench.disk.cut_power(bench.dir.path());
    assert_eq!(lens(), [0; 2]);
    let log = bench.open();
    fill(&log, 15).await;
    drop(log);
    assert!(state(&bench).base.index > 256, "a segment is retired");
    bench.disk.cut_power(bench.dir.path());
    assert_eq!(lens(), written);
    drop(bench.open());
    assert_proven(&bench);
}

#[tokio::test]
async fn a_base_that_does_not_fit_its_tiles_does_not_open() {
    let bench = Bench::new();
    let log = bench.open();
    fill(&log, 25).await;
    drop(log);
    let good = state(&bench);
    let path = bench.dir.path().join("state.json");
    let attempt = |change: &dyn Fn(&mut State)| {
        let mut bent = good.clone();
        change(&mut bent);
        fs::write(&path, serde_json::to_vec(&bent).unwrap()).unwrap();
        let verdict = verify(bench.dir.path(), &keys());
        (bench.try_open().err().unwrap().code(), verdict.exit_code())
    };
    let altered = (Code::LogCorrupt, 1);
    assert_eq!(attempt(&|state| state.base.root = Digest([1; 32])), altered);
    // Altered, or not to be told: it depends on where the base fell whether the tiles of that smaller tree are still there.
    let (code, exit) = attempt(&|state| state.base.index -= 1);
    assert_eq!(code, Code::LogCorrupt);
    assert_ne!(exit, 0, "a wrong base is never proven");
    assert_eq!(attempt(&|state| state.base.batch += 1), altered);
    assert_eq!(
        attempt(&|state| state.base.prev_commit = Digest([1; 32])),
        altered
    );
    assert_eq!(
        attempt(&|state| state.base.segment += 1),
        (Code::LogCorrupt, 6)
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(verify(bench.dir.path(), &keys()).exit_code(), 6);
    assert!(bench.try_open().is_err());
    good.write(&SystemDisk, bench.dir.path()).unwrap();
    grant(&bench.open()).await.unwrap();
    assert_proven(&bench);
}

#[tokio::test]
async fn a_log_whose_tiles_do_not_keep_up_takes_only_what_narrows() {
    let bench = Bench::new();
    let log = Log::open(Options {
        max_untiled: 3 << 20,
        ..bench.options()
    })
    .unwrap();
    // A directory in the place of the first bundle's partial tile keeps the tiler from passing a segment.
    let blocked = bench.dir.path().join("tile/entries/000.p");
    let mut refused = None;
    fs::create_dir_all(blocked.parent().unwrap()).unwrap();
    fs::remove_dir_all(&blocked).ok();
    fs::write(&blocked, b"in the way").unwrap();
    for _ in 0..30 {
        let value = vec![b'v'; 200 << 10];
        if let Err(error) = log.record(intent(&value), Class::Grant).await {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(
        refused,
        Some(RecordError::Unavailable(Unavailable::Degraded))
    );
    narrow(&log).await.unwrap();
    fs::remove_file(&blocked).unwrap();
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
async fn a_refused_batch_does_not_come_back_when_its_segment_is_left() {
    let bench = Bench::new();
    let log = bench.open();
    let before = grant(&log).await.unwrap();
    bench
        .disk
        .write
        .store(crate::fixtures::ENOSPC, Ordering::SeqCst);
    // Half of its block is written, which holds all of it.
    assert!(grant(&log).await.is_err());
    bench.disk.write.store(0, Ordering::SeqCst);
    log.roll.order();
    let after = grant(&log).await.unwrap();
    assert_eq!(after.index, before.index + 1);
    let size = log.size();
    drop(log);
    let log = bench.open();
    for receipt in [before, after] {
        let entry = log.directory().entry(receipt.index).unwrap().unwrap();
        assert_eq!(entry.leaf_hash(), receipt.leaf_hash);
    }
    assert!(log.size() >= size);
    drop(log);
    assert_proven(&bench);
}
