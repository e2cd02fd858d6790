//! The data directory: private to this user, and used by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// Permission bits of group and world.
const OTHERS: u32 = 0o077;

/// A directory that this process holds the lock of.
pub(crate) struct Directory {
    path: PathBuf,
    /// Held open: the kernel gives the lock back when it is closed, however the process ends.
    _lock: File,
}

impl Directory {
    /// Creates the directory if need be, refuses one that others can look into, and takes its lock.
    pub(crate) fn claim(path: &Path) -> Result<Self, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| failed(path, source))?;
        private(path, 0o700)?;
        let name = path.join("LOCK");
        let lock = create(&name)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
                dir: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(&name, source)),
        }
    }

    /// The database file, created empty if need be, private either way. SQLite gives its side files the same mode.
    pub(crate) fn database(&self) -> Result<PathBuf, OpenError> {
        let path = self.path.join("store.db");
        create(&path)?;
        private(&path, 0o600)?;
        Ok(path)
    }
}

fn create(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map_err(|source| failed(path, source))
}

fn private(path: &Path, wanted: u32) -> Result<(), OpenError> {
    let mode = path
        .metadata()
        .map_err(|source| failed(path, source))?
        .permissions()
        .mode()
        & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(OpenError::Permissions {
        path: path.to_owned(),
        mode,
        wanted,
    })
}

fn failed(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}
