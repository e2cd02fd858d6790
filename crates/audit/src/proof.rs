//! Proofs that one leaf is in the log, as text that other people's tools read (C2SP tlog-proof). The leaf travels as the proof's extra
//! data, so that the file is complete in itself; it is believed only because it hashes to the proven place.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::note::{Note, NoteVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::bundle;
use crate::checkpoint::{Checkpoint, CheckpointError, decimal};
use crate::leaf::MAX_LEAF;
use crate::read::{Directory, ReadError};
use crate::tile::{self, Kind, Tile};
use crate::tree::{
    CompactRange, consistency_path, inclusion_path, leaf_hash, root_from_path, root_of,
};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Most hashes in a path: one per bit of the size.
const MAX_PATH: usize = 63;
/// Longest proof read.
pub const MAX_PROOF: usize = 256 << 10;

/// A proof of inclusion with the leaf it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Place of the leaf in the log.
    pub index: u64,
    /// The leaf.
    pub leaf: Vec<u8>,
    /// Sibling hashes from the leaf to the root.
    pub path: Vec<Digest>,
    /// The checkpoint, as it was published.
    pub checkpoint: String,
}

impl Proof {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        if text.len() > MAX_PROOF {
            return Err(ProofError::Form("it is over 256 KiB"));
        }
        let rest = text
            .strip_prefix(FIRST_LINE)
            .and_then(|rest| rest.strip_prefix('\n'));
        let rest = rest.ok_or(ProofError::Form(
            "its first line is not that of a proof, version 1",
        ))?;
        let (head, checkpoint) = rest.split_once("\n\n").ok_or(ProofError::Form(
            "no empty line separates path and checkpoint",
        ))?;
        let mut lines = head.split('\n');
        let leaf = lines.next().and_then(|line| line.strip_prefix("extra "));
        let leaf = leaf
            .and_then(|leaf| STANDARD.decode(leaf).ok())
            .filter(|leaf| leaf.len() <= MAX_LEAF);
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal);
        let path: Option<Vec<Digest>> = lines
            .map(|line| {
                STANDARD
                    .decode(line)
                    .ok()
                    .and_then(|hash| hash.try_into().ok())
                    .map(Digest)
            })
            .collect();
        Ok(Self {
            leaf: leaf.ok_or(ProofError::Form("it does not carry its leaf"))?,
            index: index.ok_or(ProofError::Form("its index is not a decimal number"))?,
            path: path
                .filter(|path| path.len() <= MAX_PATH)
                .ok_or(ProofError::Form(
                    "a line of its path is not a hash, or there are too many",
                ))?,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Whether the leaf is in the log of one of `keys`. Gives the checkpoint that says so.
    pub fn verify(&self, keys: &[NoteVerifier]) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::verify(self.checkpoint.as_bytes(), keys)?;
        let root = root_from_path(
            leaf_hash(&self.leaf),
            self.index,
            checkpoint.size,
            &self.path,
        );
        if root == Some(checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(ProofError::NotProven {
                index: self.index,
                origin: checkpoint.origin,
            })
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{FIRST_LINE}\nextra {}\nindex {}",
            STANDARD.encode(&self.leaf),
            self.index
        )?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Why a proof does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof.
    #[error("this is not a proof of a log entry: {0}")]
    Form(&'static str),
    /// Its checkpoint is not believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Leaf, place and path do not lead to the signed root.
    #[error("the leaf is not at index {index} of {origin}: leaf, index or path was altered")]
    NotProven {
        /// The place claimed.
        index: u64,
        /// The log.
        origin: String,
    },
}

impl Fault for ProofError {
    fn code(&self) -> Code {
        match self {
            Self::Form(_) => Code::InvalidInput,
            Self::Checkpoint(error) => error.code(),
            Self::NotProven { .. } => Code::LogAltered,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Form(_) => "Make it again with `bailiwick audit prove`.".into(),
            Self::Checkpoint(error) => error.help(),
            Self::NotProven { .. } => {
                "Keep the file, and compare it with a proof made by the node itself.".into()
            }
        }
    }
}

/// Makes a proof from the log's files.
pub(crate) fn prove(directory: &Directory, index: u64) -> Result<Proof, ProveError> {
    // The checkpoint first: whatever it covers is in the files, and grows behind it while they are read.
    let note = directory
        .checkpoint()?
        .ok_or(ProveError::Unpublished { index })?;
    prove_under(directory, &note, index)
}

/// Makes a proof under one of the log's checkpoints.
pub(crate) fn prove_under(
    directory: &Directory,
    note: &[u8],
    index: u64,
) -> Result<Proof, ProveError> {
    let parsed = Note::parse(note).map_err(CheckpointError::from)?;
    let checkpoint = Checkpoint::parse(parsed.text())?;
    if index >= checkpoint.size {
        return Err(ProveError::Unpublished { index });
    }
    let leaf = published_leaf(directory.path(), index, checkpoint.size)?;
    let mut tiles = Tiles::new(directory.path(), checkpoint.size);
    let path = inclusion_path(index, checkpoint.size, &mut |level, position| {
        tiles.node(level, position)
    })?;
    // A proof that does not lead to the root would only shift the discovery to whoever receives it.
    if root_from_path(leaf_hash(&leaf), index, checkpoint.size, &path) != Some(checkpoint.root) {
        return Err(ProveError::Altered { index });
    }
    Ok(Proof {
        index,
        leaf,
        path,
        checkpoint: parsed.to_string(),
    })
}

/// Shows from the log's files that its first `old` leaves are the beginning of its first `size` (RFC 6962 §2.1.2). Both are published
/// sizes: the tiles of a size that no checkpoint was signed for need not be there.
pub(crate) fn consistency(
    directory: &Directory,
    old: u64,
    size: u64,
) -> Result<Vec<Digest>, TileReadError> {
    let mut tiles = Tiles::new(directory.path(), size);
    consistency_path(old, size, &mut |level, position| {
        tiles.node(level, position)
    })
}

/// The root of the first `old` leaves, from the tiles of the published tree of `size` leaves.
pub(crate) fn root(directory: &Directory, old: u64, size: u64) -> Result<Digest, TileReadError> {
    let mut tiles = Tiles::new(directory.path(), size);
    root_of(old, &mut |level, position| tiles.node(level, position))
}

/// A leaf from the bundle in which the tree of `size` leaves has it.
fn published_leaf(dir: &Path, index: u64, size: u64) -> Result<Vec<u8>, TileReadError> {
    let tile = Tile {
        kind: Kind::Entries,
        ..tile::tile_of(0, index, size)
    };
    let (_, bytes) = read_tile(dir, tile)?;
    let at = usize::try_from(index % 256).unwrap_or(0);
    let leaf = bundle::leaves(&bytes).and_then(|leaves| leaves.get(at).map(|leaf| leaf.to_vec()));
    leaf.ok_or_else(|| TileReadError::Form { path: tile.path() })
}

/// Hashes of the tree of one size, from tile files.
pub(crate) struct Tiles<'a> {
    dir: &'a Path,
    size: u64,
    read: HashMap<Tile, Vec<Digest>>,
}

/// Most tiles held at once; a path needs two per level.
const MAX_CACHED: usize = 64;

impl<'a> Tiles<'a> {
    pub(crate) fn new(dir: &'a Path, size: u64) -> Self {
        Self {
            dir,
            size,
            read: HashMap::new(),
        }
    }

    /// Hash of the perfect subtree of 2^level leaves at `position`.
    pub(crate) fn node(&mut self, level: u8, position: u64) -> Result<Digest, TileReadError> {
        let (tile_level, height) = (level / 8, level % 8);
        let first = position << height;
        let tile = tile::tile_of(tile_level, first, self.size);
        let from = usize::try_from(first % 256).unwrap_or(0);
        let hashes = self.tile(tile)?.get(from..from + (1 << height));
        let hashes = hashes.ok_or_else(|| TileReadError::Form { path: tile.path() })?;
        Ok(hashes.iter().copied().collect::<CompactRange>().root())
    }

    /// The hashes of a tile: its own file, or the full one that has replaced it.
    pub(crate) fn tile(&mut self, tile: Tile) -> Result<&[Digest], TileReadError> {
        if self.read.len() >= MAX_CACHED && !self.read.contains_key(&tile) {
            self.read.clear();
        }
        match self.read.entry(tile) {
            std::collections::hash_map::Entry::Occupied(found) => Ok(found.into_mut()),
            std::collections::hash_map::Entry::Vacant(slot) => {
                let (_, bytes) = read_tile(self.dir, tile)?;
                let mut hashes = tile::hashes(&bytes).unwrap_or_default();
                hashes.truncate(usize::from(tile.width));
                if hashes.len() == usize::from(tile.width) {
                    Ok(slot.insert(hashes))
                } else {
                    Err(TileReadError::Form { path: tile.path() })
                }
            }
        }
    }
}

/// The bytes of a tile or bundle, or of the full one that has replaced a partial one; and which of the two it is.
pub(crate) fn read_tile(dir: &Path, tile: Tile) -> Result<(Tile, Vec<u8>), TileReadError> {
    let read = |found: Tile| fs::read(dir.join(found.path())).map(|bytes| (found, bytes));
    let outcome = match read(tile) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && tile.width < 256 => {
            read(tile.widened())
        }
        outcome => outcome,
    };
    outcome.map_err(|source| TileReadError::Io {
        path: tile.path(),
        source,
    })
}

/// Why a tile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TileReadError {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// Path below the log's directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not as long as it should be.
    #[error("{} does not have the length of its tile", path.display())]
    Form {
        /// Path below the log's directory.
        path: PathBuf,
    },
}

/// Why a proof cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// No checkpoint covers the event yet, or there is no such event.
    #[error("no published checkpoint covers index {index} yet")]
    Unpublished {
        /// The index.
        index: u64,
    },
    /// The checkpoint file is not one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The leaf cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tile cannot be read.
    #[error(transparent)]
    Tile(#[from] TileReadError),
    /// Leaf or tiles do not lead to the checkpoint's root.
    #[error(
        "the leaf at index {index} or a tile above it was altered: they do not lead to the signed root"
    )]
    Altered {
        /// The index.
        index: u64,
    },
}

impl Fault for ProveError {
    fn code(&self) -> Code {
        match self {
            Self::Unpublished { .. } => Code::NotFound,
            Self::Checkpoint(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Tile(TileReadError::Io { .. }) => Code::LogUnverifiable,
            Self::Tile(TileReadError::Form { .. }) | Self::Altered { .. } => Code::LogAltered,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unpublished { .. } => {
                "A running node publishes within a second; then try again.".into()
            }
            Self::Checkpoint(error) => error.help(),
            Self::Read(error) => error.help(),
            Self::Tile(_) | Self::Altered { .. } => {
                "Run `bailiwick audit verify` on the directory: it names what was altered.".into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
