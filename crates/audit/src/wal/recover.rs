//! Finds the end of a write-ahead log after a stop of any kind, and tells a torn last write from damage.
//!
//! A torn write is the one batch that was in flight: nothing complete can follow it, so it is zeroed. Anything complete behind a bad
//! block was acknowledged once, so the bad block is damage and the log does not open.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bailiwick_core::Digest;

use super::BLOCK;
use super::scan::{Place, Scan, later_batch};
use super::segment::{self, Header};
use crate::disk::{Disk, WriteFault};
use crate::standing::Signed;
use crate::state::Base;
use crate::tree::{CompactRange, leaf_hash};

pub use error::RecoverError;

mod error;

/// The state at the end of the log.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) place: Place,
    pub(crate) tree: CompactRange,
    /// Highest logical time in the log.
    pub(crate) hlc: u64,
    /// Bytes of a torn last write that were zeroed.
    pub(crate) zeroed: u64,
}

/// Where the write-ahead log begins, and the tree before it.
#[derive(Debug, Default)]
pub(crate) struct Start {
    pub(crate) base: Base,
    pub(crate) tree: CompactRange,
}

/// Replays the log from `start`, zeroes a torn tail, and gives the state to continue from. An empty directory becomes a log with one
/// empty segment of `segment_size` bytes. What `signed` covers must be there: it was durable when it was signed. Nothing is changed
/// before all of that is checked. `see` is shown every leaf with its index.
pub(crate) fn recover(
    disk: &dyn Disk,
    wal: &Path,
    origin: &str,
    segment_size: u64,
    start: &Start,
    signed: &[Signed],
    see: &mut dyn FnMut(u64, &[u8]),
) -> Result<Recovered, RecoverError> {
    let run = Run {
        disk,
        wal,
        origin: crate::origin_hash(origin),
        segment_size,
        start,
    };
    run.recover(origin, signed, see)
}

/// Where a log is damaged before data that was acknowledged, if it is. Any other fault is an error. Changes nothing.
pub(crate) fn find_damage(
    disk: &dyn Disk,
    wal: &Path,
    origin: &str,
    start: &Start,
    signed: &[Signed],
) -> Result<Option<Place>, RecoverError> {
    let run = Run {
        disk,
        wal,
        origin: crate::origin_hash(origin),
        segment_size: 0,
        start,
    };
    let mut scan = run.base_segment(origin)?;
    let (mut tree, mut compared) = (start.tree.clone(), Compared::default());
    compared.with(signed, &tree);
    run.replay(&mut scan, &mut tree, &mut |tree, _, _| {
        compared.with(signed, tree);
    })?;
    compared.outcome()?;
    match run.refuse_damage(scan.place()) {
        Err(RecoverError::Corrupt { .. }) => Ok(Some(scan.place())),
        other => other.map(|_| None),
    }
}

/// How the tree, as it grows, compares with what was signed for it.
#[derive(Default)]
struct Compared<'s> {
    continues: Option<&'s Signed>,
    contradicts: Option<&'s Signed>,
}

impl<'s> Compared<'s> {
    fn with(&mut self, signed: &'s [Signed], tree: &CompactRange) {
        // A handful at most; what was signed for other sizes is not looked at.
        for signed in signed {
            if signed.checkpoint.size == tree.size() {
                let side = if signed.checkpoint.root == tree.root() {
                    &mut self.continues
                } else {
                    &mut self.contradicts
                };
                *side = Some(signed);
            }
        }
    }

    fn outcome(&self) -> Result<(), RecoverError> {
        match (self.contradicts, self.continues) {
            (None, _) => Ok(()),
            (Some(elsewhere), Some(here)) if here.checkpoint.size >= elsewhere.checkpoint.size => {
                Err(RecoverError::Equivocation {
                    here: here.note.clone(),
                    elsewhere: elsewhere.note.clone(),
                })
            }
            (Some(elsewhere), _) => Err(RecoverError::Contradiction {
                size: elsewhere.checkpoint.size,
            }),
        }
    }
}

struct Run<'a> {
    disk: &'a dyn Disk,
    wal: &'a Path,
    origin: Digest,
    segment_size: u64,
    start: &'a Start,
}

impl Run<'_> {
    fn recover(
        &self,
        origin: &str,
        signed: &[Signed],
        see: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Recovered, RecoverError> {
        let sizes = signed.iter().map(|signed| signed.checkpoint.size);
        let signed_size = sizes.max().unwrap_or(0);
        let mut tree = self.start.tree.clone();
        let mut compared = Compared::default();
        compared.with(signed, &tree);
        let mut scan = if self.start.base.segment == 0 {
            self.first_segment(origin, signed_size)?
        } else {
            self.base_segment(origin)?
        };
        let hlc = self.replay(&mut scan, &mut tree, &mut |tree, index, leaf| {
            see(index, leaf);
            compared.with(signed, tree);
        })?;
        compared.outcome()?;
        let place = scan.place();
        let leftover = self.refuse_damage(place)?;
        if tree.size() < signed_size {
            return Err(RecoverError::RolledBack {
                signed: signed_size,
                found: tree.size(),
            });
        }
        let retired = segment::list(self.wal).map_err(|error| self.io(error))?;
        let retired = retired
            .into_iter()
            .filter(|segment| *segment < self.start.base.segment)
            .map(|segment| segment::path(self.wal, segment));
        // The half-made spare may be a segment that was on its way to become one.
        for path in leftover
            .into_iter()
            .chain(retired)
            .chain([segment::unfinished_spare(self.wal)])
        {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.io(error));
                }
                _ => {}
            }
        }
        let zeroed = self.zero_tail(place).map_err(|error| self.io(error))?;
        Ok(Recovered {
            place,
            tree,
            hlc,
            zeroed,
        })
    }

    /// Reads batches to the end, and shows each leaf with the tree that it is the last of. Gives the highest logical time.
    fn replay(
        &self,
        scan: &mut Scan,
        tree: &mut CompactRange,
        see: &mut dyn FnMut(&CompactRange, u64, &[u8]),
    ) -> Result<u64, RecoverError> {
        let mut hlc = self.start.base.hlc;
        while let Some(batch) = scan.next().map_err(|error| self.io(error))? {
            for event in &batch.events {
                let index = tree.size();
                tree.push(leaf_hash(event.leaf));
                see(tree, index, event.leaf);
            }
            hlc = hlc.max(batch.commit.hlc);
            if tree.root() != batch.commit.root {
                return Err(RecoverError::Root {
                    segment: batch.opening.segment,
                    batch: batch.opening.number,
                });
            }
        }
        Ok(hlc)
    }

    /// The walk from the segment at the base, which was there, header and all, before the base was moved to it.
    fn base_segment(&self, origin: &str) -> Result<Scan, RecoverError> {
        let base = &self.start.base;
        let path = segment::path(self.wal, base.segment);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RecoverError::Missing {
                    wanted: base.segment,
                });
            }
            Err(error) => return Err(self.io(error)),
        };
        let header = segment::header(&file).map_err(|error| self.io(error))?;
        if header.is_some_and(|header| header.origin != self.origin) {
            return Err(RecoverError::OtherLog {
                segment: base.segment,
                origin: origin.to_owned(),
            });
        }
        let scan = Scan::start(self.wal, Some(self.origin), base.segment)
            .map_err(|error| self.io(error))?
            .filter(|scan| scan.place().continues(base));
        scan.ok_or(RecoverError::Corrupt {
            segment: base.segment,
            block: 0,
            batch: base.batch,
            index: base.index,
            later: base.segment,
        })
    }

    /// The walk from segment 0, which is made if the directory has none.
    fn first_segment(&self, origin: &str, signed: u64) -> Result<Scan, RecoverError> {
        let segments = segment::list(self.wal).map_err(|error| self.io(error))?;
        if segments.first().is_some_and(|first| *first != 0) {
            return Err(RecoverError::Missing { wanted: 0 });
        }
        if let Some(scan) =
            Scan::start(self.wal, Some(self.origin), 0).map_err(|error| self.io(error))?
        {
            return Ok(scan);
        }
        if segments.is_empty() && signed > 0 {
            return Err(RecoverError::RolledBack { signed, found: 0 });
        }
        if !segments.is_empty() {
            let file = File::open(segment::path(self.wal, 0)).map_err(|error| self.io(error))?;
            if segment::header(&file)
                .map_err(|error| self.io(error))?
                .is_some()
            {
                return Err(RecoverError::OtherLog {
                    segment: 0,
                    origin: origin.to_owned(),
                });
            }
            // No header: either the very first one was torn, before anything could be acknowledged, or this is damage.
            let start = Place {
                segment: 0,
                offset: 0,
                number: 0,
                index: 0,
                prev_commit: Digest([0; 32]),
                epoch: 0,
            };
            self.refuse_damage(start)?;
            if signed > 0 {
                return Err(RecoverError::RolledBack { signed, found: 0 });
            }
            fs::remove_file(segment::path(self.wal, 0)).map_err(|error| self.io(error))?;
        }
        let header = Header {
            origin: self.origin,
            segment: 0,
            epoch: 1,
            first_index: 0,
            first_batch: 0,
            prev_commit: Digest([0; 32]),
        };
        if !segment::has_spare(self.wal) {
            segment::make_spare(self.disk, self.wal, self.segment_size)
                .map_err(|error| self.io(error))?;
        }
        segment::take_spare(self.disk, self.wal, &header).map_err(|fault| match fault {
            WriteFault::Full(error) | WriteFault::Broken(error) => self.io(error),
        })?;
        let scan = Scan::start(self.wal, Some(self.origin), 0).map_err(|error| self.io(error))?;
        scan.ok_or_else(|| {
            self.io(io::Error::other(
                "the segment just written cannot be read back",
            ))
        })
    }

    /// Looks for complete data behind the end of the walk. Gives the segment files that a stop left without any.
    fn refuse_damage(&self, end: Place) -> Result<Vec<PathBuf>, RecoverError> {
        let mut leftover = Vec::new();
        let corrupt = |later| RecoverError::Corrupt {
            segment: end.segment,
            block: end.offset / BLOCK,
            batch: end.number,
            index: end.index,
            later,
        };
        for segment in segment::list(self.wal).map_err(|error| self.io(error))? {
            if segment < end.segment {
                continue;
            }
            let path = segment::path(self.wal, segment);
            let file = File::open(&path).map_err(|error| self.io(error))?;
            let from = if segment == end.segment {
                end.offset
            } else {
                0
            };
            let continues_later = segment > end.segment
                && segment::header(&file)
                    .map_err(|error| self.io(error))?
                    .is_some();
            if continues_later
                || later_batch(&file, from, end.number)
                    .map_err(|error| self.io(error))?
                    .is_some()
            {
                return Err(corrupt(segment));
            }
            if segment > end.segment {
                leftover.push(path);
            }
        }
        Ok(leftover)
    }

    /// Zeroes whatever stands behind the last batch; gives the bytes of the blocks that held anything.
    fn zero_tail(&self, end: Place) -> io::Result<u64> {
        let file = segment::open(&segment::path(self.wal, end.segment))?;
        let len = file.metadata()?.len();
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(4096)];
        let zeros = vec![0; block.len()];
        let mut zeroed = 0;
        let mut at = end.offset;
        while at < len {
            let step = usize::try_from(len - at)
                .unwrap_or(usize::MAX)
                .min(block.len());
            let (Some(found), Some(blank)) = (block.get_mut(..step), zeros.get(..step)) else {
                break;
            };
            file.read_exact_at(found, at)?;
            if found != blank {
                self.disk.write_at(&file, blank, at)?;
                zeroed += step as u64;
            }
            at += step as u64;
        }
        if zeroed > 0 {
            self.disk.sync(&file)?;
        }
        Ok(zeroed)
    }

    fn io(&self, source: io::Error) -> RecoverError {
        RecoverError::Io {
            path: self.wal.to_path_buf(),
            source,
        }
    }
}

#[cfg(test)]
mod tests;
