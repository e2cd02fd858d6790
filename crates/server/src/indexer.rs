//! Keeps the index of this node's record: follows the log, makes good what is missing, lets go of what was erased; and answers from the
//! index and, behind it, from the log itself.
//!
//! The index is a projection. Whatever goes wrong here is logged and tried again; nothing of the record depends on it.

mod asked;
mod metrics;
mod search;
mod wanted;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::projection::IndexKey;
use bailiwick_audit::read::{Directory, Entries, Entry, Opener, ReadError};
use bailiwick_core::event::EventType;
use bailiwick_core::index::{EventIndex, IndexError, Row, day_of};
use bailiwick_core::{Code, Fault};
use bailiwick_store::LocalIndex;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

pub use asked::Asked;
pub use metrics::IndexMetrics;
pub use search::{Answer, Behind, MAX_TAIL};
pub use wanted::Wanted;

/// Leaves that are read and stored at once.
const BATCH: u64 = 2_048;
/// How long new events are gathered before they are stored: one commit for many.
const LINGER: Duration = Duration::from_millis(100);
/// How often it is looked whether files of the index are gone.
const LOOK: Duration = Duration::from_secs(5);
/// How often tokens of values and days that are too old to be kept are looked for.
const SWEEP: Duration = Duration::from_hours(1);
/// The wait after a failure, and its bound as it doubles.
const RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);
/// Longest wait for the index to catch up; a request may take a minute.
pub const WAIT: Duration = Duration::from_secs(50);
/// Leaves with tokens that are looked at together.
const TOKENS: usize = 100_000;

/// The indexer of one node.
pub struct Indexer {
    log: Arc<Log>,
    origin: Arc<str>,
    key: IndexKey,
    dir: PathBuf,
    /// Opened at first use: a node starts without its index.
    index: Mutex<Option<Arc<LocalIndex>>>,
    /// Held from reading leaves until their rows are stored.
    work: Mutex<Work>,
    /// Leaves below it are in the index.
    indexed: watch::Sender<u64>,
    wake: Notify,
    metrics: IndexMetrics,
}

/// Where the indexer stands.
#[derive(Default)]
struct Work {
    reader: Option<Reader>,
    /// Whether tokens of erased values may be left.
    sweep: bool,
    looked: bool,
}

/// Reads leaves in order, with what their kept arguments name.
struct Reader {
    entries: Entries,
    opener: Opener,
}

/// Why indexing stopped for now.
#[derive(Debug, thiserror::Error)]
pub enum IndexingError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The log.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log's directory.
    #[error("the log's directory cannot be read")]
    Io(#[from] std::io::Error),
}

impl Fault for IndexingError {
    fn code(&self) -> Code {
        match self {
            Self::Index(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Io(_) => Code::StoreUnavailable,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Index(error) => error.help(),
            Self::Read(error) => error.help(),
            Self::Io(_) => "Check the node's data disk.".into(),
        }
    }
}

/// Where the index of a data directory is.
pub fn directory_of(data_dir: &Path) -> PathBuf {
    data_dir.join("audit").join("index")
}

impl Indexer {
    /// An indexer of `log` that keeps its files in `dir`.
    pub fn new(log: Arc<Log>, key: IndexKey, dir: PathBuf) -> Self {
        Self {
            origin: log.origin().into(),
            log,
            key,
            dir,
            index: Mutex::default(),
            work: Mutex::new(Work {
                sweep: true,
                ..Work::default()
            }),
            indexed: watch::Sender::new(0),
            wake: Notify::new(),
            metrics: IndexMetrics::default(),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> &IndexMetrics {
        &self.metrics
    }

    /// Leaves below it are in the index, as far as is known.
    pub fn indexed(&self) -> u64 {
        *self.indexed.borrow()
    }

    /// Waits until everything that is on record now is in the index, at most [`WAIT`].
    pub async fn caught_up(self: &Arc<Self>) {
        let size = self.log.size();
        let mut indexed = self.indexed.subscribe();
        let this = Arc::clone(self);
        // What is lost, or somebody altered, was not seen yet by who makes it good.
        let looked = spawn_blocking(move || {
            let known = first_unknown(&*this.index()?, &this.origin)?;
            this.indexed.send_if_modified(|indexed| {
                let less = known < *indexed;
                *indexed = known.min(*indexed);
                less
            });
            Ok::<_, IndexError>(())
        });
        if let Ok(Err(error)) = looked.await {
            tracing::warn!(%error, "the index cannot be looked at");
        }
        self.wake.notify_one();
        let there = indexed.wait_for(|indexed| *indexed >= size);
        // Past the bound the answer says itself that it is behind.
        let _ = tokio::time::timeout(WAIT, there).await;
    }

    /// Drops the index, so that it is made again from the record.
    pub fn reindex(&self) -> Result<(), IndexError> {
        let mut work = self.working();
        self.index()?.clear()?;
        *work = Work::default();
        self.indexed.send_replace(0);
        drop(work);
        self.wake.notify_one();
        Ok(())
    }

    /// Drops the tokens of values that were erased or are older than values are kept, and days older than the log. True if that is done, false if an erasure is still under way.
    pub fn sweep(&self) -> Result<bool, IndexingError> {
        let mut work = self.working();
        work.sweep = true;
        let directory = self.log.directory();
        if directory.is_erasing()? {
            return Ok(false);
        }
        // What a reader had in hand may have been erased since.
        work.reader = None;
        let index = self.index()?;
        let (mut from, mut erased) = (0, Vec::new());
        loop {
            let leaves = index.with_tokens(&self.origin, from, TOKENS)?;
            let Some(last) = leaves.last() else { break };
            from = last + 1;
            erased.extend(directory.erased(leaves)?);
        }
        if !erased.is_empty() {
            index.forget(&self.origin, &erased)?;
        }
        prune(&*index, &directory)?;
        work.sweep = false;
        Ok(true)
    }

    /// Follows the log until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> &'static str {
        let mut durable = self.log.watch();
        let mut retry = RETRY;
        let mut sweeps = tokio::time::interval(SWEEP);
        let mut due = false;
        loop {
            durable.borrow_and_update();
            let indexer = Arc::clone(&self);
            let sweep = std::mem::take(&mut due);
            let stepped = spawn_blocking(move || {
                indexer.working().sweep |= sweep;
                indexer.step()
            });
            let stepped = stepped.await;
            let rest = match stepped {
                Ok(Ok(true)) => {
                    retry = RETRY;
                    if stop.is_cancelled() {
                        return "indexer";
                    }
                    continue;
                }
                Ok(Ok(false)) => {
                    retry = RETRY;
                    None
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the index of the record cannot be kept up now");
                    Some(retry)
                }
                Err(error) => {
                    tracing::error!(%error, "indexing broke off");
                    Some(retry)
                }
            };
            let rested = async {
                if let Some(rest) = rest {
                    retry = (retry * 2).min(MAX_RETRY);
                    tokio::time::sleep(rest).await;
                    return;
                }
                let grown = async {
                    // A log that has ended grows no more.
                    if durable.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    tokio::time::sleep(LINGER).await;
                };
                tokio::select! {
                    () = grown => {}
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                    _ = sweeps.tick() => due = true,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return "indexer",
                () = rested => {}
            }
        }
    }

    /// Stores what is missing first, a batch of it; true if there may be more. Blocks.
    fn step(&self) -> Result<bool, IndexingError> {
        let mut work = self.working();
        let index = self.index()?;
        if !work.looked {
            // An erasure that ended after its event was indexed may have left tokens.
            work.looked = true;
            self.indexed
                .send_replace(first_unknown(&*index, &self.origin)?);
        }
        let size = self.log.size();
        if index.check()? {
            self.publish(&*index, size)?;
            return Ok(true);
        }
        let gaps = index.gaps(&self.origin)?;
        let Some(gap) = gaps.into_iter().find(|gap| gap.start < size) else {
            self.publish(&*index, size)?;
            let sweep = work.sweep;
            drop(work);
            if sweep {
                self.sweep()?;
            }
            return Ok(false);
        };
        let end = gap.end.min(size).min(gap.start + BATCH);
        let reader = match work.reader.take() {
            Some(reader) if reader.entries.position() == gap.start => reader,
            _ => Reader {
                entries: self.log.read(gap.start),
                opener: self.log.opener(),
            },
        };
        let reader = work.reader.insert(reader);
        let stored = store(&*index, &self.origin, &self.key, reader, end);
        match stored {
            Ok(rows) => {
                let moved = reader.entries.position() > gap.start;
                work.sweep |= rows.iter().any(|row| row.kind == EventType::LogErased);
                self.publish(&*index, size)?;
                Ok(moved)
            }
            Err(error) => {
                // It may have read further than was stored.
                work.reader = None;
                Err(error)
            }
        }
    }

    fn publish(&self, index: &dyn EventIndex, size: u64) -> Result<(), IndexError> {
        let indexed = first_unknown(index, &self.origin)?;
        self.indexed.send_replace(indexed);
        self.metrics.stand(indexed, size);
        Ok(())
    }

    fn index(&self) -> Result<Arc<LocalIndex>, IndexError> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*index {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(LocalIndex::open(&self.dir, self.key.of_files())?);
        *index = Some(Arc::clone(&open));
        Ok(open)
    }

    fn working(&self) -> MutexGuard<'_, Work> {
        // Whoever panicked left a reader that is behind or ahead; a step takes it only where it fits.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the days whose leaves are all gone. Events of one moment may stand on two days, so the day is that of an hour before.
fn prune(index: &dyn EventIndex, directory: &Directory) -> Result<(), IndexingError> {
    let minimum = directory.minimum()?;
    if minimum == 0 {
        return Ok(());
    }
    if let Some(first) = directory.entry(minimum)? {
        let hour: u64 = 3_600_000 << 16;
        let hlc = first.parse()?.hlc.0;
        index.prune(&day_of(hlc.saturating_sub(hour)))?;
    }
    Ok(())
}

/// Makes the index of a log anew from its files alone: no node may be writing it. Leaves indexed.
pub fn rebuild(
    directory: &Directory,
    origin: &str,
    key: &IndexKey,
    opener: Opener,
    dir: &Path,
) -> Result<u64, IndexingError> {
    let index = LocalIndex::open(dir, key.of_files())?;
    index.clear()?;
    let mut reader = Reader {
        entries: directory.entries(0),
        opener,
    };
    let origin = origin.into();
    loop {
        let from = reader.entries.position();
        store(&index, &origin, key, &mut reader, from + BATCH)?;
        if reader.entries.position() == from {
            return Ok(from);
        }
    }
}

/// Reads leaves up to `end` or as far as there are any, and stores their rows.
fn store(
    index: &dyn EventIndex,
    origin: &Arc<str>,
    key: &IndexKey,
    reader: &mut Reader,
    end: u64,
) -> Result<Vec<Row>, IndexingError> {
    let from = reader.entries.position();
    let mut rows = Vec::new();
    while reader.entries.position() < end {
        let Some(entry) = reader.entries.next() else {
            break;
        };
        rows.extend(project(key, origin, &entry?, &mut reader.opener)?);
    }
    index.put(origin, from..reader.entries.position(), &rows)?;
    Ok(rows)
}

/// The row of a leaf; none of one that this version does not read. Nobody finds such an event here, and nothing stops for it.
fn project(
    key: &IndexKey,
    origin: &Arc<str>,
    entry: &Entry,
    opener: &mut Opener,
) -> Result<Option<Row>, ReadError> {
    match key.project(origin, entry, opener) {
        Ok(row) => Ok(Some(row)),
        Err(ReadError::Leaf { index, source }) => {
            tracing::warn!(index, %source, "an event is of a form that this version does not read; it is not in the index");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Leaves below it are in the index, and that is as it was stored.
fn first_unknown(index: &dyn EventIndex, origin: &str) -> Result<u64, IndexError> {
    let unknown = index.unknown(origin)?;
    Ok(unknown.iter().map(|part| part.start).min().unwrap_or(0))
}

#[cfg(test)]
pub(crate) mod tests;
