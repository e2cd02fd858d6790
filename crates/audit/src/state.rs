//! `state.json`: where the write-ahead log begins, and from which index on leaves and values are kept. Written whole, synced before it
//! gets its name, and only after everything that it makes dispensable is synced elsewhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Digest, Fault, Timestamp};
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::elapsed::Kept;
use crate::proof::{TileReadError, Tiles};
use crate::retention::{Announced, Minimum};
use crate::tile::RightEdge;

/// Its name in the log's directory.
pub(crate) const FILE: &str = "state.json";
/// Most open intents that it lists; a call lives for an hour at most, so older ones than these are long cut off.
pub(crate) const MAX_OPEN: usize = 16_384;

/// What the log must remember beside its leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Where the write-ahead log begins.
    pub(crate) base: Base,
    /// Leaves and values below are pruned.
    #[serde(default, rename = "kept_from")]
    pub(crate) minimum: Minimum,
    /// Files below are deleted; behind the minimum while that goes on.
    #[serde(default)]
    pub(crate) gone: Minimum,
    /// Place of the event that announced the newest pruning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retained_by: Option<u64>,
    /// A pruning that is on record and waits for its day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) announced: Option<Announced>,
    /// How much time has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<Kept>,
    /// When everything was last verified, by the time that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scrubbed: Option<Timestamp>,
}

/// The first segment of the write-ahead log, and what its header says. Everything before it is in synced tiles, right edge included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Base {
    pub(crate) segment: u64,
    pub(crate) index: u64,
    pub(crate) batch: u64,
    pub(crate) prev_commit: Digest,
    /// Root of the tree of everything before it.
    pub(crate) root: Digest,
    /// Highest logical time before it.
    pub(crate) hlc: u64,
    /// Places of the intents before it whose result is not before it; the newest [`MAX_OPEN`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) open: Vec<u64>,
}

impl Default for Base {
    /// The base of a log of which nothing has been retired.
    fn default() -> Self {
        Self {
            segment: 0,
            index: 0,
            batch: 0,
            prev_commit: Digest([0; 32]),
            root: RightEdge::default().root(),
            hlc: 0,
            open: Vec::new(),
        }
    }
}

impl Base {
    /// The tree's edge at the base, from its tiles.
    pub(crate) fn edge(&self, dir: &Path) -> Result<RightEdge, StateError> {
        let mut tiles = Tiles::new(dir, self.index);
        let edge = RightEdge::at(self.index, &mut |tile| tiles.tile(tile).map(<[_]>::to_vec))?;
        if edge.root() == self.root {
            Ok(edge)
        } else {
            Err(StateError::Edge { size: self.index })
        }
    }
}

impl State {
    /// The state stored in a log's directory; that of a new log if there is none.
    pub(crate) fn read(dir: &Path) -> Result<Self, StateError> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| StateError::Form { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Stores it durably.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        disk.replace(&dir.join(FILE), &bytes, true)
    }
}

/// Why the log's state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is not one of ours.
    #[error("{} was altered", path.display())]
    Form {
        /// The path.
        path: PathBuf,
        /// Where parsing stopped.
        source: serde_json::Error,
    },
    /// A tile at the edge cannot be read.
    #[error("the write-ahead log begins in the middle, and the tiles before it cannot be read")]
    Tile(#[from] TileReadError),
    /// The tiles at the edge give another root.
    #[error("the tiles of the first {size} events do not have the root that the log went on from")]
    Edge {
        /// Events before the write-ahead log.
        size: u64,
    },
}

impl Fault for StateError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::DataDir,
            Self::Form { .. } | Self::Tile(_) | Self::Edge { .. } => Code::LogCorrupt,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => {
                "Check that the data directory is mounted and belongs to this user.".into()
            }
            Self::Form { .. } | Self::Tile(_) | Self::Edge { .. } => {
                "Nothing was changed. Restore the data directory from a copy; keep the damaged one as evidence."
                    .into()
            }
        }
    }
}
