//! A running log looks at all its files once in a while, and at what is kept beside them.

use super::retire::fill;
use super::*;
use crate::payload;
use crate::scrub::Scrubbed;
use crate::seal::SLOT;
use crate::state::State;
use crate::verify::Altered;

/// A log that looks at everything whenever it is told.
fn scrubbing(bench: &Bench) -> Log {
    Log::open(Options {
        scrub_every: Duration::from_millis(1),
        ..bench.options()
    })
    .unwrap()
}

/// Waits for a look that finds what is `wanted`, or nothing; what it says.
async fn found(
    log: &Log,
    scrubbed: &mut watch::Receiver<Option<Scrubbed>>,
    wanted: Option<Altered>,
) -> String {
    scrubbed.mark_unchanged();
    let found = async {
        loop {
            // The thread that orders a look is told that it is time; it may not be yet.
            log.wake.urge();
            let changed = tokio::time::timeout(Duration::from_millis(20), scrubbed.changed());
            if changed.await.is_err() {
                continue;
            }
            let found = scrubbed.borrow_and_update().clone().unwrap().verdict;
            match (found, wanted) {
                (Verdict::Proven(_), None) => return String::new(),
                (Verdict::Altered(found), Some(wanted)) if found.what == wanted => {
                    return found.to_string();
                }
                // It may have begun before the file was touched.
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), found)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_byte_that_flipped_in_an_old_tile_is_found_and_on_record() {
    let bench = Bench::new();
    let blob = Directory::new(bench.dir.path().to_path_buf())
        .blobs()
        .keep(b"a policy")
        .unwrap();
    let log = scrubbing(&bench);
    for _ in 0..300 {
        grant(&log).await.unwrap();
    }
    let size = log.size();
    until(&mut log.published(), |published| *published >= size).await;
    let mut scrubbed = log.scrubbed();
    let mut finds = async |wanted| found(&log, &mut scrubbed, wanted).await;
    finds(None).await;
    let hex = blob.to_hex();
    let cases = [
        ("tile/0/000".to_owned(), Altered::Tile),
        ("tile/entries/000".to_owned(), Altered::Leaf),
        (format!("blobs/sha256/{hex}"), Altered::Blob),
    ];
    for (file, what) in cases {
        let path = bench.dir.path().join(&file);
        let intact = fs::read(&path).unwrap();
        let mut bytes = intact.clone();
        bytes[3] ^= 1;
        fs::write(&path, bytes).unwrap();
        let said = finds(Some(what)).await;
        assert!(said.contains(&file), "{said}");
        let on_record = async {
            loop {
                let more = log.size();
                let failed = leaves(&log.directory()).into_iter().any(|leaf| {
                    leaf.event.kind == EventType::LogScrubFailed
                        && leaf.event.change.unwrap().after.unwrap().contains(&file)
                });
                if failed {
                    break;
                }
                log.wake.urge();
                until(&mut log.watch(), |size| *size > more).await;
            }
        };
        // Leaves of a bundle that was touched cannot be read while it is.
        fs::write(&path, intact).unwrap();
        tokio::time::timeout(Duration::from_mins(1), on_record)
            .await
            .unwrap();
        finds(None).await;
    }
    drop(log);
    assert_proven(&bench);
}

#[tokio::test]
async fn kept_values_that_no_longer_open_are_found_and_erased_ones_are_not() {
    let bench = Bench::new();
    let log = bench.open();
    let receipts = fill(&log, 24).await;
    drop(log);
    let dir = bench.dir.path();
    let log = scrubbing(&bench);
    let mut scrubbed = log.scrubbed();
    let mut finds = async |wanted| found(&log, &mut scrubbed, wanted).await;
    finds(None).await;
    let base = State::read(dir).unwrap().base.index;
    let (first, second) = (receipts[0].index, receipts[1].index);
    assert!(second < base && base < 256, "{base}");
    let path = payload::path(0, u16::try_from(base).unwrap());
    let intact = fs::read(dir.join(&path)).unwrap();
    let mut bytes = intact.clone();
    bytes[5_000] ^= 1;
    fs::write(dir.join(&path), &bytes).unwrap();
    let said = finds(Some(Altered::Values)).await;
    assert!(said.contains(&format!("index {first} of ")), "{said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    // With its key destroyed they need not open any more.
    let (slots, at) = payload::slot_place(first);
    let mut keys = fs::read(dir.join(&slots)).unwrap();
    let at = usize::try_from(at).unwrap();
    let slot = keys[at..at + SLOT].to_vec();
    keys[at..at + SLOT].fill(0);
    fs::write(dir.join(&slots), &keys).unwrap();
    finds(None).await;
    // Another event's key opens nothing, however good the box.
    fs::write(dir.join(&path), &intact).unwrap();
    let next = usize::try_from(second - first).unwrap() * SLOT + at;
    keys[at..at + SLOT].copy_from_slice(&slot);
    let other = keys[next..next + SLOT].to_vec();
    keys[at..at + SLOT].copy_from_slice(&other);
    fs::write(dir.join(&slots), &keys).unwrap();
    finds(Some(Altered::Values)).await;
    keys[at..at + SLOT].copy_from_slice(&slot);
    fs::write(dir.join(&slots), &keys).unwrap();
    finds(None).await;
    drop(log);
    assert_proven(&bench);
}
