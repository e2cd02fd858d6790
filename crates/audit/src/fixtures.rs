//! What the tests of this crate share: a disk that fails on request, a clock that jumps, a log in a temporary directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_core::event::{Event, EventType, Sealed, SealedClass};
use bailiwick_core::{Clock, Digest, Id, Secret, Timestamp};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::{NoteSigner, NoteVerifier};
use bailiwick_crypto::system::{SystemClock, SystemRng};
use tempfile::TempDir;

use crate::disk::{Disk, SystemDisk};
use crate::intents::OpenIntents;
use crate::log::{Log, OpenError, Options};
use crate::seal::Kek;
use crate::signers::Signers;
use crate::standing::{CheckpointStore, Claim, Standing, Volatile};
use crate::tile::RightEdge;
use crate::tiler::Tiler;
use crate::tree::{CompactRange, leaf_hash};
use crate::wal::batch::{EventFrame, Stored};
use crate::wal::recover::{Start, recover};
use crate::wal::scan::Scan;
use crate::wal::segment;
use crate::wal::writer::Writer;

pub(crate) const ORIGIN: &str = "example.org/node-1";
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EIO: i32 = 5;

/// A disk without syncs (tests do not pull the plug) whose operations fail on request.
#[derive(Debug)]
pub(crate) struct TestDisk {
    /// Answer of every write; 0 is success.
    pub(crate) write: AtomicI32,
    /// Answer of every sync; 0 is success.
    pub(crate) sync: AtomicI32,
    /// Free space it claims.
    pub(crate) free: AtomicU64,
    /// Operations that still succeed; after them everything fails, as it does for a process that was killed.
    pub(crate) left: AtomicI64,
    /// Files written since their last sync, by device and inode: what a power cut takes away.
    pub(crate) unsynced: Mutex<BTreeSet<(u64, u64)>>,
}

impl Default for TestDisk {
    fn default() -> Self {
        Self {
            write: AtomicI32::new(0),
            sync: AtomicI32::new(0),
            free: AtomicU64::new(u64::MAX),
            left: AtomicI64::new(i64::MAX),
            unsynced: Mutex::default(),
        }
    }
}

impl TestDisk {
    fn step(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(EIO))
        }
    }

    /// Takes away what was never synced, below `dir`.
    pub(crate) fn cut_power(&self, dir: &Path) {
        let unsynced = self.unsynced.lock().unwrap();
        for file in files(dir) {
            let about = std::fs::metadata(&file).unwrap();
            // Segments are preallocated and have torn-write tests of their own.
            if unsynced.contains(&(about.dev(), about.ino())) && !file.starts_with(dir.join("wal"))
            {
                File::create(&file).unwrap();
            }
        }
    }

    fn answer(errno: &AtomicI32) -> io::Result<()> {
        match errno.load(Ordering::SeqCst) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Disk for TestDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.step()?;
        let about = file.metadata()?;
        self.unsynced
            .lock()
            .unwrap()
            .insert((about.dev(), about.ino()));
        let answer = Self::answer(&self.write);
        // A write that runs out of space has often written its first part.
        let written = if answer.is_ok() {
            bytes
        } else {
            &bytes[..bytes.len() / 2]
        };
        SystemDisk.write_at(file, written, offset)?;
        answer
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        Self::answer(&self.sync)?;
        let about = file.metadata()?;
        self.unsynced
            .lock()
            .unwrap()
            .remove(&(about.dev(), about.ino()));
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.step()?;
        Self::answer(&self.sync)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.remove(path)
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free.load(Ordering::SeqCst))
    }
}

/// A clock that the test moves. Wall clock and time since boot go on together, unless one of them jumps.
#[derive(Debug)]
pub(crate) struct JumpingClock {
    wall: AtomicI64,
    since_boot: AtomicI64,
    /// Real time goes on too, from there.
    flows: Option<Duration>,
    boot: AtomicU64,
}

impl JumpingClock {
    /// A clock that shows `wall` microseconds and goes on by itself.
    pub(crate) fn at(wall: i64) -> Self {
        Self {
            flows: Some(SystemClock.monotonic()),
            ..Self::frozen(wall)
        }
    }

    /// A clock that moves only when told to.
    pub(crate) fn frozen(wall: i64) -> Self {
        Self {
            wall: wall.into(),
            since_boot: AtomicI64::new(1_000_000),
            flows: None,
            boot: AtomicU64::new(1),
        }
    }

    /// Microseconds pass.
    pub(crate) fn pass(&self, micros: i64) {
        self.jump(micros);
        self.stand_still(micros);
    }

    /// The wall clock is set.
    pub(crate) fn jump(&self, micros: i64) {
        self.wall.fetch_add(micros, Ordering::SeqCst);
    }

    /// Microseconds pass that the wall clock does not count.
    pub(crate) fn stand_still(&self, micros: i64) {
        self.since_boot.fetch_add(micros, Ordering::SeqCst);
    }

    /// Time passes until the wall clock shows so many microseconds.
    pub(crate) fn set(&self, wall: i64) {
        self.pass(wall - self.wall.load(Ordering::SeqCst));
    }

    /// The machine is started anew.
    pub(crate) fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
    }

    fn flown(&self) -> Duration {
        let begun = self.flows;
        begun.map_or(Duration::ZERO, |begun| {
            SystemClock.monotonic().saturating_sub(begun)
        })
    }
}

impl Clock for JumpingClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst)).plus(self.flown())
    }

    fn monotonic(&self) -> Duration {
        let passed = u64::try_from(self.since_boot.load(Ordering::SeqCst)).unwrap();
        Duration::from_micros(passed) + self.flown()
    }

    fn boot(&self) -> Option<String> {
        Some(self.boot.load(Ordering::SeqCst).to_string())
    }
}

/// A directory with its log's keys and disk.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) disk: Arc<TestDisk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) aborted: Arc<Mutex<Option<String>>>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: Arc::default(),
            clock: Arc::new(SystemClock),
            aborted: Arc::default(),
            checkpoints: Arc::new(Volatile::default()),
        }
    }

    pub(crate) fn options(&self) -> Options {
        let clock = self.clock.clone();
        let aborted = self.aborted.clone();
        let dir = self.dir.path().to_path_buf();
        Options {
            disk: self.disk.clone(),
            checkpoints: self.checkpoints.clone(),
            segment_size: 2 << 20,
            min_free: 1 << 20,
            publish_every: Duration::from_millis(5),
            abort: Arc::new(move |reason| *aborted.lock().unwrap() = Some(reason.to_owned())),
            ..Options::new(
                dir,
                "node-1".into(),
                signer(),
                kek(),
                clock,
                Arc::new(SystemRng),
            )
        }
    }

    pub(crate) fn open(&self) -> Log {
        let log = self.try_open().unwrap();
        // From here on a failing disk meets events, not the making of the reserve.
        assert!(log.spare.wait_ready());
        log
    }

    pub(crate) fn try_open(&self) -> Result<Log, OpenError> {
        Log::open(self.options())
    }
}

pub(crate) fn signer() -> NoteSigner {
    NoteSigner::new(
        ORIGIN,
        Ed25519Key::from_seed(&Secret::new([7; 32])).unwrap(),
    )
    .unwrap()
}

pub(crate) fn signers() -> Arc<Signers> {
    Arc::new(Signers::new(Arc::new(signer()), Vec::new(), Vec::new()).unwrap())
}

pub(crate) fn keys() -> [NoteVerifier; 1] {
    [signer().verifier().unwrap()]
}

pub(crate) fn kek() -> Kek {
    Kek {
        id: 3,
        key: Secret::new([9; 32]),
    }
}

/// An event of a type, with a new id.
pub(crate) fn event(kind: EventType) -> Event {
    Event::new(Id::new(&SystemClock, &SystemRng), kind)
}

/// An intent with sealed arguments.
pub(crate) fn intent(args: &[u8]) -> Event {
    let sealed = Sealed {
        path: "/args",
        class: SealedClass::Content,
        value: args.to_vec(),
        keep: true,
    };
    Event {
        sealed: vec![sealed],
        ..event(EventType::ToolIntent)
    }
}

/// A published log of `count` leaves `leaf 0`, `leaf 1`, … in batches of at most `batch`, written without the threads of [`Log`].
pub(crate) fn published(dir: &Path, count: u64, batch: usize) {
    let disk: Arc<dyn Disk> = Arc::new(TestDisk::default());
    let wal = dir.join("wal");
    std::fs::create_dir_all(&wal).unwrap();
    let mut writer = raw_writer(&disk, &wal, 8 << 20);
    let mut next = 0;
    while next < count {
        let until = count.min(next + batch as u64);
        let leaves: Vec<Vec<u8>> = (next..until).map(leaf).collect();
        append(&mut writer, &leaves);
        next = until;
    }
    let scan = Scan::start(&wal, Some(crate::origin_hash(ORIGIN)), 0)
        .unwrap()
        .unwrap();
    let mut tiler = tiler(disk, dir, scan);
    while tiler.size() < count {
        tiler.advance(count).unwrap();
    }
    assert_eq!(tiler.publish(&mut claim(), false).unwrap(), count);
}

/// A claim that nothing contests.
fn claim() -> Claim {
    let store: Arc<dyn CheckpointStore> = Arc::new(Volatile::default());
    Claim::take(store, ORIGIN, signers(), &Standing::default(), 0).unwrap()
}

/// A tiler from the beginning of a log.
fn tiler(disk: Arc<dyn Disk>, dir: &Path, scan: Scan) -> Tiler {
    let start = (RightEdge::default(), OpenIntents::default(), 0);
    Tiler::resume(disk, dir.to_path_buf(), signers(), scan, start).unwrap()
}

/// Adds one leaf to a [`published`] log and publishes again.
pub(crate) fn append_and_publish(dir: &Path, leaf: &[u8]) {
    let disk: Arc<dyn Disk> = Arc::new(TestDisk::default());
    let wal = dir.join("wal");
    let mut writer = raw_writer(&disk, &wal, 8 << 20);
    append(&mut writer, &[leaf.to_vec()]);
    let size = writer.tree().size();
    let scan = Scan::start(&wal, Some(crate::origin_hash(ORIGIN)), 0)
        .unwrap()
        .unwrap();
    let mut tiler = tiler(disk, dir, scan);
    while tiler.size() < size {
        tiler.advance(size).unwrap();
    }
    tiler.publish(&mut claim(), false).unwrap();
}

pub(crate) fn leaf(index: u64) -> Vec<u8> {
    format!("leaf {index}").into_bytes()
}

pub(crate) fn raw_writer(disk: &Arc<dyn Disk>, wal: &Path, segment_size: u64) -> Writer {
    let recovered = recover(
        &**disk,
        wal,
        ORIGIN,
        segment_size,
        &Start::default(),
        &[],
        &mut |_, _| {},
    )
    .unwrap();
    let origin = crate::origin_hash(ORIGIN);
    Writer::resume(
        disk.clone(),
        wal.to_path_buf(),
        origin,
        1,
        recovered.place,
        recovered.tree,
    )
    .unwrap()
}

/// Appends one batch of leaves without sealed values; makes the next segment's spare when one is needed.
pub(crate) fn append(writer: &mut Writer, leaves: &[Vec<u8>]) {
    let hashes: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let frames: Vec<EventFrame> = leaves
        .iter()
        .map(|leaf| {
            EventFrame::new(Stored {
                leaf,
                slot: &[0; 64],
                sealed: &[],
            })
        })
        .collect();
    let frames: Vec<&EventFrame> = frames.iter().collect();
    writer
        .append(&frames, &hashes, Timestamp::from_secs(1), 1)
        .unwrap();
}

/// Root of the first `count` leaves of [`published`].
pub(crate) fn root(count: u64) -> Digest {
    (0..count)
        .map(|index| leaf_hash(&leaf(index)))
        .collect::<CompactRange>()
        .root()
}

/// The tree of every leaf that can be read.
pub(crate) fn tree_of(directory: &crate::read::Directory) -> CompactRange {
    directory
        .entries(0)
        .map(|entry| entry.unwrap().leaf_hash())
        .collect()
}

/// All files below a directory.
pub(crate) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A spare for a log written without its threads.
pub(crate) fn spare(wal: &Path, size: u64) {
    segment::make_spare(&TestDisk::default(), wal, size).unwrap();
}
