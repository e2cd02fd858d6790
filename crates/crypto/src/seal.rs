//! The file seal: 32 random bytes in a file that only its owner can read, from which the key that seals secrets at rest is derived.
//!
//! What is sealed is bound to its place by associated data `domain|name|version`, so a sealed row cannot be moved over another.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Fault, Rng, Secret};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::aead::{AeadError, AeadKey, KEY_LEN};
use crate::fingerprint::{Fingerprint, FingerprintKey, SecretDigest};
use crate::hash::hkdf_sha256;

/// The open seal: seals and opens secrets at rest.
#[derive(Debug)]
pub struct Seal {
    kek: AeadKey,
    prints: FingerprintKey,
}

/// Where a sealed secret lives. All three parts are authenticated when it is opened.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What kind of secret, for example `signing_key`; without `|`.
    pub domain: &'a str,
    /// Which one, for example its `kid`; without `|`.
    pub name: &'a str,
    /// Its version, counted by the owner of the row.
    pub version: u64,
}

impl Seal {
    /// Opens the seal file. It must be a regular file of exactly 32 bytes that belongs to this user and that nobody else can read.
    pub fn open(path: &Path) -> Result<Self, SealError> {
        let file = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Mode::empty(),
        )
        .map_err(|errno| SealError::io(path, errno.into()))?;
        let mut file = File::from(file);
        // Asked of the descriptor, so the file cannot be swapped between the look and the read.
        let about = file
            .metadata()
            .map_err(|error| SealError::io(path, error))?;
        if !about.is_file() {
            return Err(SealError::Content {
                path: path.into(),
                found: "not a regular file".into(),
            });
        }
        if about.mode() & 0o077 != 0 {
            return Err(SealError::Exposed {
                path: path.into(),
                mode: about.mode() & 0o777,
            });
        }
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Err(SealError::Owner {
                path: path.into(),
                uid: about.uid(),
            });
        }
        if about.len() != KEY_LEN as u64 {
            return Err(SealError::Content {
                path: path.into(),
                found: format!("{} bytes", about.len()),
            });
        }
        let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
        file.read_exact(bytes.as_mut_slice())
            .map_err(|error| SealError::io(path, error))?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Makes a new seal file with mode 0600 and syncs it and its directory. An existing file is never overwritten.
    pub fn create(path: &Path, rng: &dyn Rng) -> Result<Self, SealError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| SealError::io(path, errno.into()))?;
        let mut file = File::from(file);
        let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
        rng.fill(bytes.as_mut_slice());
        file.write_all(bytes.as_slice())
            .and_then(|()| file.sync_all())
            .map_err(|error| SealError::io(path, error))?;
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| SealError::io(path, error))?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Opens the seal file, or makes it if there is none.
    pub fn open_or_create(path: &Path, rng: &dyn Rng) -> Result<Self, SealError> {
        match Self::open(path) {
            Err(SealError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Self::create(path, rng)
            }
            outcome => outcome,
        }
    }

    /// Seals a secret for its place.
    pub fn seal(
        &self,
        rng: &dyn Rng,
        place: Place<'_>,
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        Ok(self.kek.seal(rng, &place.bytes()?, secret)?)
    }

    /// Opens a secret sealed for this very place.
    pub fn unseal(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let mut opened = self.kek.open(&place.bytes()?, sealed)?;
        Ok(Secret::new(std::mem::take(&mut *opened)))
    }

    /// The print of a secret, by which this deployment knows it again; of no use to others.
    pub fn print(&self, digest: &SecretDigest) -> Fingerprint {
        self.prints.print(digest)
    }

    fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        Self {
            kek: AeadKey::new(&hkdf_sha256(bytes, &[b"bailiwick/kek/v1"])),
            prints: FingerprintKey::of_deployment(hkdf_sha256(bytes, &[b"bailiwick/prints/v1"])),
        }
    }
}

impl Place<'_> {
    fn bytes(&self) -> Result<Vec<u8>, SealError> {
        // The separator must stay unambiguous, or two places would share their associated data.
        if self.domain.contains('|') || self.name.contains('|') {
            return Err(SealError::Place);
        }
        Ok(format!("{}|{}|{}", self.domain, self.name, self.version).into_bytes())
    }
}

/// Why the seal did not open, or a secret was not sealed or unsealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file cannot be opened, read or written.
    #[error("the seal file {} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Group or others may read or write it.
    #[error("the seal file {} has mode {mode:03o}: others than its owner can reach it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user.
    #[error("the seal file {} belongs to uid {uid}, not to this process", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// It is not 32 bytes in a regular file.
    #[error("the seal file {} is not 32 bytes in a regular file: {found}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A domain or name holds the separator.
    #[error("a sealed secret's domain and name may not contain `|`")]
    Place,
    /// The box itself.
    #[error(transparent)]
    Aead(#[from] AeadError),
}

impl SealError {
    fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }
}

impl Fault for SealError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Exposed { .. } | Self::Owner { .. } | Self::Content { .. } => {
                Code::SealLocked
            }
            Self::Place => Code::Internal,
            Self::Aead(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Make the file readable for the user that runs the node, or restore it from its backup.".into(),
            Self::Exposed { path, .. } => {
                format!("Treat it as leaked if others use this machine; otherwise `chmod 600 {}`.", path.display())
            }
            Self::Owner { path, .. } => format!("Run as that user, or `chown` {} to the one that runs the node.", path.display()),
            Self::Content { .. } => "Restore the seal file from its backup; without it the sealed keys are lost.".into(),
            Self::Place => String::new(),
            Self::Aead(error) => error.help(),
        }
    }
}

#[cfg(test)]
mod tests;
