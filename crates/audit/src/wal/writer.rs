//! Appends batches: one `pwrite`, one `fdatasync`, and only then do tree and place move on. A refused batch leaves no trace in either.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_core::{Digest, Timestamp};

use super::batch::{self, Commit, EventFrame, Opening};
use super::scan::Place;
use super::segment::{self, Header};
use super::{BLOCK, blocks};
use crate::disk::{Disk, WriteFault};
use crate::tree::CompactRange;

/// The one writer of a log.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    wal: PathBuf,
    origin: Digest,
    epoch: u64,
    file: File,
    /// Bytes of the present segment's file.
    capacity: u64,
    place: Place,
    tree: CompactRange,
    /// End of what a refused batch may have left on disk; the next batch overwrites it with zeros.
    dirty_until: u64,
    /// The batch that is written, kept for its room.
    frames: Vec<u8>,
}

impl Writer {
    /// Continues at `place`, with the tree of everything before it. `epoch` is higher than any in the log.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        wal: PathBuf,
        origin: Digest,
        epoch: u64,
        place: Place,
        tree: CompactRange,
    ) -> std::io::Result<Self> {
        let file = segment::open(&segment::path(&wal, place.segment))?;
        let capacity = file.metadata()?.len();
        Ok(Self {
            disk,
            wal,
            origin,
            epoch,
            file,
            capacity,
            place,
            tree,
            dirty_until: 0,
            frames: Vec::new(),
        })
    }

    /// The tree of all durable events.
    pub(crate) fn tree(&self) -> &CompactRange {
        &self.tree
    }

    /// Number of the next batch.
    pub(crate) fn next_batch(&self) -> u64 {
        self.place.number
    }

    /// The segment written to.
    pub(crate) fn segment(&self) -> u64 {
        self.place.segment
    }

    /// Bytes of the segments from `first` on.
    pub(crate) fn untiled(&self, first: u64) -> u64 {
        self.place
            .segment
            .saturating_sub(first)
            .saturating_mul(self.capacity)
            .saturating_add(self.place.offset)
    }

    /// Begins the next segment, whatever room this one has.
    pub(crate) fn roll(&mut self) -> Result<(), WriteFault> {
        self.next_segment()
    }

    /// Whether a batch of `bytes` frames needs a new segment, that is, the spare.
    pub(crate) fn needs_spare(&self, bytes: usize) -> bool {
        self.place.offset + blocks(bytes as u64) > self.capacity
    }

    /// Makes the events durable. `hashes` are their leaf hashes, in the same order.
    pub(crate) fn append(
        &mut self,
        events: &[&EventFrame],
        hashes: &[Digest],
        wall: Timestamp,
        hlc: u64,
    ) -> Result<(), WriteFault> {
        if self.needs_spare(batch::len(events)) {
            self.next_segment()?;
        }
        let mut tree = self.tree.clone();
        for hash in hashes {
            tree.push(*hash);
        }
        let opening = Opening {
            segment: self.place.segment,
            epoch: self.epoch,
            number: self.place.number,
            first_index: self.place.index,
            events: 0,
            bytes: 0,
        };
        let commit = Commit {
            number: self.place.number,
            size: tree.size(),
            root: tree.root(),
            prev_commit: self.place.prev_commit,
            wall,
            hlc,
        };
        let frames = &mut self.frames;
        batch::encode(frames, opening, events, &commit);
        let end = self.place.offset + blocks(frames.len() as u64);
        let covered = end.max(self.dirty_until.min(self.capacity));
        frames.resize(
            usize::try_from(covered - self.place.offset).unwrap_or(frames.len()),
            0,
        );
        if let Err(error) = self.disk.write_at(&self.file, frames, self.place.offset) {
            self.dirty_until = covered;
            return Err(WriteFault::of_write(error));
        }
        self.disk.sync(&self.file).map_err(WriteFault::of_sync)?;
        self.dirty_until = 0;
        self.tree = tree;
        self.place = Place {
            offset: end,
            number: self.place.number + 1,
            index: self.tree.size(),
            prev_commit: commit.digest(),
            epoch: self.epoch,
            ..self.place
        };
        Ok(())
    }

    /// A refused batch may stand here whole. Nothing will overwrite it once the segment is left, and it would pass for a good one.
    fn wipe_refused(&mut self) -> Result<(), WriteFault> {
        let end = self.dirty_until.min(self.capacity);
        if let Some(len @ 1..) = end.checked_sub(self.place.offset) {
            let zeros = vec![0; usize::try_from(len).unwrap_or(0)];
            self.disk
                .write_at(&self.file, &zeros, self.place.offset)
                .map_err(WriteFault::of_write)?;
            self.disk.sync(&self.file).map_err(WriteFault::of_sync)?;
        }
        self.dirty_until = 0;
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), WriteFault> {
        self.wipe_refused()?;
        let header = Header {
            origin: self.origin,
            segment: self.place.segment + 1,
            epoch: self.epoch,
            first_index: self.place.index,
            first_batch: self.place.number,
            prev_commit: self.place.prev_commit,
        };
        let file = segment::take_spare(&*self.disk, &self.wal, &header)?;
        self.capacity = file.metadata().map_err(WriteFault::of_write)?.len();
        self.file = file;
        self.place.segment = header.segment;
        self.place.offset = BLOCK;
        self.dirty_until = 0;
        Ok(())
    }
}
