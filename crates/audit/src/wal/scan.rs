//! Walks the batches of a write-ahead log in order, checking that each belongs where it stands: segment, number, checksums, chain.
//! Recovery, the tiler, readers and verification all see the log through this.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bailiwick_core::Digest;

use super::batch::{self, Batch};
use super::segment::{self, Header};
use super::{BLOCK, blocks};
use crate::state::Base;

/// A place in the log, and what the batch there must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) number: u64,
    pub(crate) index: u64,
    pub(crate) prev_commit: Digest,
    pub(crate) epoch: u64,
}

impl Place {
    /// Whether it is where a base says that the log begins.
    pub(crate) fn continues(&self, base: &Base) -> bool {
        (self.segment, self.index, self.number, self.prev_commit)
            == (base.segment, base.index, base.batch, base.prev_commit)
    }

    /// Behind the header of a segment.
    fn after(header: &Header) -> Self {
        Self {
            segment: header.segment,
            offset: BLOCK,
            number: header.first_batch,
            index: header.first_index,
            prev_commit: header.prev_commit,
            epoch: header.epoch,
        }
    }
}

/// A walk over the batches of one directory.
pub(crate) struct Scan {
    wal: PathBuf,
    origin: Option<Digest>,
    place: Place,
    file: File,
    buffer: Vec<u8>,
    /// Whether the buffer holds the batch at `place`, checked.
    loaded: bool,
}

impl Scan {
    /// Starts at the first batch of `segment`. `None` if the segment has no valid header of this origin (`origin: None` takes any).
    pub(crate) fn start(
        wal: &Path,
        origin: Option<Digest>,
        segment: u64,
    ) -> io::Result<Option<Self>> {
        let file = match File::open(segment::path(wal, segment)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let header = segment::header(&file)?;
        let ours = header.filter(|header| {
            header.segment == segment && origin.is_none_or(|origin| origin == header.origin)
        });
        Ok(ours.map(|header| Self {
            wal: wal.to_path_buf(),
            origin: Some(header.origin),
            place: Place::after(&header),
            file,
            buffer: Vec::new(),
            loaded: false,
        }))
    }

    /// Starts at the first batch of the segment in which leaf `index` lies or will lie. `None` if the log holds no segment yet, or
    /// none from that index on.
    pub(crate) fn start_at(wal: &Path, index: u64) -> io::Result<Option<Self>> {
        for segment in segment::list(wal)?.into_iter().rev() {
            if let Some(scan) = Self::start(wal, None, segment)?
                && scan.place.index <= index
            {
                return Ok(Some(scan));
            }
        }
        Ok(None)
    }

    /// Where the next batch is expected.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Moves into the next segment if no batch is left in this one and that continues exactly here. Between the two, the log may be
    /// cut off on the left. `durable` leaves are known to be.
    pub(crate) fn cross(&mut self, durable: u64) -> io::Result<bool> {
        if !segment::path(&self.wal, self.place.segment + 1).exists() {
            return Ok(false);
        }
        let here = self.load()?;
        // What stands here may be a write that was refused; it is looked at again once it is known to be durable.
        self.loaded &= self.place.index < durable;
        Ok(!here && self.next_segment()?)
    }

    /// The next batch, or `None` if there is none that belongs here. The walk then stays in place, so a reader of a live log can ask
    /// again once more is durable.
    pub(crate) fn next(&mut self) -> io::Result<Option<Batch<'_>>> {
        let here = self.load()?;
        if !here && (!self.next_segment()? || !self.load()?) {
            return Ok(None);
        }
        self.loaded = false;
        // `load` has decoded these very bytes; a borrow that outlives the check needs them decoded here.
        let Some(batch) = batch::decode(&self.buffer) else {
            return Ok(None);
        };
        self.place = Place {
            segment: self.place.segment,
            offset: self.place.offset + blocks(u64::from(batch.opening.bytes)),
            number: batch.opening.number + 1,
            index: batch.commit.size,
            prev_commit: batch.commit.digest(),
            epoch: batch.opening.epoch,
        };
        Ok(Some(batch))
    }

    /// Reads the batch expected here into the buffer; false if there is none.
    fn load(&mut self) -> io::Result<bool> {
        let place = self.place;
        if self.loaded {
            return Ok(true);
        }
        if !read_batch(&self.file, place.offset, &mut self.buffer)? {
            return Ok(false);
        }
        self.loaded = batch::decode(&self.buffer).is_some_and(|batch| {
            batch.opening.segment == place.segment
                && batch.opening.number == place.number
                && batch.opening.first_index == place.index
                && batch.opening.epoch >= place.epoch
                && batch.commit.prev_commit == place.prev_commit
        });
        Ok(self.loaded)
    }

    /// Moves to the next segment if it continues exactly here.
    fn next_segment(&mut self) -> io::Result<bool> {
        let Some(next) = Self::start(&self.wal, self.origin, self.place.segment + 1)? else {
            return Ok(false);
        };
        let continues = next.place.number == self.place.number
            && next.place.index == self.place.index
            && next.place.prev_commit == self.place.prev_commit
            && next.place.epoch >= self.place.epoch;
        if continues {
            *self = next;
        }
        Ok(continues)
    }
}

/// Reads the frames of a batch that opens at `offset`; false if none does, or the file ends first.
fn read_batch(file: &File, offset: u64, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let Some(opening) = read_opening(file, offset)? else {
        return Ok(false);
    };
    buffer.resize(usize::try_from(opening.bytes).unwrap_or(0), 0);
    match file.read_exact_at(buffer, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_opening(file: &File, offset: u64) -> io::Result<Option<batch::Opening>> {
    let mut front = [0_u8; 64];
    match file.read_exact_at(&mut front, offset) {
        Ok(()) => Ok(batch::opening(&front)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether any block from `offset` on opens a complete batch numbered `number` or higher: proof that what stands at `offset` was once
/// followed by acknowledged data and is damage, not a torn write.
pub(crate) fn later_batch(file: &File, offset: u64, number: u64) -> io::Result<Option<u64>> {
    let len = file.metadata()?.len();
    let mut buffer = Vec::new();
    let mut at = offset;
    while at < len {
        if read_batch(file, at, &mut buffer)?
            && batch::decode(&buffer).is_some_and(|batch| batch.opening.number >= number)
        {
            return Ok(Some(at));
        }
        at += BLOCK;
    }
    Ok(None)
}
