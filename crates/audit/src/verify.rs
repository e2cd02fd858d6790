//! Checks a log's files against a key that the reader brings: signature, tree, every byte of every leaf and tile, and the write-ahead
//! log behind the checkpoint. Needs no running node and no lock.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailiwick_core::Digest;
use bailiwick_crypto::note::{NoteError, NoteVerifier};

use crate::blobs::Blobs;
use crate::bundle;
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::proof::{TileReadError, read_tile};
use crate::retention;
use crate::state::State;
use crate::tile::{self, Kind, RightEdge, Tile, WIDTH};
use crate::tree::{CompactRange, leaf_hash};

use earlier::Earlier;

mod earlier;
mod pruned;
mod tail;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that the checkpoint covers is as it was when it was signed.
    Proven(Report),
    /// Something was altered.
    Altered(Alteration),
    /// Data needed for an answer is missing, or the key is not the log's.
    CannotTell {
        /// File concerned, below the log's directory.
        file: PathBuf,
        /// What is missing.
        why: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proven(Report {
                checkpoint,
                wal_size,
                pruned,
                earlier,
            }) => {
                write!(
                    f,
                    "proven: {} events of {}",
                    checkpoint.size, checkpoint.origin
                )?;
                if *pruned > 0 {
                    write!(f, ", of which the first {pruned} were pruned on record")?;
                }
                if *earlier > 0 {
                    write!(f, ", continuing {earlier} earlier checkpoints")?;
                }
                match wal_size.map(|size| size.saturating_sub(checkpoint.size)) {
                    Some(0) => f.write_str(", and none behind the checkpoint"),
                    Some(behind) => write!(
                        f,
                        "; {behind} behind the checkpoint are chained but not signed yet"
                    ),
                    None => f.write_str("; no write-ahead log here to say what came after"),
                }
            }
            Self::Altered(alteration) => write!(f, "altered: {alteration}"),
            Self::CannotTell { file, why } => write!(f, "cannot tell: {}: {why}", file.display()),
        }
    }
}

impl Verdict {
    /// Exit code of a command that reports this: 0 proven, 1 altered, 6 cannot tell.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Proven(_) => 0,
            Self::Altered(_) => 1,
            Self::CannotTell { .. } => 6,
        }
    }
}

/// What is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The signed checkpoint.
    pub checkpoint: Checkpoint,
    /// Events in the write-ahead log, which chains those behind the checkpoint but does not sign them. `None` if the directory has none.
    pub wal_size: Option<u64>,
    /// Leaves before this index were pruned, on record; 0 if none were.
    pub pruned: u64,
    /// Checkpoints kept in `checkpoints/` that the keys given signed and that the tree continues.
    pub earlier: usize,
}

/// What was altered, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// What kind of file.
    pub what: Altered,
    /// The log, if its checkpoint could be believed.
    pub origin: Option<String>,
    /// First event affected.
    pub index: Option<u64>,
    /// The file, below the log's directory.
    pub file: PathBuf,
}

/// What kind of file was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Altered {
    /// The checkpoint's text or signature.
    Signature,
    /// A leaf in an entry bundle.
    Leaf,
    /// A hash in a tile.
    Tile,
    /// The write-ahead log.
    Wal,
    /// Leaves are missing, and no event says that they were pruned.
    Missing,
    /// The key signed a history that the log does not continue.
    Split,
    /// A blob that is not what its name says.
    Blob,
    /// All of it fits together but not the checkpoint: the whole log was rewritten.
    Everything,
    /// A value that a bundle discloses: it is not what the leaf commits to.
    Disclosure,
    /// A file of a bundle that its statement names otherwise.
    Evidence,
    /// Kept values that do not open, or are not what the leaf commits to. Only the node itself can tell.
    Values,
}

impl Altered {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature_invalid",
            Self::Leaf => "leaf_altered",
            Self::Tile => "tile_altered",
            Self::Wal => "wal_altered",
            Self::Missing => "leaves_missing",
            Self::Split => "log_equivocation",
            Self::Blob => "blob_altered",
            Self::Everything => "tree_altered",
            Self::Disclosure => "payload_altered",
            Self::Evidence => "evidence_altered",
            Self::Values => "values_lost",
        }
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Altered::Signature => "the checkpoint was altered",
            Altered::Leaf => "a leaf was altered",
            Altered::Tile => "a tile was altered",
            Altered::Wal => "the write-ahead log was altered or cut",
            Altered::Missing => {
                "leaves are missing, and no `log.retention` event says that they were pruned"
            }
            Altered::Split => {
                "the log's key signed another history, which the log does not continue"
            }
            Altered::Blob => "a blob is not what its name says",
            Altered::Everything => "the files fit together but not the signed checkpoint",
            Altered::Disclosure => "a disclosed value is not what the leaf commits to",
            Altered::Evidence => "a file is not the one that the bundle was made with",
            Altered::Values => "kept values do not open (all leaves are proven)",
        };
        write!(f, "{what}: {}", self.file.display())?;
        if let Some(index) = self.index {
            write!(f, ", index {index}")?;
        }
        match &self.origin {
            Some(origin) => write!(f, " of {origin}"),
            None => Ok(()),
        }
    }
}

/// Checks the log in `dir` against the keys of its origin. Keys come from the reader, never from the directory.
pub fn verify(dir: &Path, keys: &[NoteVerifier]) -> Verdict {
    check(dir, keys, &mut || true).map_or_else(|verdict| verdict, Verdict::Proven)
}

/// The same, asking `go_on` after each bundle; `None` once that says no.
pub(crate) fn paced(
    dir: &Path,
    keys: &[NoteVerifier],
    go_on: &mut dyn FnMut() -> bool,
) -> Option<Verdict> {
    let mut stopped = false;
    let checked = check(dir, keys, &mut || {
        stopped = stopped || !go_on();
        !stopped
    });
    let verdict = checked.map_or_else(|verdict| verdict, Verdict::Proven);
    (!stopped).then_some(verdict)
}

/// Most times that a part of the check starts again because the log moved on.
const MAX_LOOKS: usize = 5;

/// Everything but `Proven` ends the check.
type Checked<T> = Result<T, Verdict>;

fn check(dir: &Path, keys: &[NoteVerifier], go_on: &mut dyn FnMut() -> bool) -> Checked<Report> {
    // A running node may prune while we look; then what was missed is on record now.
    let (checkpoint, pruned, earlier) = looks(
        || State::read(dir).ok().map(|state| state.minimum),
        || {
            let checkpoint = signed_checkpoint(dir, keys)?;
            let state = State::read(dir).unwrap_or_default();
            let pruned = state.minimum.leaves.min(checkpoint.size) / WIDTH as u64 * WIDTH as u64;
            let mut earlier = Earlier::read(dir, keys, &checkpoint, pruned)?;
            let found = check_tree(dir, &checkpoint, pruned, &mut earlier, go_on)?;
            match found.or_else(|| earlier.split(&checkpoint.origin)) {
                Some(alteration) => Err(Verdict::Altered(alteration)),
                None => Ok((checkpoint, pruned, earlier.count())),
            }
        },
    )?;
    // It may retire segments too; then what was missed there is in the tiles now.
    let wal_size = looks(
        || State::read(dir).ok().map(|state| state.base),
        || tail::check(dir, &checkpoint, go_on),
    )?;
    if let Some(blob) = Blobs::new(dir.to_path_buf()).first_altered(go_on) {
        let file = blob.strip_prefix(dir).unwrap_or(&blob).to_path_buf();
        return Err(altered(Altered::Blob, Some(&checkpoint.origin), None, file));
    }
    Ok(Report {
        checkpoint,
        wal_size,
        pruned,
        earlier,
    })
}

/// Looks again where something is wrong and what `moved` gives was not the same before.
fn looks<T, M: PartialEq>(
    moved: impl Fn() -> M,
    mut look: impl FnMut() -> Checked<T>,
) -> Checked<T> {
    let mut looks = 0;
    loop {
        let before = moved();
        match look() {
            Err(_) if looks < MAX_LOOKS && moved() != before => looks += 1,
            other => return other,
        }
    }
}

/// What a check gives that was told to stop; nobody sees it.
fn stopped() -> Verdict {
    cannot_tell(PathBuf::new(), "the check was stopped".into())
}

fn signed_checkpoint(dir: &Path, keys: &[NoteVerifier]) -> Checked<Checkpoint> {
    let file = PathBuf::from(checkpoint::FILE);
    let note = match fs::read(dir.join(&file)) {
        Ok(note) => note,
        Err(error) => {
            return Err(cannot_tell(
                file,
                format!("the checkpoint cannot be read: {error}"),
            ));
        }
    };
    match Checkpoint::verify(&note, keys) {
        Ok(checkpoint) => Ok(checkpoint),
        Err(CheckpointError::Note(NoteError::Unsigned)) => Err(cannot_tell(
            file,
            "the key given did not sign this checkpoint: it is another log's key, or another log"
                .into(),
        )),
        Err(_) => Err(altered(Altered::Signature, None, None, file)),
    }
}

/// Reads every leaf and tile, and compares each with what the leaves give.
fn check_tree(
    dir: &Path,
    checkpoint: &Checkpoint,
    pruned: u64,
    earlier: &mut Earlier,
    go_on: &mut dyn FnMut() -> bool,
) -> Checked<Option<Alteration>> {
    let size = checkpoint.size;
    let edge = pruned::edge(dir, pruned, size)?;
    let mut tree = edge.tree();
    let mut walk = Walk {
        dir,
        size,
        origin: &checkpoint.origin,
        edge,
        tile: pruned::first_altered(dir, pruned, &checkpoint.origin, size)?,
        unsure: None,
        announced: 0,
    };
    earlier.see(&tree);
    for number in pruned / WIDTH as u64..size.div_ceil(WIDTH as u64) {
        for hash in walk.bundle(number)? {
            tree.push(hash);
            earlier.see(&tree);
            walk.push(hash)?;
        }
        if !go_on() {
            return Err(stopped());
        }
    }
    for (tile, hashes) in walk.edge.clone().partials() {
        walk.compare(tile, hashes)?;
    }
    let Walk {
        tile,
        unsure,
        announced,
        ..
    } = walk;
    if tree.root() == checkpoint.root {
        if announced < pruned {
            return Ok(Some(Alteration {
                what: Altered::Missing,
                origin: Some(checkpoint.origin.clone()),
                index: Some(announced),
                file: PathBuf::from(crate::state::FILE),
            }));
        }
        // Every leaf is right, so a difference can only lie in a tile.
        let unsure = unsure.map(|difference| difference.in_tile);
        return Ok(tile
            .into_iter()
            .chain(unsure)
            .min_by_key(|alteration| alteration.index));
    }
    let everything = Alteration {
        what: Altered::Everything,
        origin: Some(checkpoint.origin.clone()),
        index: None,
        file: PathBuf::from("tile"),
    };
    Ok(Some(
        unsure
            .map(|difference| difference.in_leaf)
            .or(tile)
            .unwrap_or(everything),
    ))
}

/// The walk over bundles and tiles, and the first differences on it.
struct Walk<'a> {
    dir: &'a Path,
    size: u64,
    origin: &'a str,
    edge: RightEdge,
    /// First tile that is wrong although the leaves below it fit the tile above.
    tile: Option<Alteration>,
    /// First difference where only the root tells whether leaf or tile was altered.
    unsure: Option<Difference>,
    /// Highest index below which an event says that leaves are pruned.
    announced: u64,
}

/// A place where tile and leaves differ, as it reads either way.
struct Difference {
    in_tile: Alteration,
    in_leaf: Alteration,
    index: u64,
}

impl Walk<'_> {
    /// Leaf hashes of a bundle.
    fn bundle(&mut self, number: u64) -> Checked<Vec<Digest>> {
        let first = number * WIDTH as u64;
        let width = (self.size - first).min(WIDTH as u64);
        let tile = Tile {
            kind: Kind::Entries,
            index: number,
            width: u16::try_from(width).unwrap_or(256),
        };
        let (found, bytes) = read_tile(self.dir, tile).map_err(missing)?;
        let wrong = |index| altered(Altered::Leaf, Some(self.origin), Some(index), found.path());
        let leaves = bundle::leaves(&bytes).filter(|leaves| leaves.len() as u64 >= width);
        let leaves = leaves.ok_or_else(|| wrong(first))?;
        if leaves.len() > usize::from(found.width) {
            return Err(wrong(first + u64::from(found.width)));
        }
        let leaves = leaves.into_iter().take(usize::from(tile.width));
        Ok(leaves
            .map(|leaf| {
                let announced = retention::announced_in(leaf).unwrap_or(0);
                self.announced = self.announced.max(announced);
                leaf_hash(leaf)
            })
            .collect())
    }

    fn push(&mut self, hash: Digest) -> Checked<()> {
        let mut full = Vec::new();
        self.edge
            .push(hash, &mut |tile, hashes| full.push((tile, hashes.to_vec())));
        for (tile, hashes) in full {
            self.compare(tile, &hashes)?;
        }
        Ok(())
    }

    /// Compares a tile with the hashes that the leaves give for it.
    fn compare(&mut self, tile: Tile, expected: &[Digest]) -> Checked<()> {
        let (found, bytes) = read_tile(self.dir, tile).map_err(missing)?;
        let stored = tile::hashes(&bytes).unwrap_or_default();
        let at = |what, index, file| Alteration {
            what,
            origin: Some(self.origin.to_owned()),
            index: Some(index),
            file,
        };
        if stored.len() > usize::from(found.width) {
            // Nothing reads what was added, but it is not what was written.
            self.tile
                .get_or_insert(at(Altered::Tile, tile.first_leaf(), tile.path()));
        }
        let position = expected
            .iter()
            .enumerate()
            .find(|(at, hash)| stored.get(*at) != Some(hash))
            .map(|(at, _)| at);
        let Some(position) =
            position.or_else(|| (stored.len() < expected.len()).then_some(stored.len()))
        else {
            return Ok(());
        };
        let Kind::Hashes(level) = tile.kind else {
            return Ok(());
        };
        let span = 1_u64 << (8 * u32::from(level));
        let index = (tile.index * 256 + position as u64) * span;
        if level == 0 && self.fits_above(tile.index, expected)? {
            self.tile
                .get_or_insert(at(Altered::Tile, index, tile.path()));
            return Ok(());
        }
        // A difference further down explains one above it, and says more exactly where.
        let known = self
            .unsure
            .as_ref()
            .is_some_and(|known| known.index < index + span);
        if !known {
            let width = (self.size - index / 256 * 256).min(256);
            let width = u16::try_from(width).unwrap_or(256);
            let bundle = Tile {
                kind: Kind::Entries,
                index: index / 256,
                width,
            };
            let in_tile = at(Altered::Tile, index, tile.path());
            let in_leaf = at(Altered::Leaf, index, bundle.path());
            self.unsure = Some(Difference {
                in_tile,
                in_leaf,
                index,
            });
        }
        Ok(())
    }

    /// Whether 256 leaf hashes give the hash that the tile of level 1 has for them.
    fn fits_above(&self, number: u64, leaves: &[Digest]) -> Checked<bool> {
        if leaves.len() < WIDTH {
            return Ok(false);
        }
        let (_, above) =
            read_tile(self.dir, tile::tile_of(1, number, self.size)).map_err(missing)?;
        let stored = tile::hashes(&above).unwrap_or_default();
        let at = usize::try_from(number % 256).unwrap_or(0);
        let root = leaves.iter().copied().collect::<CompactRange>().root();
        Ok(stored.get(at) == Some(&root))
    }
}

fn missing(error: TileReadError) -> Verdict {
    match error {
        TileReadError::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
            cannot_tell(
                path,
                "the checkpoint needs this file and it is not there".into(),
            )
        }
        TileReadError::Io { path, source } => {
            cannot_tell(path, format!("the file cannot be read: {source}"))
        }
        TileReadError::Form { path } => altered(Altered::Tile, None, None, path),
    }
}

fn cannot_tell(file: PathBuf, why: String) -> Verdict {
    Verdict::CannotTell { file, why }
}

fn altered(what: Altered, origin: Option<&str>, index: Option<u64>, file: PathBuf) -> Verdict {
    Verdict::Altered(Alteration {
        what,
        origin: origin.map(str::to_owned),
        index,
        file,
    })
}

#[cfg(test)]
mod tests;
