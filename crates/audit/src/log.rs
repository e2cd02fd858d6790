//! One node's log, open for writing: the recorder that everything in the process shares.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bailiwick_core::event::Event;
use bailiwick_core::{Clock, Rng, Timestamp};
use bailiwick_crypto::note::NoteSigner;
use tokio::sync::{oneshot, watch};

use crate::disk::{Disk, SystemDisk};
use crate::housekeeping::Wake;
use crate::leaf::Source;
use crate::read::{Directory, Entries, Opener};
use crate::record::{Class, RecordError, Recorder, Recording, Unavailable};
use crate::seal::{Kek, Payload};
use crate::standing::{CheckpointStore, Volatile};
use crate::wal::commit::{Abort, Roll};
use crate::wal::queue::{Pending, Queue};
use crate::wal::spare::Spare;

use encoder::Encoder;
pub use keks::RotateError;
pub use open::OpenError;
pub use privacy::{Piece, RevealLogError, Stretch};

mod assemble;
mod encoder;
mod found;
mod keks;
mod open;
mod privacy;
mod unanswered;

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
    /// Keys that did before, newest first, where re-wrapping was interrupted ([`Log::rotate_kek`]).
    pub older_keks: Vec<Kek>,
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
    /// Beyond this many bytes of write-ahead log that are not in tiles only what narrows authority is recorded. Default 4 GiB.
    pub max_untiled: u64,
    /// Time between checkpoints while the log grows. Default 1 s.
    pub publish_every: Duration,
    /// Longest sealed value that is kept; longer ones are committed to only. Default 256 KiB.
    pub value_max: usize,
    /// Which values are kept. Default: all.
    pub payload: Payload,
    /// How long leaves are kept. Default: 400 days.
    pub retention: Duration,
    /// How long kept values are. Default: 90 days.
    pub payload_retention: Duration,
    /// Nothing recorded from then on is erased or pruned.
    pub hold_from: Option<Timestamp>,
    /// Remembers how far the log was signed and who writes it, apart from its directory. Default: memory, which notices nothing; a node
    /// gives its store.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Checkpoints of this log that others hold, such as its witnesses. Those that a key of the log signed have to be continued.
    pub seen: Vec<Vec<u8>>,
    /// Called when the disk cannot be trusted any more, or another writer took the log over. Ends the process by default.
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
            older_keks: Vec::new(),
            clock,
            rng,
            disk: Arc::new(SystemDisk),
            segment_size: 64 << 20,
            min_free: 1 << 30,
            max_untiled: 4 << 30,
            publish_every: Duration::from_secs(1),
            value_max: 256 << 10,
            payload: Payload::default(),
            retention: Duration::from_hours(400 * 24),
            payload_retention: Duration::from_hours(90 * 24),
            hold_from: None,
            checkpoints: Arc::new(Volatile::default()),
            seen: Vec::new(),
            abort: Arc::new(|reason| {
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
    pub(crate) spare: Arc<Spare>,
    wake: Arc<Wake>,
    disk: Arc<dyn Disk>,
    roll: Arc<Roll>,
    hold_from: Option<Timestamp>,
    /// Held while an erasure goes on.
    erasing: tokio::sync::Mutex<()>,
    threads: Mutex<Option<(JoinHandle<()>, JoinHandle<()>)>>,
    /// Held as long as anything here may write.
    _lock: File,
}

impl Log {
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

    /// Whether an erasure is being carried out: what lies beside the tree may still be from before it.
    pub fn is_erasing(&self) -> bool {
        self.dir.join(crate::erase::FILE).exists()
    }

    /// Whether space is so short that only what narrows authority is recorded.
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed) || self.spare.failed()
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

    /// A reader of kept values, for an index.
    pub fn opener(&self) -> Opener {
        let keks = self.encoder.keks.clone();
        self.directory().opener_asking(Box::new(move || keks.all()))
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

#[cfg(test)]
mod tests;
