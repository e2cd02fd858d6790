//! Turns the durable log into static files: full tiles and bundles (written once), the kept values beside them, partial ones, and the
//! signed checkpoint that they prove. A stop may lose any of them: the write-ahead log rebuilds them.
//!
//! It reads batches back from disk and checks their roots again, so what is published is what is stored. Where it passes from one
//! segment of the write-ahead log to the next it syncs all files and the tree's right edge, so that everything before can be retired.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::Rng;

use crate::bundle;
use crate::checkpoint::{self, Checkpoint, earlier};
use crate::disk::Disk;
use crate::intents::OpenIntents;
use crate::proof::{self, read_tile};
use crate::read::{Directory, ReadError};
use crate::seal::Kek;
use crate::signers::Signers;
use crate::standing::{AdvanceError, Claim};
use crate::state::Base;
use crate::tile::{self, Kind, RightEdge, Tile, WIDTH};
use crate::tree::{CompactRange, leaf_hash};
use crate::wal::scan::Scan;

use files::Files;
use sidecar::{Kept, Sidecar};

mod files;
mod sidecar;

/// Most batches taken in at once.
const STRIDE: usize = 64;

/// Writes tiles and checkpoints of one log.
pub(crate) struct Tiler {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    signers: Arc<Signers>,
    scan: Scan,
    tree: CompactRange,
    edge: RightEdge,
    /// Leaves since the last full bundle.
    bundle: Vec<u8>,
    /// What is kept of them.
    kept: Kept,
    sidecar: Sidecar,
    files: Files,
    intents: OpenIntents,
    hlc: u64,
    /// Full files not yet on disk, in order.
    unwritten: VecDeque<Unwritten>,
    /// The walk has passed into a new segment, and the edge there is not synced yet.
    crossed: bool,
    /// Partial files that are synced. They are what the log goes on from, so no unsynced copy takes their place.
    synced: BTreeSet<Tile>,
    /// The newest place that the write-ahead log may begin at, once the checkpoint covers it.
    crossing: Option<Base>,
}

/// A file that became full.
enum Unwritten {
    Tile(Tile, Vec<u8>),
    Kept(u64, Kept),
}

/// Why tiles or a checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TileError {
    #[error("a file cannot be written")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    #[error("a leaf cannot be read")]
    Read(#[from] ReadError),
    #[error("batch {batch} reads back with another root than it names")]
    Root { batch: u64 },
}

impl Tiler {
    /// Starts where the write-ahead log does: `edge` is that of the tree before it, and `intents` those open there. Files that exist
    /// are not written again.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        signers: Arc<Signers>,
        scan: Scan,
        (edge, intents, hlc): (RightEdge, OpenIntents, u64),
    ) -> io::Result<Self> {
        let sidecar = Sidecar::new(disk.clone(), dir.clone());
        let files = Files::new(disk.clone(), dir.clone());
        let synced = tile::partials(edge.size()).into_iter().collect();
        Ok(Self {
            bundle: unfinished_bundle(&dir, edge.size())?,
            kept: sidecar.resume(edge.size())?,
            tree: edge.tree(),
            disk,
            dir,
            signers,
            scan,
            edge,
            sidecar,
            files,
            intents,
            hlc,
            unwritten: VecDeque::new(),
            crossed: false,
            synced,
            crossing: None,
        })
    }

    /// Leaves taken in so far; all of them are durable.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Takes in batches up to `durable` leaves and writes the tiles that became full; at most [`STRIDE`] batches, so that the thread's
    /// other work is not kept waiting by a long log.
    pub(crate) fn advance(&mut self, durable: u64) -> Result<(), TileError> {
        self.flush()?;
        for _ in 0..STRIDE {
            self.crossed |= self.scan.cross(durable)?;
            if self.crossed {
                self.sync_edge()?;
            }
            if self.scan.place().index >= durable {
                break;
            }
            let Some(batch) = self.scan.next()? else {
                break;
            };
            for event in &batch.events {
                let hash = leaf_hash(event.leaf);
                self.intents.see(self.tree.size(), event.leaf);
                bundle::put(&mut self.bundle, event.leaf);
                self.kept.push(event.slot, event.sealed);
                self.tree.push(hash);
                if self.tree.size().is_multiple_of(WIDTH as u64) {
                    let number = self.tree.size() / WIDTH as u64 - 1;
                    let tile = Tile::full(Kind::Entries, number);
                    let bundle = std::mem::take(&mut self.bundle);
                    let kept = std::mem::take(&mut self.kept);
                    self.unwritten.push_back(Unwritten::Tile(tile, bundle));
                    self.unwritten.push_back(Unwritten::Kept(number, kept));
                }
                let unwritten = &mut self.unwritten;
                self.edge.push(hash, &mut |tile, hashes| {
                    unwritten.push_back(Unwritten::Tile(tile, tile::to_bytes(hashes)));
                });
            }
            self.hlc = self.hlc.max(batch.commit.hlc);
            if self.tree.root() != batch.commit.root {
                return Err(TileError::Root {
                    batch: batch.opening.number,
                });
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the partial tiles of the present size, then the checkpoint over it, which is remembered elsewhere first; with `keep` also
    /// among the earlier ones. Gives the size published.
    pub(crate) fn publish(&mut self, claim: &mut Claim, keep: bool) -> Result<u64, TileError> {
        self.write_partials(false)?;
        let checkpoint = Checkpoint {
            origin: self.signers.origin().to_string(),
            size: self.tree.size(),
            root: self.tree.root(),
        };
        let directory = Directory::new(self.dir.clone());
        let note = claim.advance(
            &checkpoint,
            &mut || self.signers.sign(&checkpoint.text()),
            &mut |size| proof::root(&directory, size, checkpoint.size),
        )?;
        self.disk
            .replace(&self.dir.join(checkpoint::FILE), note.as_bytes(), false)?;
        if keep {
            let file = self.dir.join(earlier::path(checkpoint.size));
            self.disk.replace(&file, note.as_bytes(), true)?;
        }
        Ok(checkpoint.size)
    }

    /// Where the write-ahead log may begin now, given what the checkpoint covers.
    pub(crate) fn crossing(&self, published: u64) -> Option<&Base> {
        self.crossing
            .as_ref()
            .filter(|base| base.index <= published)
    }

    /// Destroys keys and kept values of leaves that are no longer in the write-ahead log. Safe to repeat.
    pub(crate) fn erase(&mut self, indexes: &BTreeSet<u64>) -> Result<(), TileError> {
        self.flush()?;
        let unfinished = self.tree.size() / WIDTH as u64;
        let mut bundles: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for index in indexes {
            let at = usize::try_from(index % WIDTH as u64).unwrap_or(0);
            bundles.entry(index / WIDTH as u64).or_default().push(at);
        }
        for (bundle, places) in bundles {
            if bundle == unfinished {
                self.kept.erase(&places);
            }
            self.sidecar.erase(&mut self.files, bundle, &places)?;
        }
        Ok(self.files.sync()?)
    }

    /// Wraps the keys of leaves from `first` on anew, up to the end of their file; gives the first leaf of the next. The first time round
    /// it also does what is kept in memory, so that nothing under an old key is written any more. Safe to repeat.
    pub(crate) fn rewrap(
        &mut self,
        first: u64,
        until: u64,
        keks: &[Kek],
        rng: &dyn Rng,
    ) -> Result<u64, TileError> {
        if first == 0 {
            self.flush()?;
            let leaves = bundle::leaves(&self.bundle).unwrap_or_default();
            self.kept.rewrap(&leaves, keks, rng);
        }
        self.sidecar.rewrap(first, until, keks, rng)
    }

    /// Makes everything taken in so far durable without the segments that it was read from, of which the last one has just ended.
    fn sync_edge(&mut self) -> Result<(), TileError> {
        self.write_partials(true)?;
        let bundle = self.tree.size() / WIDTH as u64;
        self.sidecar.write(&mut self.files, bundle, &self.kept)?;
        self.files.sync()?;
        let place = self.scan.place();
        self.crossing = Some(Base {
            segment: place.segment,
            index: place.index,
            batch: place.number,
            prev_commit: place.prev_commit,
            root: self.tree.root(),
            hlc: self.hlc,
            open: self.intents.indexes(),
        });
        self.crossed = false;
        Ok(())
    }

    fn write_partials(&mut self, durable: bool) -> io::Result<()> {
        let partials = tile::partials(self.tree.size());
        let bundles = partials.iter().filter(|tile| tile.kind == Kind::Entries);
        let bundles = bundles.map(|tile| (*tile, self.bundle.clone()));
        let hashes = self.edge.partials();
        let hashes = hashes.map(|(tile, hashes)| (tile, tile::to_bytes(hashes)));
        for (tile, bytes) in bundles.chain(hashes) {
            if !self.synced.contains(&tile) {
                self.disk
                    .replace(&self.dir.join(tile.path()), &bytes, durable)?;
            }
        }
        // Those of other bundles have given way to full ones.
        let places: Vec<Tile> = partials.iter().map(|tile| tile.widened()).collect();
        self.synced.retain(|tile| places.contains(&tile.widened()));
        if durable {
            self.synced.extend(partials);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TileError> {
        while let Some(unwritten) = self.unwritten.front() {
            match unwritten {
                Unwritten::Tile(tile, bytes) => {
                    write_full(&mut self.files, self.dir.join(tile.path()), bytes)?;
                }
                Unwritten::Kept(bundle, kept) => {
                    self.sidecar.write(&mut self.files, *bundle, kept)?;
                    self.sidecar.remove_partials(*bundle)?;
                }
            }
            self.unwritten.pop_front();
        }
        Ok(())
    }
}

/// Writes a full tile or bundle and removes the partial ones before it.
fn write_full(files: &mut Files, path: PathBuf, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.clone().into_os_string();
    partial.push(".p");
    // A file of the right length is left alone even if it is not what we would write: what somebody altered is for `verify`
    // to name, not for a restart to heal.
    let present = fs::metadata(&path).is_ok_and(|about| about.len() == bytes.len() as u64);
    if !present {
        files.replace(path, bytes)?;
    }
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The front of the last bundle of a tree of `size` leaves, as its partial file or the full one that replaced it has it.
fn unfinished_bundle(dir: &Path, size: u64) -> io::Result<Vec<u8>> {
    let partial = tile::partials(size)
        .into_iter()
        .find(|tile| tile.kind == Kind::Entries);
    let Some(tile) = partial else {
        return Ok(Vec::new());
    };
    let (_, bytes) = read_tile(dir, tile).map_err(io::Error::other)?;
    let leaves = bundle::leaves(&bytes)
        .filter(|leaves| leaves.len() >= usize::from(tile.width))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an entry bundle"))?;
    let mut bundle = Vec::new();
    for leaf in leaves.into_iter().take(usize::from(tile.width)) {
        bundle::put(&mut bundle, leaf);
    }
    Ok(bundle)
}
