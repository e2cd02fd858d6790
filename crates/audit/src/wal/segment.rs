//! Segment files: `wal/<16 hex digits>`, zero-filled once, their first block saying where in the log they begin. The spare is the
//! next one, made before it is needed: it is the reserve that lets refusals and revocations be recorded on a full disk.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bailiwick_core::Digest;

use super::frame::{self, Fields, Kind};
use crate::disk::{Disk, WriteFault, fill_with_zeros};

const MAGIC: [u8; 8] = *b"\xf8\xffBWS1\xff\xf9";
const SPARE: &str = "spare";
const UNFINISHED: &str = "spare.tmp";

/// Block 0 of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// SHA-256 of the log's origin: a segment of another log is never read as ours.
    pub(crate) origin: Digest,
    pub(crate) segment: u64,
    pub(crate) epoch: u64,
    pub(crate) first_index: u64,
    pub(crate) first_batch: u64,
    pub(crate) prev_commit: Digest,
}

impl Header {
    /// The whole block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096);
        frame::put(
            &mut out,
            Kind::Segment,
            &[
                &MAGIC,
                &self.origin.0,
                &self.segment.to_le_bytes(),
                &self.epoch.to_le_bytes(),
                &self.first_index.to_le_bytes(),
                &self.first_batch.to_le_bytes(),
                &self.prev_commit.0,
            ],
        );
        out.resize(4096, 0);
        out
    }

    fn decode(block: &[u8]) -> Option<Self> {
        let (body, _) = frame::take(block, Kind::Segment)?;
        let mut fields = Fields(body);
        (fields.array()? == &MAGIC).then_some(())?;
        let header = Self {
            origin: Digest(*fields.array()?),
            segment: fields.u64()?,
            epoch: fields.u64()?,
            first_index: fields.u64()?,
            first_batch: fields.u64()?,
            prev_commit: Digest(*fields.array()?),
        };
        fields.end()?;
        Some(header)
    }
}

/// The file of a segment.
pub(crate) fn path(wal: &Path, segment: u64) -> PathBuf {
    wal.join(format!("{segment:016x}"))
}

/// Numbers of the segment files present, ascending. Other names are not ours to judge.
pub(crate) fn list(wal: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(wal)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .filter(|name| name.len() == 16)
            .and_then(|name| u64::from_str_radix(name, 16).ok());
        segments.extend(number);
    }
    segments.sort_unstable();
    Ok(segments)
}

/// The header of a segment, or `None` if its first block is not one.
pub(crate) fn header(file: &File) -> io::Result<Option<Header>> {
    let mut block = vec![0; 4096];
    match file.read_exact_at(&mut block, 0) {
        Ok(()) => Ok(Header::decode(&block)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the spare is there.
pub(crate) fn has_spare(wal: &Path) -> bool {
    wal.join(SPARE).exists()
}

/// The spare before it is whole.
pub(crate) fn unfinished_spare(wal: &Path) -> PathBuf {
    wal.join(UNFINISHED)
}

/// Makes the spare of a segment that is not needed any more: its blocks stay allocated, what they held is overwritten. On a full disk
/// this works where making a new one does not.
pub(crate) fn recycle(disk: &dyn Disk, wal: &Path, segment: u64, size: u64) -> io::Result<()> {
    let temporary = unfinished_spare(wal);
    disk.rename(&path(wal, segment), &temporary)?;
    let file = open(&temporary)?;
    let len = file.metadata()?.len();
    fill_with_zeros(disk, &file, len)?;
    if len != size {
        // Another segment size was configured meanwhile.
        disk.remove(&temporary)?;
        return make_spare(disk, wal, size);
    }
    disk.rename(&temporary, &wal.join(SPARE))?;
    disk.sync_dir(wal)
}

/// Makes the spare: zeros, synced, and only then under its name.
pub(crate) fn make_spare(disk: &dyn Disk, wal: &Path, size: u64) -> io::Result<()> {
    let temporary = unfinished_spare(wal);
    let made = File::create(&temporary).and_then(|file| fill_with_zeros(disk, &file, size));
    if let Err(error) = made {
        // A half-made spare would hold the very space that ran out.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    disk.rename(&temporary, &wal.join(SPARE))?;
    disk.sync_dir(wal)
}

/// Turns the spare into the segment that `header` describes and gives its file, durable with its header. May be tried again after it
/// ran out of space half-way.
pub(crate) fn take_spare(disk: &dyn Disk, wal: &Path, header: &Header) -> Result<File, WriteFault> {
    let path = path(wal, header.segment);
    if has_spare(wal) {
        disk.rename(&wal.join(SPARE), &path)
            .map_err(WriteFault::of_write)?;
        disk.sync_dir(wal).map_err(WriteFault::of_sync)?;
    }
    let file = open(&path).map_err(WriteFault::of_write)?;
    disk.write_at(&file, &header.encode(), 0)
        .map_err(WriteFault::of_write)?;
    disk.sync(&file).map_err(WriteFault::of_sync)?;
    Ok(file)
}

/// Opens a segment for reading and writing.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}
