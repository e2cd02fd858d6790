//! One node's log, open for writing: the recorder that everything in the process shares.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bailiwick_core::event::Event;
use bailiwick_core::{Clock, Rng, Timestamp};
use bailiwick_crypto::note::{NoteSigner, NoteVerifier};
use tokio::sync::{oneshot, watch};

use crate::disk::{Disk, SystemDisk};
use crate::elapsed::{Elapsed, Reading};
use crate::housekeeping::Wake;
use crate::leaf::Source;
use crate::read::{Directory, Entries, Opener};
use crate::record::{Class, RecordError, Recorder, Recording, Unavailable};
use crate::scrub::{self, Scrub, Scrubbed};
use crate::seal::{Kek, Payload};
use crate::signers::{Signers, SignersError};
use crate::standing::{CheckpointStore, Volatile};
use crate::verify::Verdict;
use crate::wal::commit::{Abort, Roll};
use crate::wal::queue::{Pending, Queue};
use crate::wal::spare::Spare;

use encoder::Encoder;
pub use keks::RotateError;
pub use open::OpenError;
pub(crate) use open::{lock, probe};
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
    pub signer: Arc<NoteSigner>,
    /// Keys that signed before and still do beside it, newest first ([`Log::rotate_key`]).
    pub older_signers: Vec<Arc<NoteSigner>>,
    /// Keys that signed once: what they signed is still held against the log.
    pub former: Vec<NoteVerifier>,
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
    /// Time between two looks of the scrubber at everything. Default: a week.
    pub scrub_every: Duration,
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
            signer: Arc::new(signer),
            older_signers: Vec::new(),
            former: Vec::new(),
            kek,
            older_keks: Vec::new(),
            clock,
            rng,
            disk: Arc::new(SystemDisk),
            segment_size: 64 << 20,
            min_free: 1 << 30,
            max_untiled: 4 << 30,
            publish_every: Duration::from_secs(1),
            scrub_every: scrub::EVERY,
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

/// What runs a log.
struct Threads {
    commit: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
    scrub: JoinHandle<()>,
}

/// An open log. Dropping it writes what waits, publishes a last checkpoint and releases the directory.
pub struct Log {
    origin: Arc<str>,
    signers: Arc<Signers>,
    dir: PathBuf,
    queue: Arc<Queue>,
    encoder: Arc<Encoder>,
    durable: watch::Receiver<u64>,
    published: watch::Receiver<u64>,
    degraded: Arc<AtomicBool>,
    pub(crate) spare: Arc<Spare>,
    wake: Arc<Wake>,
    elapsed: Arc<Mutex<Elapsed>>,
    disk: Arc<dyn Disk>,
    roll: Arc<Roll>,
    hold_from: Option<Timestamp>,
    /// Held while an erasure goes on.
    erasing: tokio::sync::Mutex<()>,
    scrub: Arc<Scrub>,
    scrubbed: watch::Receiver<Option<Scrubbed>>,
    threads: Mutex<Option<Threads>>,
    /// Held as long as anything here may write.
    _lock: File,
}

impl Log {
    /// The log's name: `<trust domain>/<node>`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Keys that verify its checkpoints, newest first; those that sign no more among them.
    pub fn verifiers(&self) -> Vec<NoteVerifier> {
        self.signers.verifiers()
    }

    /// The newest key that signs its checkpoints, in text form.
    pub fn vkey(&self) -> String {
        let newest = self.signers.signing().into_iter().next();
        newest.map_or_else(String::new, |key| key.vkey())
    }

    /// Keys that sign its checkpoints, newest first: one, but for a time after it was replaced.
    pub fn signing(&self) -> Vec<NoteVerifier> {
        self.signers.signing()
    }

    /// Signs checkpoints with `newest` too, from the next on, which is made at once. That it does has to be on record before.
    pub fn rotate_key(&self, newest: NoteSigner) -> Result<(), SignersError> {
        self.signers.add(Arc::new(newest))?;
        self.wake.urge();
        Ok(())
    }

    /// Signs with the newest key only, from the next checkpoint on.
    pub fn drop_older_keys(&self) {
        self.signers.drop_older();
        self.wake.urge();
    }

    /// What the scrubber found when it last looked at everything; changes with each look. `None` before the first of this run.
    pub fn scrubbed(&self) -> watch::Receiver<Option<Scrubbed>> {
        self.scrubbed.clone()
    }

    /// Whether a file did not verify when the scrubber last looked at all of them.
    pub fn is_damaged(&self) -> bool {
        let scrubbed = self.scrubbed.borrow();
        let verdict = scrubbed.as_ref().map(|scrubbed| &scrubbed.verdict);
        verdict.is_some_and(|verdict| !matches!(verdict, Verdict::Proven(_)))
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

    /// The time to destroy things by: never later than what has passed, whatever the wall clock says.
    pub fn earliest(&self) -> Timestamp {
        let read = Reading::of(&*self.encoder.clock);
        let elapsed = self.elapsed.lock();
        elapsed
            .unwrap_or_else(PoisonError::into_inner)
            .earliest(read)
    }

    /// Whether the wall clock differs from the time that passed by more than [`crate::elapsed::BOUND`].
    pub fn is_clock_off(&self) -> bool {
        let read = Reading::of(&*self.encoder.clock);
        let elapsed = self.elapsed.lock();
        elapsed.unwrap_or_else(PoisonError::into_inner).is_off(read)
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

    /// Whether keys of events may still be wrapped by a key that is being replaced.
    pub fn is_rewrapping(&self) -> bool {
        self.encoder.keks.all().len() > 1
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
        if let Some(threads) = threads {
            self.scrub.stop();
            // A thread that panicked has refused everything already; there is nothing to add to that here.
            let _ = threads.commit.join();
            self.wake.stop();
            let _ = threads.housekeeping.join();
            let _ = threads.scrub.join();
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
        let refused = refused.map(|pending| (self.queue.clone(), pending));
        Box::pin(async move {
            if let Some((queue, pending)) = refused {
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
