//! The few file operations whose failure decides what the log may claim, behind one trait so that tests can make each of them fail.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Writes, syncs and space. Reading needs no seam: what is read is checked against hashes.
pub trait Disk: Send + Sync {
    /// Writes all of `bytes` at `offset` (`pwrite`).
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes written data durable (`fdatasync`).
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Makes names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that this user can still write on the file system of `dir`.
    fn free(&self, dir: &Path) -> io::Result<u64>;

    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Removes a file; one that is not there is removed already.
    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Replaces `path` by a file with these bytes, never leaving a half-written one under that name. With `durable` the bytes and
    /// the name are synced before this returns.
    fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        let made: Vec<&Path> = parent.ancestors().take_while(|dir| !dir.exists()).collect();
        if !made.is_empty() {
            fs::create_dir_all(parent)?;
        }
        let temporary = path.with_extension("tmp");
        let file = File::create(&temporary)?;
        self.write_at(&file, bytes, 0)?;
        if durable {
            self.sync(&file)?;
        }
        self.rename(&temporary, path)?;
        if durable {
            self.sync_dir(parent)?;
            // A new directory is itself a name in another.
            for above in made.iter().filter_map(|dir| dir.parent()) {
                self.sync_dir(above)?;
            }
        }
        Ok(())
    }
}

/// The machine's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// What a failed write or sync means for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteFault {
    /// Space or quota ran out in a write. Nothing was promised: the batch is refused and its blocks are used again.
    #[error("the disk is full")]
    Full(#[source] io::Error),
    /// Anything else, and every failed sync: the pages are clean afterwards, so that a retry would lie.
    #[error("the disk cannot be trusted any more")]
    Broken(#[source] io::Error),
}

impl WriteFault {
    pub(crate) fn of_write(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error),
            _ => Self::Broken(error),
        }
    }

    pub(crate) fn of_sync(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Writes `len` zero bytes, so that later writes change no file size and need no block of the file system.
pub(crate) fn fill_with_zeros(disk: &dyn Disk, file: &File, len: u64) -> io::Result<()> {
    let zeros = vec![0_u8; 1 << 20];
    let mut offset = 0;
    while offset < len {
        let step = usize::try_from(len - offset)
            .unwrap_or(usize::MAX)
            .min(zeros.len());
        disk.write_at(file, zeros.get(..step).unwrap_or(&zeros), offset)?;
        offset += step as u64;
    }
    disk.sync(file)
}
