//! The baseline of one writer: what the disk gives by itself. The bench of the gateway compiles this very file (`#[path]`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub(crate) const BLOCK: usize = 4096;
/// A segment of the log is as long; writing starts over at its end.
pub(crate) const FILE_BYTES: usize = 64 << 20;

/// One preallocated block written and synced, then the next.
pub(crate) struct BareSync {
    file: File,
    block: [u8; BLOCK],
    offset: usize,
}

impl BareSync {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: preallocated(path)?,
            block: [0xa5; BLOCK],
            offset: 0,
        })
    }

    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.block, self.offset as u64)?;
        self.file.sync_data()?;
        self.offset = (self.offset + BLOCK) % FILE_BYTES;
        Ok(())
    }
}

/// Zeros written and synced, as the log does: a later write changes no metadata.
pub(crate) fn preallocated(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for offset in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, offset as u64)?;
    }
    file.sync_all()?;
    Ok(file)
}
