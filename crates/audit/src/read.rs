//! Reads a log from its files, with or without a node running: full bundles first, the write-ahead log behind them. No lock is needed;
//! what a running writer has not finished is not there yet.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailiwick_core::Digest;
use bailiwick_core::id::EventId;
use bailiwick_crypto::note::Note;
use tokio::sync::watch;

use crate::blobs::Blobs;
use crate::bundle;
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::leaf::Leaf;
use crate::payload;
use crate::proof::{self, Proof, ProveError, TileReadError};
use crate::seal::{self, Kek, Revealed, SLOT};
use crate::state::State;
use crate::tile::{Kind, Tile, WIDTH};
use crate::tree::leaf_hash;
use crate::wal::scan::Scan;
use crate::wal::segment;

pub use error::ReadError;
pub use opener::Opener;
pub use pick::Picked;
pub use unfinished::Unfinished;

mod error;
mod opener;
mod pick;
mod unfinished;

/// One leaf as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Its bytes.
    pub leaf: Vec<u8>,
}

impl Entry {
    /// The hash that the tree holds of it.
    pub fn leaf_hash(&self) -> Digest {
        leaf_hash(&self.leaf)
    }

    /// Its content.
    pub fn parse(&self) -> Result<Leaf, ReadError> {
        Leaf::parse(&self.leaf).map_err(|source| ReadError::Leaf {
            index: self.index,
            source,
        })
    }
}

/// The files of one log.
#[derive(Debug, Clone)]
pub struct Directory {
    dir: PathBuf,
}

impl Directory {
    /// The log in `dir` (the directory that holds `checkpoint`, `tile/` and `wal/`).
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The log in `dir`, which somebody named: an empty directory is not a log without events.
    pub fn existing(dir: PathBuf) -> Result<Self, ReadError> {
        if dir.join("wal").is_dir() || dir.join("tile").is_dir() {
            return Ok(Self::new(dir));
        }
        Err(ReadError::NoLog { dir })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Leaves from index `from` on, or from the first that is kept.
    pub fn entries(&self, from: u64) -> Entries {
        Entries {
            dir: self.dir.clone(),
            next: from,
            limit: None,
            buffer: VecDeque::new(),
            scan: None,
        }
    }

    /// The leaf at an index, or `None` beyond the end.
    pub fn entry(&self, index: u64) -> Result<Option<Entry>, ReadError> {
        let found = self.entries(index).next().transpose()?;
        if found.as_ref().is_some_and(|entry| entry.index != index) {
            return Err(self.pruned(index)?);
        }
        Ok(found)
    }

    /// First index whose leaf is kept; those before are pruned.
    pub fn minimum(&self) -> Result<u64, ReadError> {
        Ok(self.state()?.minimum.leaves)
    }

    fn state(&self) -> Result<State, ReadError> {
        State::read(&self.dir).map_err(ReadError::State)
    }

    fn pruned(&self, index: u64) -> Result<ReadError, ReadError> {
        let by = self.state()?.retained_by;
        Ok(ReadError::Pruned { index, by })
    }

    /// The first event with this id, by looking at every leaf.
    pub fn find(&self, event: EventId) -> Result<Option<Entry>, ReadError> {
        let id = event.to_string();
        for entry in self.entries(0) {
            let entry = entry?;
            // Most leaves do not even mention the id; only those that do are parsed.
            if mentions(&entry.leaf, &id) && entry.parse()?.event.id == event {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The newest checkpoint, as it is published. `None` before the first.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.dir.join(checkpoint::FILE);
        match fs::read(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadError::Io { path, source }),
        }
    }

    /// What its events name by digest.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.dir.clone())
    }

    /// The log's name, as its newest checkpoint says it. `None` before the first.
    pub fn origin(&self) -> Result<Option<String>, ProveError> {
        let Some(note) = self.checkpoint()? else {
            return Ok(None);
        };
        let note = Note::parse(&note).map_err(CheckpointError::from)?;
        Ok(Some(Checkpoint::parse(note.text())?.origin))
    }

    /// A proof that the leaf at `index` is in the tree of the newest checkpoint. It carries the leaf.
    pub fn prove(&self, index: u64) -> Result<Proof, ProveError> {
        if index < self.minimum()? {
            return Err(self.pruned(index)?.into());
        }
        proof::prove(self, index)
    }

    /// The hashes that show that the tree of `old` leaves is the beginning of the published tree of `size` leaves: what a witness asks
    /// for.
    pub fn consistency(&self, old: u64, size: u64) -> Result<Vec<Digest>, TileReadError> {
        proof::consistency(self, old, size)
    }

    /// The root of the first `old` leaves, from the tiles of the published tree of `size` leaves. It is as true as the tiles.
    pub fn root(&self, old: u64, size: u64) -> Result<Digest, TileReadError> {
        proof::root(self, old, size)
    }

    /// Opens the kept values of the event at `index`, given the keys that wrap its key.
    pub fn reveal(&self, index: u64, keks: &[Kek]) -> Result<Vec<Revealed>, ReadError> {
        // A segment may be retired between two looks; then its values are in the payload.
        let kept = match self.kept_in_wal(index)? {
            Some(kept) => kept,
            None => match self.kept_behind_wal(index)? {
                Some(kept) => kept,
                None => self
                    .kept_in_wal(index)?
                    .ok_or(ReadError::NoSuchIndex { index })?,
            },
        };
        let leaf = Leaf::parse(&kept.leaf).map_err(|source| ReadError::Leaf { index, source })?;
        Ok(seal::reveal(keks, &leaf, &kept.slot, &kept.sealed)?)
    }

    fn kept_in_wal(&self, index: u64) -> Result<Option<Kept>, ReadError> {
        let wal = self.dir.join("wal");
        let io = |source| ReadError::Io {
            path: wal.clone(),
            source,
        };
        let mut scan = match Scan::start_at(&wal, index) {
            Ok(Some(scan)) => scan,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        while let Some(batch) = scan.next().map_err(io)? {
            if batch.commit.size <= index {
                continue;
            }
            let offset = usize::try_from(index - batch.opening.first_index).unwrap_or(usize::MAX);
            return Ok(batch.events.get(offset).map(|event| Kept {
                leaf: event.leaf.to_vec(),
                slot: *event.slot,
                sealed: event.sealed.to_vec(),
            }));
        }
        Ok(None)
    }

    /// From the files that the tiler wrote; none for what it has not made durable yet.
    fn kept_behind_wal(&self, index: u64) -> Result<Option<Kept>, ReadError> {
        let state = self.state()?;
        if index >= state.base.index {
            return Ok(None);
        }
        if index < state.minimum.values {
            let by = state.retained_by;
            return Err(ReadError::PrunedValues { index, by });
        }
        let Some(entry) = self.entry(index)? else {
            return Ok(None);
        };
        let bundle = index / WIDTH as u64;
        let unfinished = u16::try_from(state.base.index - bundle * WIDTH as u64)
            .ok()
            .filter(|width| usize::from(*width) < WIDTH);
        let at = usize::try_from(index % WIDTH as u64).unwrap_or(0);
        let read = |width| {
            payload::read(&self.dir, bundle, width).map_err(|source| ReadError::Io {
                path: self.dir.join(payload::path(bundle, width)),
                source,
            })
        };
        let mut boxes = read(256)?;
        if let Some(width) = unfinished.filter(|_| boxes.is_empty()) {
            boxes = read(width)?;
        }
        let slot = payload::slot(&self.dir, index).map_err(|source| ReadError::Io {
            path: self.dir.join("keys"),
            source,
        })?;
        Ok(Some(Kept {
            leaf: entry.leaf,
            slot,
            sealed: boxes.get(at).cloned().unwrap_or_default(),
        }))
    }
}

/// What is stored of one event.
struct Kept {
    leaf: Vec<u8>,
    slot: [u8; SLOT],
    sealed: Vec<u8>,
}

/// Leaves in order. At the end it gives `None`; asked again later it goes on with what has become durable since.
pub struct Entries {
    dir: PathBuf,
    next: u64,
    limit: Option<watch::Receiver<u64>>,
    buffer: VecDeque<Entry>,
    scan: Option<Scan>,
}

impl Entries {
    /// Never reads beyond what the log says is durable.
    pub(crate) fn up_to(self, durable: watch::Receiver<u64>) -> Self {
        Self {
            limit: Some(durable),
            ..self
        }
    }

    /// Index of the leaf that comes next.
    pub fn position(&self) -> u64 {
        self.next
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        if self.scan.is_some() {
            self.fill_from_scan()?;
            if !self.buffer.is_empty() || !self.scan_is_stale() {
                return Ok(());
            }
            self.scan = None;
        }
        // The log moves from its write-ahead log into tiles while it is read: what was not in one place yet may be gone from the other
        // at the second look, and is then at the third where it was not at the first. And what is not there at all may be pruned.
        for _ in 0..3 {
            let tile = Tile::full(Kind::Entries, self.next / WIDTH as u64);
            if self.fill_from_bundle(tile)? {
                return Ok(());
            }
            let wal = self.dir.join("wal");
            self.scan = match Scan::start_at(&wal, self.next) {
                Ok(scan) => scan,
                // A copy of the published files alone has no write-ahead log.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(source) => return Err(ReadError::Io { path: wal, source }),
            };
            if self.scan.is_none() {
                self.fill_from_partial(tile)?;
            } else {
                self.fill_from_scan()?;
            }
            if !self.buffer.is_empty() || (self.scan.is_some() && !self.scan_is_stale()) {
                return Ok(());
            }
            self.scan = None;
            let kept = State::read(&self.dir).map_err(ReadError::State)?.minimum;
            self.next = self.next.max(kept.leaves);
        }
        Ok(())
    }

    /// Whether the walk stands in a segment that was retired under it.
    fn scan_is_stale(&self) -> bool {
        self.scan.as_ref().is_some_and(|scan| {
            !segment::path(&self.dir.join("wal"), scan.place().segment).exists()
        })
    }

    fn fill_from_scan(&mut self) -> Result<(), ReadError> {
        let Some(scan) = self.scan.as_mut() else {
            return Ok(());
        };
        loop {
            let batch = scan.next().map_err(|source| ReadError::Io {
                path: self.dir.join("wal"),
                source,
            })?;
            let Some(batch) = batch else { return Ok(()) };
            if batch.commit.size <= self.next {
                continue;
            }
            let numbered = (batch.opening.first_index..).zip(&batch.events);
            let wanted = numbered.filter(|(index, _)| *index >= self.next);
            self.buffer.extend(wanted.map(|(index, event)| Entry {
                index,
                leaf: event.leaf.to_vec(),
            }));
            return Ok(());
        }
    }

    fn fill_from_bundle(&mut self, tile: Tile) -> Result<bool, ReadError> {
        let path = self.dir.join(tile.path());
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        let leaves = bundle::leaves(&bytes).ok_or(ReadError::Bundle { path })?;
        let numbered = (tile.first_leaf()..).zip(leaves);
        let wanted = numbered.filter(|(index, _)| *index >= self.next);
        self.buffer.extend(wanted.map(|(index, leaf)| Entry {
            index,
            leaf: leaf.to_vec(),
        }));
        Ok(!self.buffer.is_empty())
    }

    /// The partial bundle that was synced when the segments before its end were retired; where there is none, as in a copy of the
    /// published files, the widest.
    fn fill_from_partial(&mut self, full: Tile) -> Result<(), ReadError> {
        let base = State::read(&self.dir).map_err(ReadError::State)?.base;
        let at_base = base.index.saturating_sub(full.first_leaf());
        let at_base = usize::try_from(at_base).unwrap_or(WIDTH);
        let least = usize::try_from(self.next % WIDTH as u64).unwrap_or(0) + 1;
        let synced = (least..WIDTH).contains(&at_base).then_some(at_base);
        for width in synced.into_iter().chain((least..WIDTH).rev()) {
            let tile = Tile {
                width: u16::try_from(width).unwrap_or(1),
                ..full
            };
            if self.dir.join(tile.path()).exists() {
                return self.fill_from_bundle(tile).map(drop);
            }
        }
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self
            .limit
            .as_ref()
            .is_some_and(|durable| self.next >= *durable.borrow())
        {
            return None;
        }
        if self.buffer.is_empty()
            && let Err(error) = self.fill()
        {
            return Some(Err(error));
        }
        let entry = self.buffer.pop_front()?;
        self.next = entry.index + 1;
        Some(Ok(entry))
    }
}

/// Leaves are UTF-8; whatever is not is none of ours.
pub(crate) fn mentions(leaf: &[u8], needle: &str) -> bool {
    std::str::from_utf8(leaf).is_ok_and(|leaf| leaf.contains(needle))
}
