//! Reads a log from its files, with or without a node running: full bundles first, the write-ahead log behind them. No lock is needed;
//! what a running writer has not finished is not there yet.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault};
use tokio::sync::watch;

use crate::bundle;
use crate::checkpoint;
use crate::leaf::Leaf;
use crate::proof::{self, Proof, ProveError, TileReadError};
use crate::seal::{self, Kek, RevealError, Revealed, SLOT};
use crate::tile::{Kind, Tile, WIDTH};
use crate::tree::leaf_hash;
use crate::wal::scan::Scan;

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

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Leaves from index `from` on.
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
        self.entries(index).next().transpose()
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

    /// A proof that the leaf at `index` is in the tree of the newest checkpoint. It carries the leaf.
    pub fn prove(&self, index: u64) -> Result<Proof, ProveError> {
        proof::prove(self, index)
    }

    /// The hashes that show that the tree of `old` leaves is the beginning of the published tree of `size` leaves: what a witness asks
    /// for.
    pub fn consistency(&self, old: u64, size: u64) -> Result<Vec<Digest>, TileReadError> {
        proof::consistency(self, old, size)
    }

    /// Opens the kept values of the event at `index`, given the keys that wrap its key. They lie only in the write-ahead log so far.
    pub fn reveal(&self, index: u64, keks: &[Kek]) -> Result<Vec<Revealed>, ReadError> {
        let wal = self.dir.join("wal");
        let mut scan = Scan::start_at(&wal, index).map_err(|source| ReadError::Io {
            path: wal.clone(),
            source,
        })?;
        let scan = scan.as_mut().ok_or(ReadError::NoSuchIndex { index })?;
        while let Some(batch) = scan.next().map_err(|source| ReadError::Io {
            path: wal.clone(),
            source,
        })? {
            if batch.commit.size <= index {
                continue;
            }
            let offset = usize::try_from(index - batch.opening.first_index).unwrap_or(usize::MAX);
            let event = batch
                .events
                .get(offset)
                .ok_or(ReadError::NoSuchIndex { index })?;
            let leaf =
                Leaf::parse(event.leaf).map_err(|source| ReadError::Leaf { index, source })?;
            let slot: &[u8; SLOT] = event.slot;
            return Ok(seal::reveal(keks, &leaf, slot, event.sealed)?);
        }
        Err(ReadError::NoSuchIndex { index })
    }
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
        if self.scan.is_none() {
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
                return self.fill_from_partial(tile);
            }
        }
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

    /// The widest partial bundle there is.
    fn fill_from_partial(&mut self, full: Tile) -> Result<(), ReadError> {
        for width in (1..WIDTH).rev() {
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

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses a file operation.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A bundle does not have the form of one.
    #[error("{} is not an entry bundle", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
    },
    /// A leaf is not one of ours.
    #[error("the leaf at index {index} is not an event that this version reads")]
    Leaf {
        /// Its index.
        index: u64,
        /// Where parsing stopped.
        source: serde_json::Error,
    },
    /// Beyond the end of the log.
    #[error("the log has no event at index {index}")]
    NoSuchIndex {
        /// The index asked for.
        index: u64,
    },
    /// Sealed values do not open.
    #[error(transparent)]
    Reveal(#[from] RevealError),
}

impl Fault for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::LogUnverifiable,
            Self::Bundle { .. } | Self::Leaf { .. } => Code::LogAltered,
            Self::NoSuchIndex { .. } => Code::NotFound,
            Self::Reveal(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check the path and its permissions.".into(),
            Self::Bundle { .. } | Self::Leaf { .. } => {
                "Run `bailiwick audit verify` on the directory: it names what was altered.".into()
            }
            Self::NoSuchIndex { .. } => String::new(),
            Self::Reveal(error) => error.help(),
        }
    }
}

/// Leaves are UTF-8; whatever is not is none of ours.
pub(crate) fn mentions(leaf: &[u8], needle: &str) -> bool {
    std::str::from_utf8(leaf).is_ok_and(|leaf| leaf.contains(needle))
}
