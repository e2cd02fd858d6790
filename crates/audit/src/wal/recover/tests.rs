//! Torn writes are cut away, damage is not: at every place of the last batch, and in the middle.

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use tempfile::TempDir;

use bailiwick_core::{Code, Fault};

use super::*;
use crate::checkpoint::Checkpoint;
use crate::disk::Disk;
use crate::fixtures::{ORIGIN, TestDisk, append, leaf, raw_writer, root, spare};
use crate::wal::batch;
use crate::wal::frame::OVERHEAD;

const SEGMENT: u64 = 64 << 10;

/// Recovery of a log of which nothing has been retired.
fn recover(
    disk: &dyn Disk,
    wal: &Path,
    origin: &str,
    segment_size: u64,
    signed: Option<&Checkpoint>,
    see: &mut dyn FnMut(u64, &[u8]),
) -> Result<Recovered, RecoverError> {
    super::recover(
        disk,
        wal,
        origin,
        segment_size,
        &Start::default(),
        &signed.map(noted).into_iter().collect::<Vec<_>>(),
        see,
    )
}

fn noted(checkpoint: &Checkpoint) -> Signed {
    Signed {
        checkpoint: checkpoint.clone(),
        note: format!("{} {}", checkpoint.size, checkpoint.root),
    }
}

/// A log of three batches: 2 and 3 small leaves, then one of several blocks, which starts at `last` and has `frames` bytes.
struct Torn {
    dir: TempDir,
    intact: Vec<u8>,
    last: usize,
    frames: usize,
}

impl Torn {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(TestDisk::default());
        let mut writer = raw_writer(&disk, dir.path(), SEGMENT);
        append(&mut writer, &[leaf(0), leaf(1)]);
        append(&mut writer, &[leaf(2), leaf(3), leaf(4)]);
        let big: Vec<Vec<u8>> = (0..5).map(|i| vec![b'a' + i; 2_000]).collect();
        append(&mut writer, &big);
        let intact = fs::read(segment::path(dir.path(), 0)).unwrap();
        let last = 3 * 4096;
        let frames = batch::opening(&intact[last..]).unwrap().bytes as usize;
        assert!(frames > 2 * 4096);
        Self {
            dir,
            intact,
            last,
            frames,
        }
    }

    fn recover_with(&self, change: impl FnOnce(&mut [u8])) -> Result<Recovered, RecoverError> {
        let mut bytes = self.intact.clone();
        change(&mut bytes);
        fs::write(segment::path(self.dir.path(), 0), &bytes).unwrap();
        recover(
            &TestDisk::default(),
            self.dir.path(),
            ORIGIN,
            SEGMENT,
            None,
            &mut |_, _| {},
        )
    }

    /// The last batch must be gone without a trace, and the two before it must be there.
    fn assert_cut(&self, what: &str, recovered: Result<Recovered, RecoverError>) {
        let recovered = recovered.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(recovered.tree.size(), 5, "{what}");
        assert_eq!(recovered.tree.root(), root(5), "{what}");
        assert_eq!(recovered.place.offset, self.last as u64, "{what}");
        let after = fs::read(segment::path(self.dir.path(), 0)).unwrap();
        assert!(
            after[self.last..].iter().all(|byte| *byte == 0),
            "{what}: the tail is not zero"
        );
        assert_eq!(after[..self.last], self.intact[..self.last], "{what}");
        let again = recover(
            &TestDisk::default(),
            self.dir.path(),
            ORIGIN,
            SEGMENT,
            None,
            &mut |_, _| {},
        )
        .unwrap();
        assert_eq!(
            (again.zeroed, again.place),
            (0, recovered.place),
            "{what}: recovery is not stable"
        );
    }
}

#[test]
fn an_intact_log_recovers_whole_and_unchanged() {
    let torn = Torn::new();
    let recovered = torn.recover_with(|_| {}).unwrap();
    assert_eq!(
        (
            recovered.tree.size(),
            recovered.zeroed,
            recovered.place.number
        ),
        (10, 0, 3)
    );
    assert_eq!(
        fs::read(segment::path(torn.dir.path(), 0)).unwrap(),
        torn.intact
    );
}

#[test]
fn a_torn_last_write_is_cut_wherever_it_tore() {
    let torn = Torn::new();
    for at in (0..torn.frames).step_by(64) {
        let cut = torn.recover_with(|bytes| bytes[torn.last + at..].fill(0));
        if at == 0 {
            assert_eq!(cut.as_ref().unwrap().zeroed, 0);
        } else {
            assert!(cut.as_ref().unwrap().zeroed > 0);
        }
        torn.assert_cut(&format!("cut at {at}"), cut);
        let end = (at + 64).min(torn.frames);
        let garbled = torn.recover_with(|bytes| {
            bytes[torn.last + at..torn.last + end]
                .iter_mut()
                .for_each(|byte| *byte ^= 0x5a);
        });
        torn.assert_cut(&format!("garbled at {at}"), garbled);
        // Sectors may reach the disk in any order: the front missing, the rest there.
        let headless = torn.recover_with(|bytes| bytes[torn.last..torn.last + end].fill(0));
        torn.assert_cut(&format!("front missing up to {end}"), headless);
    }
}

#[test]
fn every_byte_of_every_frame_header_counts() {
    let torn = Torn::new();
    let mut headers = vec![torn.last];
    let mut at = torn.last + OVERHEAD + 48;
    for _ in 0..5 {
        headers.push(at);
        at += batch::event_len(2_000, 0);
    }
    headers.push(at);
    assert_eq!(at + OVERHEAD + 96, torn.last + torn.frames);
    for header in headers {
        for byte in header..header + OVERHEAD + 8 {
            for flip in [0x01, 0x80, 0xff] {
                let recovered = torn.recover_with(|bytes| bytes[byte] ^= flip);
                torn.assert_cut(&format!("byte {byte} xor {flip:#x}"), recovered);
            }
        }
    }
}

#[test]
fn damage_before_a_complete_batch_is_no_torn_write() {
    let torn = Torn::new();
    for at in (4096..torn.last).step_by(16) {
        if torn.intact[at..at + 16].iter().all(|byte| *byte == 0) {
            continue;
        }
        let before = {
            let mut bytes = torn.intact.clone();
            bytes[at] ^= 1;
            bytes
        };
        let outcome = torn.recover_with(|bytes| bytes[at] ^= 1);
        // Zero padding inside a probed stretch carries nothing, so a flip there is simply ignored.
        let in_padding = batch_end(&torn.intact, at) <= at;
        match outcome {
            Err(
                error @ RecoverError::Corrupt {
                    segment: 0,
                    later: 0,
                    ..
                },
            ) => {
                assert_eq!(error.code(), Code::LogCorrupt);
                assert_eq!(
                    fs::read(segment::path(torn.dir.path(), 0)).unwrap(),
                    before,
                    "evidence was changed"
                );
            }
            Ok(recovered) if in_padding => assert_eq!(recovered.tree.size(), 10),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

/// End of the frames of the one-block batch in which `at` lies.
fn batch_end(bytes: &[u8], at: usize) -> usize {
    let start = at / 4096 * 4096;
    start + batch::opening(&bytes[start..]).map_or(4096, |opening| opening.bytes as usize)
}

#[test]
fn a_damaged_segment_header_is_damage() {
    let torn = Torn::new();
    for at in [0, 4, 8, 20, 60] {
        let outcome = torn.recover_with(|bytes| bytes[at] ^= 1);
        assert!(
            matches!(
                outcome,
                Err(RecoverError::Corrupt {
                    segment: 0,
                    block: 0,
                    ..
                })
            ),
            "byte {at}: {outcome:?}"
        );
    }
}

#[test]
fn another_logs_directory_is_not_continued() {
    let torn = Torn::new();
    let outcome = recover(
        &TestDisk::default(),
        torn.dir.path(),
        "example.org/other",
        SEGMENT,
        None,
        &mut |_, _| {},
    );
    assert!(matches!(
        outcome,
        Err(RecoverError::OtherLog { segment: 0, .. })
    ));
}

/// A log over two segments, with room in the second.
fn two_segments() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(TestDisk::default());
    let mut writer = raw_writer(&disk, dir.path(), SEGMENT);
    spare(dir.path(), SEGMENT);
    for index in 0..20 {
        append(&mut writer, &[leaf(index)]);
    }
    assert_eq!(segment::list(dir.path()).unwrap(), [0, 1]);
    dir
}

#[test]
fn segments_continue_each_other() {
    let dir = two_segments();
    let recovered = recover(
        &TestDisk::default(),
        dir.path(),
        ORIGIN,
        SEGMENT,
        None,
        &mut |_, _| {},
    )
    .unwrap();
    assert_eq!(
        (recovered.tree.root(), recovered.place.segment),
        (root(20), 1)
    );
}

#[test]
fn damage_at_the_end_of_a_segment_that_has_a_successor_is_damage() {
    let dir = two_segments();
    let file = segment::open(&segment::path(dir.path(), 0)).unwrap();
    file.write_all_at(&[0; 4096], SEGMENT - 4096).unwrap();
    let outcome = recover(
        &TestDisk::default(),
        dir.path(),
        ORIGIN,
        SEGMENT,
        None,
        &mut |_, _| {},
    );
    assert!(
        matches!(
            outcome,
            Err(RecoverError::Corrupt {
                segment: 0,
                block: 15,
                later: 1,
                ..
            })
        ),
        "{outcome:?}"
    );
}

#[test]
fn a_missing_first_segment_is_told() {
    let dir = two_segments();
    fs::remove_file(segment::path(dir.path(), 0)).unwrap();
    let outcome = recover(
        &TestDisk::default(),
        dir.path(),
        ORIGIN,
        SEGMENT,
        None,
        &mut |_, _| {},
    );
    assert!(matches!(outcome, Err(RecoverError::Missing { wanted: 0 })));
}

#[test]
fn a_stop_while_a_segment_was_opened_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(TestDisk::default());
    let mut writer = raw_writer(&disk, dir.path(), SEGMENT);
    append(&mut writer, &[leaf(0)]);
    // The spare had been renamed; its header never reached the disk.
    spare(dir.path(), SEGMENT);
    fs::rename(dir.path().join("spare"), segment::path(dir.path(), 1)).unwrap();
    let recovered = recover(&*disk, dir.path(), ORIGIN, SEGMENT, None, &mut |_, _| {}).unwrap();
    assert_eq!((recovered.tree.size(), recovered.place.segment), (1, 0));
    assert_eq!(segment::list(dir.path()).unwrap(), [0]);
}

#[test]
fn what_was_signed_must_be_there_before_anything_is_cut() {
    let torn = Torn::new();
    let signed = |size, root| Checkpoint {
        origin: ORIGIN.into(),
        size,
        root,
    };
    let mut bytes = torn.intact.clone();
    bytes[torn.last + 100] ^= 1;
    let path = segment::path(torn.dir.path(), 0);
    fs::write(&path, &bytes).unwrap();
    let recover = |checkpoint| {
        recover(
            &TestDisk::default(),
            torn.dir.path(),
            ORIGIN,
            SEGMENT,
            Some(&checkpoint),
            &mut |_, _| {},
        )
    };
    let outcome = recover(signed(10, root(10)));
    assert!(
        matches!(
            outcome,
            Err(RecoverError::RolledBack {
                signed: 10,
                found: 5
            })
        ),
        "{outcome:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes, "evidence was changed");
    let outcome = recover(signed(5, root(4)));
    assert!(
        matches!(outcome, Err(RecoverError::Contradiction { size: 5 })),
        "{outcome:?}"
    );
    assert_eq!(recover(signed(5, root(5))).unwrap().tree.size(), 5);
}

#[test]
fn an_emptied_directory_does_not_become_a_new_log() {
    let dir = tempfile::tempdir().unwrap();
    let signed = Checkpoint {
        origin: ORIGIN.into(),
        size: 1,
        root: root(1),
    };
    let outcome = recover(
        &TestDisk::default(),
        dir.path(),
        ORIGIN,
        SEGMENT,
        Some(&signed),
        &mut |_, _| {},
    );
    assert!(matches!(
        outcome,
        Err(RecoverError::RolledBack {
            signed: 1,
            found: 0
        })
    ));
    assert!(segment::list(dir.path()).unwrap().is_empty());
}
