//! Turns the durable log into static files: full tiles and bundles (synced, written once), partial ones (not synced: the write-ahead log
//! rebuilds them), and the signed checkpoint that they prove.
//!
//! It reads batches back from disk and checks their roots again, so what is published is what is stored.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_crypto::note::{NoteError, NoteSigner};

use crate::bundle;
use crate::checkpoint::{self, Checkpoint};
use crate::disk::Disk;
use crate::tile::{self, Kind, RightEdge, Tile, WIDTH};
use crate::tree::{CompactRange, leaf_hash};
use crate::wal::scan::Scan;

/// Most batches taken in at once.
const STRIDE: usize = 64;

/// Writes tiles and checkpoints of one log.
pub(crate) struct Tiler {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    signer: NoteSigner,
    scan: Scan,
    tree: CompactRange,
    edge: RightEdge,
    /// Leaves since the last full bundle.
    bundle: Vec<u8>,
    /// Full files not yet on disk, in order.
    unwritten: VecDeque<(Tile, Vec<u8>)>,
}

/// Why tiles or a checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TileError {
    #[error("a file cannot be written")]
    Io(#[from] io::Error),
    #[error("the checkpoint cannot be signed")]
    Sign(#[from] NoteError),
    #[error("batch {batch} reads back with another root than it names")]
    Root { batch: u64 },
}

impl Tiler {
    /// Starts at the beginning of the log; files that exist are not written again.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, signer: NoteSigner, scan: Scan) -> Self {
        Self {
            disk,
            dir,
            signer,
            scan,
            tree: CompactRange::default(),
            edge: RightEdge::default(),
            bundle: Vec::new(),
            unwritten: VecDeque::new(),
        }
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
            if self.scan.place().index >= durable {
                break;
            }
            let Some(batch) = self.scan.next()? else {
                break;
            };
            for event in &batch.events {
                let hash = leaf_hash(event.leaf);
                bundle::put(&mut self.bundle, event.leaf);
                self.tree.push(hash);
                if self.tree.size().is_multiple_of(WIDTH as u64) {
                    let tile = Tile::full(Kind::Entries, self.tree.size() / WIDTH as u64 - 1);
                    self.unwritten
                        .push_back((tile, std::mem::take(&mut self.bundle)));
                }
                let unwritten = &mut self.unwritten;
                self.edge.push(hash, &mut |tile, hashes| {
                    unwritten.push_back((tile, tile::to_bytes(hashes)));
                });
            }
            if self.tree.root() != batch.commit.root {
                return Err(TileError::Root {
                    batch: batch.opening.number,
                });
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the partial tiles of the present size, then the checkpoint over it. Gives the size published.
    pub(crate) fn publish(&mut self) -> Result<u64, TileError> {
        let size = self.tree.size();
        for tile in tile::partials(size)
            .into_iter()
            .filter(|tile| tile.kind == Kind::Entries)
        {
            self.disk
                .replace(&self.dir.join(tile.path()), &self.bundle, false)?;
        }
        for (tile, hashes) in self.edge.partials() {
            self.disk
                .replace(&self.dir.join(tile.path()), &tile::to_bytes(hashes), false)?;
        }
        let checkpoint = Checkpoint {
            origin: self.signer.name().to_owned(),
            size,
            root: self.tree.root(),
        };
        let note = checkpoint.sign(&self.signer)?;
        self.disk
            .replace(&self.dir.join(checkpoint::FILE), note.as_bytes(), false)?;
        Ok(size)
    }

    fn flush(&mut self) -> Result<(), TileError> {
        while let Some((tile, bytes)) = self.unwritten.front() {
            let path = self.dir.join(tile.path());
            // A file of the right length is left alone even if it is not what we would write: what somebody altered is for `verify`
            // to name, not for a restart to heal.
            let present = fs::metadata(&path).is_ok_and(|about| about.len() == bytes.len() as u64);
            if !present {
                self.disk.replace(&path, bytes, true)?;
            }
            let mut partial = path.into_os_string();
            partial.push(".p");
            match fs::remove_dir_all(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => self.unwritten.pop_front(),
            };
        }
        Ok(())
    }
}
