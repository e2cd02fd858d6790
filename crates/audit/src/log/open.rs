//! Opening a log: lock, recovery, and the two threads that run it.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bailiwick_core::event::Event;
use bailiwick_core::{Code, Fault};
use bailiwick_crypto::note::NoteError;
use tokio::sync::watch;

use super::encoder::{Encoder, announcer};
use super::found::Found;
use super::unanswered;
use super::{Log, MIN_SEGMENT, Options};
use crate::hlc::{Hlc, HlcClock};
use crate::housekeeping::{Housekeeping, Wake};
use crate::read::ReadError;
use crate::state::StateError;
use crate::tiler::Tiler;
use crate::wal::commit::{Commit, Notice, Standing};
use crate::wal::queue::Queue;
use crate::wal::recover::RecoverError;
use crate::wal::scan::Scan;
use crate::wal::segment;
use crate::wal::spare::Spare;
use crate::wal::writer::Writer;

impl Log {
    /// Takes the directory's lock, recovers, and starts to accept events. Reads the write-ahead log; call it where blocking is
    /// allowed.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        if options.segment_size < MIN_SEGMENT || !options.segment_size.is_multiple_of(4096) {
            return Err(OpenError::SegmentSize {
                given: options.segment_size,
            });
        }
        let wal = options.dir.join("wal");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&wal);
        made.map_err(|source| OpenError::Io {
            path: wal.clone(),
            source,
        })?;
        let lock = lock(&options.dir)?;
        let found = Found::gather(&options, &wal)?;
        let dir = options.dir.clone();
        assemble(options, &wal, found, lock).map_err(|source| OpenError::Io { path: dir, source })
    }
}

/// Puts the parts of a recovered log together and starts its threads.
fn assemble(options: Options, wal: &Path, found: Found, lock: File) -> io::Result<Log> {
    let Found {
        state,
        edge,
        intents,
        recovered,
        unanswered,
        published,
        orders,
    } = found;
    let origin: Arc<str> = options.signer.name().into();
    let origin_hash = crate::origin_hash(&origin);
    let size = recovered.tree.size();
    let (durable, durable_seen) = watch::channel(size);
    let (publish, published_seen) = watch::channel(published);
    let queue = Arc::new(Queue::new(
        usize::try_from(options.segment_size - 4096).unwrap_or(usize::MAX),
    ));
    let spare = Arc::new(Spare::new(segment::has_spare(wal)));
    let wake = Arc::new(Wake::default());
    let degraded = Arc::new(AtomicBool::new(false));
    let kept = (options.kek, options.value_max);
    let time = (options.clock.clone(), options.rng);
    let hlc = HlcClock::after(Hlc(recovered.hlc));
    let encoder = Encoder::new(options.node, options.source, kept, time, hlc);
    let encoder = Arc::new(encoder);
    let scan = Scan::start(wal, Some(origin_hash), state.base.segment)?;
    let scan = scan.ok_or_else(|| io::Error::other("the first segment cannot be read back"))?;
    let first_segment = Arc::new(AtomicU64::new(state.base.segment));
    let roll = Arc::new(AtomicBool::new(false));
    let housekeeping = Housekeeping {
        disk: options.disk.clone(),
        clock: options.clock.clone(),
        wal: wal.to_path_buf(),
        segment_size: options.segment_size,
        spare: spare.clone(),
        wake: wake.clone(),
        durable: durable_seen.clone(),
        published: publish,
        publish_every: options.publish_every,
        tiler: Tiler::resume(
            options.disk.clone(),
            options.dir.clone(),
            options.signer,
            scan,
            (edge, intents, state.base.hlc),
        )?,
        dir: options.dir.clone(),
        orders,
        state,
        first_segment: first_segment.clone(),
    };
    // Batches of two runs never share an epoch, so a writer that lost the directory cannot pass for the one that has it.
    let epoch = recovered.place.epoch + u64::from(size > 0);
    let zeroed = recovered.zeroed;
    let disk = options.disk.clone();
    let writer = Writer::resume(
        disk.clone(),
        wal.to_path_buf(),
        origin_hash,
        epoch,
        recovered.place,
        recovered.tree,
    )?;
    let commit = Commit {
        writer,
        queue: queue.clone(),
        spare: spare.clone(),
        disk: options.disk,
        clock: options.clock,
        origin: origin.clone(),
        dir: options.dir.clone(),
        min_free: options.min_free,
        max_untiled: options.max_untiled,
        first_segment,
        roll: roll.clone(),
        durable,
        degraded: degraded.clone(),
        wake: wake.clone(),
        announce: announcer(encoder.clone(), origin.clone()),
        abort: options.abort,
        standing: Standing::default(),
    };
    queue_first(&queue, &commit, &encoder, zeroed, unanswered);
    let threads = start(commit, housekeeping, &queue, &wake)?;
    Ok(Log {
        origin,
        dir: options.dir,
        queue,
        encoder,
        durable: durable_seen,
        published: published_seen,
        degraded,
        spare,
        wake,
        disk,
        roll,
        hold_from: options.hold_from,
        erasing: tokio::sync::Mutex::new(()),
        threads: Mutex::new(Some(threads)),
        _lock: lock,
    })
}

/// What the log says before anybody can record, so that logical time rises with the index.
fn queue_first(
    queue: &Queue,
    commit: &Commit,
    encoder: &Encoder,
    zeroed: u64,
    unanswered: Vec<Event>,
) {
    let recovered = (zeroed > 0).then_some(Notice::Recovered { zeroed });
    let notices = recovered
        .into_iter()
        .chain([Notice::Opened])
        .filter_map(|notice| (commit.announce)(notice));
    for pending in notices.chain(unanswered::results(unanswered, encoder)) {
        if queue.try_push(pending).is_err() {
            tracing::error!(
                "more calls were cut off than the queue holds; the last of them stay without result"
            );
            break;
        }
    }
}

fn start(
    commit: Commit,
    housekeeping: Housekeeping,
    queue: &Arc<Queue>,
    wake: &Arc<Wake>,
) -> io::Result<(JoinHandle<()>, JoinHandle<()>)> {
    let spare = commit.spare.clone();
    let housekeeping = std::thread::Builder::new()
        .name("audit-tiles".into())
        .spawn(move || {
            // A defect in this thread must not leave the other waiting for a segment.
            if catch_unwind(AssertUnwindSafe(|| housekeeping.run())).is_err() {
                spare.made(false);
            }
        })?;
    let watched = queue.clone();
    let commit = std::thread::Builder::new()
        .name("audit-commit".into())
        .spawn(move || {
            // A defect in this thread must not leave producers waiting for ever.
            if catch_unwind(AssertUnwindSafe(|| commit.run())).is_err() {
                watched.refuse_all();
            }
        });
    match commit {
        Ok(commit) => Ok((commit, housekeeping)),
        Err(error) => {
            wake.stop();
            let _ = housekeeping.join();
            Err(error)
        }
    }
}

/// Takes `LOCK`, so that a directory has one writer. The kernel releases it whatever way the process ends.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = opened.map_err(|source| OpenError::Io {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// Why a log does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refuses a file operation.
    #[error("the audit log in {} cannot be used", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process writes this log.
    #[error("another process holds {}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A segment size that the log cannot work with.
    #[error(
        "a segment has a multiple of 4096 bytes, at least {MIN_SEGMENT}; {given} was configured"
    )]
    SegmentSize {
        /// Bytes configured.
        given: u64,
    },
    /// The write-ahead log is damaged or not ours.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The log's state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// An intent on record cannot be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log's key cannot be used.
    #[error("the log's signing key cannot be used")]
    Key(#[from] NoteError),
}

impl Fault for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::DataDir,
            Self::Locked { .. } => Code::LogFenced,
            Self::SegmentSize { .. } => Code::ConfigInvalid,
            Self::Recover(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Key(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => {
                "Check that the data directory is mounted and belongs to this user.".into()
            }
            Self::Locked { .. } => {
                "Stop the other node, or give this one a data directory of its own.".into()
            }
            Self::SegmentSize { .. } | Self::Key(_) => String::new(),
            Self::Recover(error) => error.help(),
            Self::State(error) => error.help(),
            Self::Read(error) => error.help(),
        }
    }
}
