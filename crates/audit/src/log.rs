//! One node's log, open for writing: the recorder that everything in the process shares.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bailiwick_core::event::{ChangeRef, Event, EventType};
use bailiwick_core::{Clock, Code, Fault, Id, Rng};
use bailiwick_crypto::note::{NoteError, NoteSigner};
use tokio::sync::{oneshot, watch};

use crate::checkpoint::{self, Checkpoint};
use crate::disk::{Disk, SystemDisk};
use crate::hlc::{Hlc, HlcClock};
use crate::housekeeping::{Housekeeping, Wake};
use crate::leaf::{Leaf, Source};
use crate::read::{Directory, Entries};
use crate::record::{Class, RecordError, Recorder, Recording, Unavailable};
use crate::seal::{self, Kek};
use crate::tiler::Tiler;
use crate::wal::commit::{Abort, Commit, Notice, Standing};
use crate::wal::queue::{Pending, Queue};
use crate::wal::recover::{RecoverError, recover};
use crate::wal::scan::Scan;
use crate::wal::segment;
use crate::wal::spare::Spare;
use crate::wal::writer::Writer;

/// Smallest segment: one event with all its kept values, twice over.
pub const MIN_SEGMENT: u64 = 2 << 20;

/// How a log is opened.
pub struct Options {
    /// The log's directory; made with mode 0700 if it is not there.
    pub dir: PathBuf,
    /// The node's name, as leaves carry it.
    pub node: String,
    /// The recording program, as leaves carry it.
    pub source: Source,
    /// Signs checkpoints; its name is the log's origin, `<trust domain>/<node>`.
    pub signer: NoteSigner,
    /// Wraps the keys of sealed values.
    pub kek: Kek,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The disk; tests put one that fails here.
    pub disk: Arc<dyn Disk>,
    /// Bytes of a segment, a multiple of 4096 from [`MIN_SEGMENT`] up. Default 64 MiB.
    pub segment_size: u64,
    /// Below this much free space only what narrows authority is recorded. Default 1 GiB.
    pub min_free: u64,
    /// Time between checkpoints while the log grows. Default 1 s.
    pub publish_every: Duration,
    /// Longest sealed value that is kept; longer ones are committed to only. Default 256 KiB.
    pub value_max: usize,
    /// Called when the disk cannot be trusted any more. Ends the process by default.
    pub abort: Abort,
}

impl Options {
    /// Defaults for everything that has one.
    pub fn new(
        dir: PathBuf,
        node: String,
        signer: NoteSigner,
        kek: Kek,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            dir,
            node,
            source: Source {
                svc: "serve".into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            signer,
            kek,
            clock,
            rng,
            disk: Arc::new(SystemDisk),
            segment_size: 64 << 20,
            min_free: 1 << 30,
            publish_every: Duration::from_secs(1),
            value_max: 256 << 10,
            abort: Box::new(|reason| {
                tracing::error!(reason, "aborting");
                std::process::abort();
            }),
        }
    }
}

/// An open log. Dropping it writes what waits, publishes a last checkpoint and releases the directory.
pub struct Log {
    origin: Arc<str>,
    dir: PathBuf,
    queue: Arc<Queue>,
    encoder: Arc<Encoder>,
    durable: watch::Receiver<u64>,
    published: watch::Receiver<u64>,
    degraded: Arc<AtomicBool>,
    wake: Arc<Wake>,
    threads: Mutex<Option<(JoinHandle<()>, JoinHandle<()>)>>,
    /// Held as long as anything here may write.
    _lock: File,
}

impl Log {
    /// Takes the directory's lock, recovers, and starts to accept events. Reads the whole write-ahead log; call it where blocking is
    /// allowed.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        if options.segment_size < MIN_SEGMENT || !options.segment_size.is_multiple_of(4096) {
            return Err(OpenError::SegmentSize {
                given: options.segment_size,
            });
        }
        let dir = options.dir.clone();
        let io = |source| OpenError::Io {
            path: dir.clone(),
            source,
        };
        let wal = dir.join("wal");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&wal)
            .map_err(io)?;
        let lock = lock(&dir)?;
        let origin: Arc<str> = options.signer.name().into();
        let published = stored_checkpoint(&dir, &options.signer)?;
        let published_size = published.as_ref().map_or(0, |checkpoint| checkpoint.size);
        let recovered = recover(
            &*options.disk,
            &wal,
            &origin,
            options.segment_size,
            published_size,
        )?;
        if let Some(checkpoint) = published {
            match recovered.root_at {
                Some(root) if root == checkpoint.root => {}
                Some(_) => {
                    return Err(OpenError::Contradiction {
                        size: checkpoint.size,
                    });
                }
                None => {
                    return Err(OpenError::RolledBack {
                        signed: checkpoint.size,
                        found: recovered.tree.size(),
                    });
                }
            }
        }

        let size = recovered.tree.size();
        let (durable, durable_seen) = watch::channel(size);
        let (publish, published_seen) = watch::channel(published_size);
        let batch_bytes = usize::try_from(options.segment_size - 4096).unwrap_or(usize::MAX);
        let queue = Arc::new(Queue::new(batch_bytes));
        let spare = Arc::new(Spare::new(segment::has_spare(&wal)));
        let wake = Arc::new(Wake::default());
        let degraded = Arc::new(AtomicBool::new(false));
        let encoder = Arc::new(Encoder {
            node: options.node,
            source: options.source,
            kek: options.kek,
            value_max: options.value_max,
            hlc: HlcClock::after(Hlc(recovered.hlc)),
            clock: options.clock.clone(),
            rng: options.rng,
        });
        let origin_hash = crate::origin_hash(&origin);
        let scan = Scan::start(&wal, Some(origin_hash), 0).map_err(io)?;
        let scan = scan.ok_or_else(|| io(io::Error::other("segment 0 cannot be read back")))?;
        let housekeeping = Housekeeping {
            disk: options.disk.clone(),
            clock: options.clock.clone(),
            wal: wal.clone(),
            segment_size: options.segment_size,
            spare: spare.clone(),
            wake: wake.clone(),
            durable: durable_seen.clone(),
            published: publish,
            publish_every: options.publish_every,
            tiler: Tiler::new(options.disk.clone(), dir.clone(), options.signer, scan),
        };
        let epoch = recovered.place.epoch + u64::from(size > 0);
        let writer = Writer::resume(
            options.disk.clone(),
            wal,
            origin_hash,
            epoch,
            recovered.place,
            recovered.tree,
        )
        .map_err(io)?;
        let mut opening = Vec::new();
        if recovered.zeroed > 0 {
            opening.push(Notice::Recovered {
                zeroed: recovered.zeroed,
            });
        }
        opening.push(Notice::Opened);
        let commit = Commit {
            writer,
            queue: queue.clone(),
            spare,
            disk: options.disk,
            clock: options.clock,
            origin: origin.clone(),
            dir: dir.clone(),
            min_free: options.min_free,
            durable,
            degraded: degraded.clone(),
            wake: wake.clone(),
            announce: announcer(encoder.clone(), origin.clone()),
            abort: options.abort,
            standing: Standing::default(),
        };
        let threads = start(commit, opening, housekeeping, &queue, &wake).map_err(io)?;
        Ok(Self {
            origin,
            dir,
            queue,
            encoder,
            durable: durable_seen,
            published: published_seen,
            degraded,
            wake,
            threads: Mutex::new(Some(threads)),
            _lock: lock,
        })
    }

    /// The log's name: `<trust domain>/<node>`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of durable events.
    pub fn size(&self) -> u64 {
        *self.durable.borrow()
    }

    /// Changes whenever more events are durable; what followers wait on.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }

    /// Size of the newest published checkpoint; changes with each.
    pub fn published(&self) -> watch::Receiver<u64> {
        self.published.clone()
    }

    /// Whether space is so short that only what narrows authority is recorded.
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }

    /// Reads durable events from index `from` on. Ends at the durable size of the moment each event is asked for, so it can be asked
    /// again after [`Log::watch`] changed. Reads files: call it where blocking is allowed.
    pub fn read(&self, from: u64) -> Entries {
        self.directory().entries(from).up_to(self.durable.clone())
    }

    /// The log's files, for proofs and reveals.
    pub fn directory(&self) -> Directory {
        Directory::new(self.dir.clone())
    }

    /// Stops taking events, writes those that wait and `log.closed`, publishes, and ends the log's threads. Blocks.
    pub fn close(&self) {
        self.queue.close();
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((commit, housekeeping)) = threads {
            // A thread that panicked has refused everything already; there is nothing to add to that here.
            let _ = commit.join();
            self.wake.stop();
            let _ = housekeeping.join();
        }
    }
}

impl Recorder for Log {
    fn record(&self, event: Event, class: Class) -> Recording {
        let (answer, waiting) = oneshot::channel();
        let pending = match self.encoder.encode(event, class) {
            Ok(pending) => Pending {
                answer: Some(answer),
                ..pending
            },
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let refused = self.queue.try_push(pending).err();
        let queue = self.queue.clone();
        Box::pin(async move {
            if let Some(pending) = refused {
                queue.push(pending).await;
            }
            waiting
                .await
                .unwrap_or(Err(RecordError::Unavailable(Unavailable::Stopped)))
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// Gives events their stored form: numbered, stamped, sealed.
struct Encoder {
    node: String,
    source: Source,
    kek: Kek,
    value_max: usize,
    hlc: HlcClock,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Encoder {
    fn encode(&self, mut event: Event, class: Class) -> Result<Pending, RecordError> {
        let id = event.id;
        let values = std::mem::take(&mut event.sealed);
        let sealed = seal::seal(&self.kek, &*self.rng, id, &values, self.value_max)?;
        let hlc = self.hlc.tick(&*self.clock);
        let leaf = Leaf {
            v: 1,
            node: self.node.clone(),
            src: self.source.clone(),
            ts: self.clock.wall(),
            hlc,
            event,
            sealed: sealed.commitments,
        };
        Ok(Pending {
            id,
            class,
            hlc,
            leaf: leaf.encode()?,
            slot: sealed.slot,
            sealed: sealed.sealed,
            answer: None,
        })
    }
}

/// What the log says of itself, as events.
fn announcer(
    encoder: Arc<Encoder>,
    origin: Arc<str>,
) -> Box<dyn Fn(Notice) -> Option<Pending> + Send> {
    Box::new(move |notice| {
        let (kind, after) = match notice {
            Notice::Opened => (EventType::LogOpened, None),
            Notice::Closed => (EventType::LogClosed, None),
            Notice::Recovered { zeroed } => (
                EventType::LogRecovered,
                Some(format!("zeroed {zeroed} bytes of a torn last write")),
            ),
            Notice::Degraded { reason } => (EventType::LogDegraded, Some(reason)),
            Notice::Restored { refused } => (
                EventType::LogRestored,
                Some(format!("{refused} events could only be counted")),
            ),
        };
        let mut event = Event::new(Id::new(&*encoder.clock, &*encoder.rng), kind);
        event.change = Some(ChangeRef {
            kind: "log".into(),
            id: origin.to_string(),
            before: None,
            after,
        });
        match encoder.encode(event, Class::Narrow) {
            Ok(pending) => Some(pending),
            Err(error) => {
                tracing::error!(%error, kind = kind.as_str(), "the log cannot record its own event");
                None
            }
        }
    })
}

fn start(
    commit: Commit,
    opening: Vec<Notice>,
    housekeeping: Housekeeping,
    queue: &Arc<Queue>,
    wake: &Arc<Wake>,
) -> io::Result<(JoinHandle<()>, JoinHandle<()>)> {
    let housekeeping = std::thread::Builder::new()
        .name("audit-tiles".into())
        .spawn(move || housekeeping.run())?;
    let watched = queue.clone();
    let commit = std::thread::Builder::new()
        .name("audit-commit".into())
        .spawn(move || {
            // A defect in this thread must not leave producers waiting for ever.
            if catch_unwind(AssertUnwindSafe(|| commit.run(opening))).is_err() {
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

/// The newest checkpoint that this node signed, if its file is there and whole. A stop may have left it empty: it is not synced.
fn stored_checkpoint(dir: &Path, signer: &NoteSigner) -> Result<Option<Checkpoint>, OpenError> {
    let path = dir.join(checkpoint::FILE);
    let note = match fs::read(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::Io { path, source }),
    };
    let verifier = signer.verifier()?;
    match Checkpoint::verify(&note, std::slice::from_ref(&verifier)) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(error) => {
            tracing::warn!(%error, "the stored checkpoint is not readable; a new one will be published");
            Ok(None)
        }
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
    /// A checkpoint of a larger tree was signed than the data holds.
    #[error(
        "a checkpoint for {signed} events was signed, but the data directory holds {found}: it was rolled back"
    )]
    RolledBack {
        /// Events signed for.
        signed: u64,
        /// Events found.
        found: u64,
    },
    /// The data contradicts a signed checkpoint.
    #[error("the first {size} events do not have the root that was signed for them")]
    Contradiction {
        /// Events signed for.
        size: u64,
    },
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
            Self::RolledBack { .. } | Self::Contradiction { .. } => Code::LogCorrupt,
            Self::Key(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check that the data directory is mounted and belongs to this user.".into(),
            Self::Locked { .. } => "Stop the other node, or give this one a data directory of its own.".into(),
            Self::SegmentSize { .. } | Self::Key(_) => String::new(),
            Self::Recover(error) => error.help(),
            Self::RolledBack { .. } | Self::Contradiction { .. } => {
                "Restore the newest copy of the data directory; keep this one as evidence. Nothing was changed.".into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
