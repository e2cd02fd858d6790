//! Finds the end of a write-ahead log after a stop of any kind, and tells a torn last write from damage.
//!
//! A torn write is the one batch that was in flight: nothing complete can follow it, so it is zeroed. Anything complete behind a bad
//! block was acknowledged once, so the bad block is damage and the log does not open.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Digest, Fault};

use super::BLOCK;
use super::scan::{Place, Scan, later_batch};
use super::segment::{self, Header};
use crate::disk::{Disk, WriteFault};
use crate::standing::Signed;
use crate::state::Base;
use crate::tree::{CompactRange, leaf_hash};

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

/// Why a log cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The system refuses a file operation.
    #[error("the write-ahead log in {} cannot be read", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory is another log's.
    #[error("segment {segment:016x} belongs to another log than {origin}")]
    OtherLog {
        /// The segment.
        segment: u64,
        /// This log.
        origin: String,
    },
    /// The first segment is missing.
    #[error("segment {wanted:016x}, with which the write-ahead log begins, is missing")]
    Missing {
        /// The segment.
        wanted: u64,
    },
    /// Damage before data that was acknowledged.
    #[error(
        "segment {segment:016x} is damaged at block {block} (batch {batch}, event {index}): complete data follows in segment {later:016x}"
    )]
    Corrupt {
        /// Segment of the damage.
        segment: u64,
        /// Block of the damage, counted from 0.
        block: u64,
        /// Batch expected there.
        batch: u64,
        /// First event lost.
        index: u64,
        /// Segment of the complete data.
        later: u64,
    },
    /// A checkpoint of a larger tree was signed than the data holds.
    #[error(
        "a checkpoint for {signed} events was signed, but the data directory holds {found}: it was rolled back or cut"
    )]
    RolledBack {
        /// Events signed for.
        signed: u64,
        /// Events found.
        found: u64,
    },
    /// The data contradicts a signed checkpoint.
    #[error("the first {size} events do not have the root that was signed for them")]
    Contradiction {
        /// Events signed for.
        size: u64,
    },
    /// Checkpoints were signed for two histories.
    #[error(
        "the log's key has signed two histories: the data here continues\n{here}\nbut not\n{elsewhere}"
    )]
    Equivocation {
        /// A note that the data continues.
        here: String,
        /// One that it contradicts.
        elsewhere: String,
    },
    /// A batch is whole but does not give the root it names.
    #[error("batch {batch} in segment {segment:016x} does not hash to the root it names")]
    Root {
        /// The segment.
        segment: u64,
        /// The batch.
        batch: u64,
    },
}

impl Fault for RecoverError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::OtherLog { .. } => Code::DataDir,
            Self::RolledBack { .. } => Code::LogRolledBack,
            Self::Equivocation { .. } => Code::LogEquivocation,
            _ => Code::LogCorrupt,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check that the data directory is mounted and belongs to this user.".into(),
            Self::OtherLog { .. } => "Use the trust domain and node name that this data directory was made with.".into(),
            Self::RolledBack { .. } => "Nothing was changed. Restore newer data; without any, start a node of another name, whose log begins anew.".into(),
            Self::Equivocation { .. } => "Nothing was changed. Keep both checkpoints and the data directory: together they show that the log was restored or tampered with.".into(),
            _ => "Nothing was changed. Restore the data directory from a copy; keep the damaged one as evidence.".into(),
        }
    }
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
        let mut hlc = self.start.base.hlc;
        while let Some(batch) = scan.next().map_err(|error| self.io(error))? {
            for event in &batch.events {
                see(tree.size(), event.leaf);
                tree.push(leaf_hash(event.leaf));
                compared.with(signed, &tree);
            }
            hlc = hlc.max(batch.commit.hlc);
            if tree.root() != batch.commit.root {
                return Err(RecoverError::Root {
                    segment: batch.opening.segment,
                    batch: batch.opening.number,
                });
            }
        }
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
