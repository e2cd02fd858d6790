//! What events name by its digest and a leaf has no room for: policy bundles, tool definitions. One file each, `blobs/sha256/<hex>`, written
//! and synced before the event that names it; found again by what it says, so that nothing can stand for it.

use std::fs;
use std::io;
use std::path::PathBuf;

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::hash::sha256;

use crate::disk::{Disk, SystemDisk};

/// Most bytes of one blob: a policy bundle's.
pub const MAX_BLOB: usize = 16 << 20;

/// The blobs of one log.
#[derive(Debug, Clone)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Those of the log in `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Keeps bytes, durable when this returns; keeping them again changes nothing. Blocks.
    pub fn keep(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        if bytes.len() > MAX_BLOB {
            return Err(BlobError::TooLarge { bytes: bytes.len() });
        }
        let digest = sha256(&[bytes]);
        let path = self.path(digest);
        if path.exists() {
            return Ok(digest);
        }
        SystemDisk
            .replace(&path, bytes, true)
            .map_err(|source| BlobError::Io { path, source })?;
        Ok(digest)
    }

    /// The bytes with this digest, if they are here.
    pub fn read(&self, digest: Digest) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) if sha256(&[&bytes]) == digest => Ok(Some(bytes)),
            Ok(_) => Err(BlobError::Altered { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(BlobError::Io { path, source }),
        }
    }

    /// The first file that is not what its name says, as far as `go_on` says to look. One that cannot be read counts; files of other names do
    /// not.
    pub(crate) fn first_altered(&self, go_on: &mut dyn FnMut() -> bool) -> Option<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.dir.join("blobs/sha256"))
            .into_iter()
            .flatten()
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| path.extension().is_none())
            .collect();
        files.sort_unstable();
        files.into_iter().take_while(|_| go_on()).find(|path| {
            let bytes = fs::read(path).ok();
            let digest = bytes.map(|bytes| sha256(&[&bytes]));
            digest.is_none_or(|digest| self.path(digest) != *path)
        })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        let hex = text.strip_prefix("sha256:").unwrap_or(&text);
        self.dir.join("blobs/sha256").join(hex)
    }
}

/// Why a blob was not kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Over [`MAX_BLOB`].
    #[error("{bytes} bytes are more than the record keeps of one thing, 16 MiB")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// The disk.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not what its name says.
    #[error("{} was altered: it is not what its name says", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
    },
}

impl Fault for BlobError {
    fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Io { .. } => Code::AuditUnavailable,
            Self::Altered { .. } => Code::LogAltered,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::TooLarge { .. } => "Split it.".into(),
            Self::Io { .. } => "Look at free space and permissions of the data directory.".into(),
            Self::Altered { .. } => "Keep the file; restore it from a backup.".into(),
        }
    }
}

#[cfg(test)]
mod tests;
