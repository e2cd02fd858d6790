//! Files of the tiler that are not durable yet. None is synced as it is written: the write-ahead log has what is in them until its base
//! moves past it, and [`Files::sync`] comes before that.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;

/// Writes files below the log's directory and remembers which ones since the last sync.
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    unsynced: BTreeSet<PathBuf>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self {
            disk,
            dir,
            unsynced: BTreeSet::new(),
        }
    }

    /// Replaces a file whole.
    pub(super) fn replace(&mut self, path: PathBuf, bytes: &[u8]) -> io::Result<()> {
        self.disk.replace(&path, bytes, false)?;
        self.unsynced.insert(path);
        Ok(())
    }

    /// Overwrites a part of a file, which is made if it is not there.
    pub(super) fn write_at(&mut self, path: PathBuf, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        self.disk.write_at(&file, bytes, offset)?;
        self.unsynced.insert(path);
        Ok(())
    }

    /// Makes everything written so far durable, names included.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let mut dirs: BTreeSet<&Path> = BTreeSet::new();
        for path in &self.unsynced {
            match File::open(path) {
                Ok(file) => self.disk.sync(&file)?,
                // A partial file that a full one has replaced since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let above = path.ancestors().skip(1);
            dirs.extend(above.take_while(|dir| dir.starts_with(&self.dir)));
        }
        for dir in dirs.into_iter().filter(|dir| dir.exists()) {
            self.disk.sync_dir(dir)?;
        }
        self.unsynced.clear();
        Ok(())
    }
}
