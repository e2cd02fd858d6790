//! Why a witness does not cosign, and why it does not start.

use std::io;
use std::path::PathBuf;

use bailiwick_core::{Code, Fault};
use bailiwick_crypto::note::NoteError;

/// Why a checkpoint was not cosigned. Each is one HTTP status of tlog-witness §add-checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 400: not a request.
    #[error("this is not an add-checkpoint request: {0}")]
    Malformed(&'static str),
    /// 404: a log that this witness does not know.
    #[error("this witness does not know the log")]
    UnknownLog,
    /// 403: not signed by a key of the log, or a signature of such a key does not fit.
    #[error("the checkpoint is not signed by a key that this witness trusts for the log")]
    Untrusted(#[source] NoteError),
    /// 409: the request starts from another size than the one cosigned last.
    #[error("the last checkpoint cosigned has {size} leaves")]
    Conflict {
        /// That size.
        size: u64,
    },
    /// 422: the tree does not continue the one cosigned last.
    #[error("the proof does not show that the tree of {size} leaves continues that of {old}")]
    Inconsistent {
        /// Size cosigned last.
        old: u64,
        /// Size submitted.
        size: u64,
    },
    /// 500: the cosignature could not be made.
    #[error("the cosignature cannot be made")]
    Sign(#[source] NoteError),
    /// 500: what would be cosigned cannot be kept, so it is not cosigned.
    #[error("the state cannot be written")]
    Storage(#[source] io::Error),
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenWitnessError {
    /// The system refuses a file operation.
    #[error("the state of the witness at {} cannot be used", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process uses the state.
    #[error("another witness runs on {}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The state is not what this witness wrote for this log.
    #[error("{} is not a checkpoint of {origin} that this witness cosigned: {why}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The log.
        origin: String,
        /// What does not fit.
        why: String,
    },
    /// The witness's key cannot be used.
    #[error("the key of the witness cannot be used")]
    Key(#[from] NoteError),
}

impl Fault for OpenWitnessError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::DataDir,
            Self::Locked { .. } => Code::LogFenced,
            Self::State { .. } => Code::LogAltered,
            Self::Key(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check that the directory is mounted and belongs to this user.".into(),
            Self::Locked { .. } => "Stop the other one, or give this one a directory of its own.".into(),
            Self::State { .. } => {
                "Check --name and --log. A witness that lost its state must not go on under its old key: retire the name.".into()
            }
            Self::Key(error) => error.help(),
        }
    }
}
