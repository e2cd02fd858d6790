//! Opening a log: lock, recovery, the claim to write it.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::{Code, Fault};

use super::assemble::assemble;
use super::found::{Found, Known};
use super::{Log, MIN_SEGMENT, Options};
use crate::checkpoint::CheckpointError;
use crate::read::ReadError;
use crate::signers::{Signers, SignersError};
use crate::standing::{AdvanceError, CheckpointStoreError, Claim};
use crate::state::StateError;
use crate::wal::recover::{RecoverError, find_damage};
use crate::wal::scan::Place;

impl Log {
    /// Takes the directory's lock, recovers, and starts to accept events. Reads the write-ahead log; call it where blocking is
    /// allowed.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        if options.segment_size < MIN_SEGMENT || !options.segment_size.is_multiple_of(4096) {
            return Err(OpenError::SegmentSize {
                given: options.segment_size,
            });
        }
        let wal = options.dir.join("wal");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&wal);
        made.map_err(|source| OpenError::Io {
            path: wal.clone(),
            source,
        })?;
        let lock = lock(&options.dir)?;
        let signers = Arc::new(Signers::new(
            options.signer.clone(),
            options.older_signers.clone(),
            options.former.clone(),
        )?);
        let found = Found::gather(&options, &signers, &wal)?;
        let dir = options.dir.clone();
        let claim = Claim::take(
            options.checkpoints.clone(),
            options.signer.name(),
            signers.clone(),
            &found.standing,
            found.recovered.place.epoch,
        )?;
        assemble(options, signers, &wal, found, claim, lock)
            .map_err(|source| OpenError::Io { path: dir, source })
    }
}

/// What is found when a log is only looked at.
pub(crate) struct Probe {
    /// Where it is damaged, if it is.
    pub(crate) damage: Option<Place>,
    /// Events of the largest checkpoint that its keys are known to have signed.
    pub(crate) signed: u64,
}

/// Looks where a log is damaged. Changes nothing; its lock must be held.
pub(crate) fn probe(options: &Options) -> Result<Probe, OpenError> {
    let signers = Signers::new(
        options.signer.clone(),
        options.older_signers.clone(),
        options.former.clone(),
    )?;
    let Known { signed, start, .. } = Known::gather(options, &signers)?;
    let damage = find_damage(
        &*options.disk,
        &options.dir.join("wal"),
        options.signer.name(),
        &start,
        &signed,
    )?;
    let sizes = signed.iter().map(|signed| signed.checkpoint.size);
    Ok(Probe {
        damage,
        signed: sizes.max().unwrap_or(0),
    })
}

/// Takes `LOCK`, so that a directory has one writer. The kernel releases it whatever way the process ends.
pub(crate) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = opened.map_err(|source| OpenError::Io {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// Why a log does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refuses a file operation.
    #[error("the audit log in {} cannot be used", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process writes this log.
    #[error("another process holds {}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A segment size that the log cannot work with.
    #[error(
        "a segment has a multiple of 4096 bytes, at least {MIN_SEGMENT}; {given} was configured"
    )]
    SegmentSize {
        /// Bytes configured.
        given: u64,
    },
    /// The write-ahead log is damaged or not ours.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The log's state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// An intent on record cannot be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is remembered of the log apart from its directory cannot be read.
    #[error(transparent)]
    Standing(#[from] CheckpointStoreError),
    /// The log cannot be claimed.
    #[error(transparent)]
    Claim(#[from] AdvanceError),
    /// What others remember of the log is no checkpoint of it.
    #[error("what is remembered of this log is no checkpoint of it")]
    Remembered(#[source] CheckpointError),
    /// The log's key cannot be used.
    #[error(transparent)]
    Key(#[from] SignersError),
}

impl Fault for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::DataDir,
            Self::Locked { .. } => Code::LogFenced,
            Self::SegmentSize { .. } => Code::ConfigInvalid,
            Self::Recover(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Standing(error) => error.code(),
            Self::Claim(error) => error.code(),
            Self::Remembered(_) => Code::LogAltered,
            Self::Key(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => {
                "Check that the data directory is mounted and belongs to this user.".into()
            }
            Self::Locked { .. } => {
                "Stop the other node, or give this one a data directory of its own.".into()
            }
            Self::SegmentSize { .. } | Self::Key(_) => String::new(),
            Self::Recover(error) => error.help(),
            Self::State(error) => error.help(),
            Self::Read(error) => error.help(),
            Self::Standing(error) => error.help(),
            Self::Claim(error) => error.help(),
            Self::Remembered(_) => {
                "Nothing was changed. Restore the node's store from a copy; keep the damaged one as evidence.".into()
            }
        }
    }
}
