//! Why a log cannot be opened for writing, and what to do about it.

use std::io;
use std::path::PathBuf;

use bailiwick_core::{Code, Fault};

/// Why a log cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The system refuses a file operation.
    #[error("the write-ahead log in {} cannot be read", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory is another log's.
    #[error("segment {segment:016x} belongs to another log than {origin}")]
    OtherLog {
        /// The segment.
        segment: u64,
        /// This log.
        origin: String,
    },
    /// The first segment is missing.
    #[error("segment {wanted:016x}, with which the write-ahead log begins, is missing")]
    Missing {
        /// The segment.
        wanted: u64,
    },
    /// Damage before data that was acknowledged.
    #[error(
        "segment {segment:016x} is damaged at block {block} (batch {batch}, event {index}): complete data follows in segment {later:016x}"
    )]
    Corrupt {
        /// Segment of the damage.
        segment: u64,
        /// Block of the damage, counted from 0.
        block: u64,
        /// Batch expected there.
        batch: u64,
        /// First event lost.
        index: u64,
        /// Segment of the complete data.
        later: u64,
    },
    /// A checkpoint of a larger tree was signed than the data holds.
    #[error(
        "a checkpoint for {signed} events was signed, but the data directory holds {found}: it was rolled back or cut"
    )]
    RolledBack {
        /// Events signed for.
        signed: u64,
        /// Events found.
        found: u64,
    },
    /// The data contradicts a signed checkpoint.
    #[error("the first {size} events do not have the root that was signed for them")]
    Contradiction {
        /// Events signed for.
        size: u64,
    },
    /// Checkpoints were signed for two histories.
    #[error(
        "the log's key has signed two histories: the data here continues\n{here}\nbut not\n{elsewhere}"
    )]
    Equivocation {
        /// A note that the data continues.
        here: String,
        /// One that it contradicts.
        elsewhere: String,
    },
    /// A batch is whole but does not give the root it names.
    #[error("batch {batch} in segment {segment:016x} does not hash to the root it names")]
    Root {
        /// The segment.
        segment: u64,
        /// The batch.
        batch: u64,
    },
}

impl Fault for RecoverError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::OtherLog { .. } => Code::DataDir,
            Self::RolledBack { .. } => Code::LogRolledBack,
            Self::Equivocation { .. } => Code::LogEquivocation,
            _ => Code::LogCorrupt,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check that the data directory is mounted and belongs to this user.".into(),
            Self::OtherLog { .. } => "Use the trust domain and node name that this data directory was made with.".into(),
            Self::RolledBack { .. } => "Nothing was changed. Restore newer data; without any, set [node] name to another name and run `bailiwick audit repair --succeed OLD-NAME --reason TEXT`.".into(),
            Self::Corrupt { batch, .. } => format!("Nothing was changed. Restore the data directory from a copy, and keep the damaged one as evidence. Without any, and if nothing from there on was signed: `bailiwick audit repair --cut-at {batch} --reason TEXT`."),
            Self::Equivocation { .. } => "Nothing was changed. Keep both checkpoints and the data directory: together they show that the log was restored or tampered with.".into(),
            _ => "Nothing was changed. Restore the data directory from a copy; keep the damaged one as evidence.".into(),
        }
    }
}
