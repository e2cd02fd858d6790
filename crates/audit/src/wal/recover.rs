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
    /// Root at the size asked for, if the log reaches it.
    pub(crate) root_at: Option<Digest>,
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
    /// A segment before the last is missing.
    #[error(
        "the write-ahead log begins with segment {first:016x}; segment 0000000000000000 is missing"
    )]
    Missing {
        /// First segment found.
        first: u64,
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
            Self::Missing { .. } | Self::Corrupt { .. } | Self::Root { .. } => Code::LogCorrupt,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check that the data directory is mounted and belongs to this user.".into(),
            Self::OtherLog { .. } => "Use the trust domain and node name that this data directory was made with.".into(),
            _ => "Nothing was changed. Restore the data directory from a copy; keep the damaged one as evidence.".into(),
        }
    }
}

/// Replays the log, zeroes a torn tail, and gives the state to continue from. An empty directory becomes a log with one empty segment
/// of `segment_size` bytes.
pub(crate) fn recover(
    disk: &dyn Disk,
    wal: &Path,
    origin: &str,
    segment_size: u64,
    root_at: u64,
) -> Result<Recovered, RecoverError> {
    let run = Run {
        disk,
        wal,
        origin: crate::origin_hash(origin),
        segment_size,
    };
    run.recover(origin, root_at)
}

struct Run<'a> {
    disk: &'a dyn Disk,
    wal: &'a Path,
    origin: Digest,
    segment_size: u64,
}

impl Run<'_> {
    fn recover(&self, origin: &str, root_at: u64) -> Result<Recovered, RecoverError> {
        let mut scan = self.first_segment(origin)?;
        let mut tree = CompactRange::default();
        let mut hlc = 0;
        let mut found_root = (root_at == 0).then(|| tree.root());
        loop {
            let before = scan.place();
            let Some(batch) = scan.next().map_err(|error| self.io(error))? else {
                break;
            };
            for event in &batch.events {
                tree.push(leaf_hash(event.leaf));
                if tree.size() == root_at {
                    found_root = Some(tree.root());
                }
            }
            hlc = hlc.max(batch.commit.hlc);
            if tree.root() != batch.commit.root {
                return Err(RecoverError::Root {
                    segment: batch.opening.segment,
                    batch: before.number,
                });
            }
        }
        let place = scan.place();
        self.refuse_damage(place)?;
        let zeroed = self.zero_tail(place).map_err(|error| self.io(error))?;
        Ok(Recovered {
            place,
            tree,
            hlc,
            zeroed,
            root_at: found_root,
        })
    }

    /// The walk from segment 0, which is made if the directory has none.
    fn first_segment(&self, origin: &str) -> Result<Scan, RecoverError> {
        let segments = segment::list(self.wal).map_err(|error| self.io(error))?;
        if let Some(first) = segments.first().copied().filter(|first| *first != 0) {
            return Err(RecoverError::Missing { first });
        }
        if let Some(scan) =
            Scan::start(self.wal, Some(self.origin), 0).map_err(|error| self.io(error))?
        {
            return Ok(scan);
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
                offset: BLOCK,
                number: 0,
                index: 0,
                prev_commit: Digest([0; 32]),
                epoch: 0,
            };
            self.refuse_damage(Place { offset: 0, ..start })?;
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

    /// Looks for complete data behind the end of the walk; removes segments that a stop left without any.
    fn refuse_damage(&self, end: Place) -> Result<(), RecoverError> {
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
                fs::remove_file(&path).map_err(|error| self.io(error))?;
            }
        }
        Ok(())
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
