//! Ships the log to a place outside the node, so that a lost node loses seconds of its record, not the record. What is written once (full
//! tiles, bundles) is created and never overwritten; payloads and keys follow erasures; the checkpoint comes last, so whatever it covers
//! is there. Everything is read back and compared.
//!
//! The place says how far it is: its checkpoint, which has to carry this log's signature. So nothing has to be remembered here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::checkpoint::{self, Checkpoint, CheckpointError};
use bailiwick_audit::proof::TileReadError;
use bailiwick_audit::published;
use bailiwick_audit::read::{Directory, ReadError, Unfinished};
use bailiwick_audit::witnessed::{self, Continuation};
use bailiwick_core::Clock;
use bailiwick_core::event::EventType;
use bailiwick_crypto::hash::sha256;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use prometheus_client::registry::Registry;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

pub use copy::{Copied, CopyError, copy};
pub use metrics::ShipMetrics;
pub use place::{Place, PlaceError, Stored};

mod copy;
mod metrics;
mod place;

/// Files that are sent at once.
const AT_ONCE: usize = 8;

/// Ships one log to one place.
pub struct Shipper {
    place: Place,
    every: Duration,
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    metrics: ShipMetrics,
    /// Whether payloads and keys were all sent since the node started: an erasure may have been carried out while nothing was shipped.
    settled: AtomicBool,
    /// Whether keys were wrapped anew since all of them were sent.
    rewrapped: AtomicBool,
}

/// Why a round ended early. The next one tries again.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    #[error("a tile cannot be read")]
    Tile(#[from] TileReadError),
    #[error("a checkpoint is not good")]
    Checkpoint(#[from] CheckpointError),
    #[error("{} cannot be read", file.display())]
    Local {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is another file there than here, and is not overwritten", file.display())]
    Other { file: PathBuf },
    #[error("{} was sent and reads back as something else", file.display())]
    Garbled { file: PathBuf },
    #[error("the log there is {0}: nothing is shipped over it")]
    Contradiction(&'static str),
    #[error("reading stopped")]
    Stopped(#[from] JoinError),
}

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Create,
    Replace,
}

impl Shipper {
    /// Ships `log`.
    pub fn new(place: Place, every: Duration, log: Arc<Log>, clock: Arc<dyn Clock>) -> Self {
        Self {
            place,
            every,
            log,
            clock,
            metrics: ShipMetrics::default(),
            settled: AtomicBool::new(false),
            rewrapped: AtomicBool::new(false),
        }
    }

    /// Adds the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Ships until `stop`, and once more then. What is recorded while the node ends is shipped after its next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> &'static str {
        loop {
            let stopped = stop.is_cancelled();
            match self.round().await {
                Ok(size) => self
                    .metrics
                    .shipped(size, self.log.size(), self.clock.wall()),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(place = %self.place, error = %chain(error), "the log was not shipped");
                    self.metrics.failed(self.log.size());
                }
            }
            if stopped {
                return "shipping";
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    /// Sends what the newest checkpoint covers. Gives the size that is there then.
    async fn round(&self) -> Result<u64, RoundError> {
        let directory = self.log.directory();
        let note = read(&directory, Directory::checkpoint).await?;
        let Some(note) = note else { return Ok(0) };
        // Looked at after the checkpoint: an erasure that it covers is either still being carried out, or done.
        if self.log.is_erasing() {
            return Ok(self.shipped().await?.map_or(0, |there| there.size));
        }
        let now = Checkpoint::verify(&note, &self.log.verifiers())?;
        let there = self.shipped().await?;
        if let Some(there) = &there {
            self.check(&directory, &now, there).await?;
        }
        let from = there.as_ref().map_or(0, |there| there.size);
        let settled = self.settled.load(Ordering::Relaxed);
        // Before any file is read: what is read later is wrapped anew, or is sent once more when all of it is.
        let wrapping = self.log.is_rewrapping();
        if wrapping {
            self.rewrapped.store(true, Ordering::Relaxed);
        }
        let again = !wrapping && self.rewrapped.load(Ordering::Relaxed);
        if from == now.size && settled && !again {
            return Ok(from);
        }
        let (erased, renewed) = if settled {
            self.changed(from, now.size).await?
        } else {
            (false, false)
        };
        if renewed {
            // It is on record before it is done, so all keys are sent once more in the round that follows.
            self.rewrapped.store(true, Ordering::Relaxed);
        }
        let full: Vec<PathBuf> = published::full(from, now.size).collect();
        self.send_all(full.into_iter().map(|file| (file, Way::Create)))
            .await?;
        self.send_partial(now.size).await?;
        let first = if settled && !erased { from } else { 0 };
        let first_key = if again { 0 } else { first };
        let beside = published::payloads(first, now.size);
        let beside = beside.chain(published::keys(first_key, now.size));
        let beside: Vec<PathBuf> = beside.collect();
        self.send_all(beside.into_iter().map(|file| (file, Way::Replace)))
            .await?;
        self.send_unfinished(&directory, from, now.size).await?;
        self.send_blobs(&directory).await?;
        if let Some(note) = read(&directory, Directory::witnessed).await? {
            self.send(Path::new(witnessed::FILE), note.into(), Way::Replace)
                .await?;
        }
        if self.log.is_erasing() {
            // It began meanwhile: what was sent beside the tree may be from before it.
            self.settled.store(false, Ordering::Relaxed);
            return Ok(from);
        }
        self.send(Path::new(checkpoint::FILE), note.into(), Way::Replace)
            .await?;
        self.settled.store(true, Ordering::Relaxed);
        if again && !renewed {
            self.rewrapped.store(false, Ordering::Relaxed);
        }
        for (file, _, _) in published::partial(from) {
            // One that is left behind costs a little room.
            if published::partial(now.size).all(|(kept, _, _)| kept != file) {
                let _ = self.place.remove(&file).await;
            }
        }
        Ok(now.size)
    }

    /// The checkpoint that is there. One that this log's key did not sign is somebody else's log.
    async fn shipped(&self) -> Result<Option<Checkpoint>, RoundError> {
        let note = self.place.read(Path::new(checkpoint::FILE)).await?;
        let found = note.map(|note| Checkpoint::verify(&note, &self.log.verifiers()));
        found
            .transpose()
            .map_err(|_| RoundError::Contradiction("not this log"))
    }

    /// That this log continues what is there.
    async fn check(
        &self,
        directory: &Directory,
        now: &Checkpoint,
        there: &Checkpoint,
    ) -> Result<(), RoundError> {
        let (directory, now, there) = (directory.clone(), now.clone(), there.clone());
        let found = spawn_blocking(move || directory.continues(&now, &there)).await??;
        match found {
            Continuation::Continues => Ok(()),
            Continuation::RolledBack => Err(RoundError::Contradiction(
                "larger than this one, which was rolled back",
            )),
            Continuation::Split => Err(RoundError::Contradiction("another history of this log")),
            Continuation::OtherLog => Err(RoundError::Contradiction("another log")),
        }
    }

    /// Whether an erasure or pruning is among these events: then older payloads and keys changed. And whether a change of the wrapping key
    /// is.
    async fn changed(&self, from: u64, size: u64) -> Result<(bool, bool), RoundError> {
        let log = Arc::clone(&self.log);
        let look = move || {
            let (mut erased, mut rewrapped) = (false, false);
            for entry in log.read(from) {
                let entry = entry?;
                if entry.index >= size {
                    break;
                }
                let kind = entry.parse()?.event.kind;
                erased |= matches!(kind, EventType::LogErased | EventType::LogRetention);
                rewrapped |= kind == EventType::LogKeyRotated;
            }
            Ok::<_, ReadError>((erased, rewrapped))
        };
        Ok(spawn_blocking(look).await??)
    }

    /// Values and keys of the unfinished bundle. The values of the one that was unfinished before go first: what is erased must not stay in
    /// them.
    async fn send_unfinished(
        &self,
        directory: &Directory,
        from: u64,
        size: u64,
    ) -> Result<(), RoundError> {
        if let Some(before) = published::partial_payload(from).filter(|_| from != size) {
            self.place.remove(&before).await?;
        }
        let directory = directory.clone();
        let unfinished = spawn_blocking(move || directory.unfinished(size)).await??;
        let Some(Unfinished { payload, keys }) = unfinished else {
            return Ok(());
        };
        self.send(&keys.0, keys.1.into(), Way::Replace).await?;
        let (file, values) = payload;
        if values.is_empty() {
            return Ok(self.place.remove(&file).await?);
        }
        self.send(&file, values.into(), Way::Replace).await
    }

    async fn send_all(
        &self,
        files: impl Iterator<Item = (PathBuf, Way)>,
    ) -> Result<(), RoundError> {
        let sending = files.map(|(file, way)| async move {
            match self.local(&file).await? {
                Some(bytes) => self.send(&file, bytes, way).await,
                // Nothing was kept in it, or it was pruned.
                None => Ok(()),
            }
        });
        stream::iter(sending)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Partial tiles and bundle of a size. Where the full one has replaced it here, its front is what the partial one was.
    async fn send_partial(&self, size: u64) -> Result<(), RoundError> {
        for (file, full, width) in published::partial(size) {
            let bytes = if let Some(bytes) = self.local(&file).await? {
                bytes
            } else {
                let whole = self.local(&full).await?.unwrap_or_default();
                let front = published::front(&full, &whole, width);
                let front = front.ok_or_else(|| RoundError::Garbled { file: full.clone() })?;
                front.into()
            };
            self.send(&file, bytes, Way::Create).await?;
        }
        Ok(())
    }

    /// Blobs are named by their hash, so what is there is right.
    async fn send_blobs(&self, directory: &Directory) -> Result<(), RoundError> {
        let dir = directory.path().join(BLOBS);
        let listed = spawn_blocking(move || match std::fs::read_dir(dir) {
            Ok(listed) => listed
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        });
        let names: Vec<_> = listed.await?.map_err(|source| RoundError::Local {
            file: BLOBS.into(),
            source,
        })?;
        let files = names
            .into_iter()
            .map(|name| (Path::new(BLOBS).join(name), Way::Create));
        self.send_all(files).await
    }

    /// Sends a file and reads it back.
    async fn send(&self, file: &Path, bytes: Bytes, way: Way) -> Result<(), RoundError> {
        let hash = sha256(&[&bytes]);
        let stored = match way {
            Way::Create => self.place.create(file, bytes).await?,
            Way::Replace => self
                .place
                .replace(file, bytes)
                .await
                .map(|()| Stored::New)?,
        };
        let back = self.place.read(file).await?.unwrap_or_default();
        let file = file.to_owned();
        match (sha256(&[&back]) == hash, stored) {
            (true, _) => Ok(()),
            (false, Stored::New) => Err(RoundError::Garbled { file }),
            (false, Stored::Already) => Err(RoundError::Other { file }),
        }
    }

    /// Bytes of a file of the log, or `None` if it is not there.
    async fn local(&self, file: &Path) -> Result<Option<Bytes>, RoundError> {
        let path = self.log.directory().path().join(file);
        let read = spawn_blocking(move || std::fs::read(path)).await?;
        match read {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(RoundError::Local {
                file: file.to_owned(),
                source,
            }),
        }
    }
}

/// Where blobs lie in a log's directory.
const BLOBS: &str = "blobs/sha256";

async fn read(
    directory: &Directory,
    what: impl FnOnce(&Directory) -> Result<Option<Vec<u8>>, ReadError> + Send + 'static,
) -> Result<Option<Vec<u8>>, RoundError> {
    let directory = directory.clone();
    Ok(spawn_blocking(move || what(&directory)).await??)
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
