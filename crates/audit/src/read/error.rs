//! Why a log cannot be read.

use std::io;
use std::path::PathBuf;

use bailiwick_core::{Code, Fault};

use crate::seal::RevealError;
use crate::state::StateError;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses a file operation.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory is not there, or is not one of a log.
    #[error("there is no log in {}", dir.display())]
    NoLog {
        /// The directory.
        dir: PathBuf,
    },
    /// A bundle does not have the form of one.
    #[error("{} is not an entry bundle", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
    },
    /// A leaf is not one of ours.
    #[error("the leaf at index {index} is not an event that this version reads")]
    Leaf {
        /// Its index.
        index: u64,
        /// Where parsing stopped.
        source: serde_json::Error,
    },
    /// Beyond the end of the log.
    #[error("the log has no event at index {index}")]
    NoSuchIndex {
        /// The index asked for.
        index: u64,
    },
    /// Older than the log is kept.
    #[error("the event at index {index} is older than the log is kept{}", told(*by))]
    Pruned {
        /// The index asked for.
        index: u64,
        /// Place of the `log.retention` event that announced it.
        by: Option<u64>,
    },
    /// Its values are older than values are kept.
    #[error("the values of event {index} are older than values are kept{}", told(*by))]
    PrunedValues {
        /// The index asked for.
        index: u64,
        /// Place of the `log.retention` event that announced it.
        by: Option<u64>,
    },
    /// The log's state cannot be read.
    #[error(transparent)]
    State(StateError),
    /// Sealed values do not open.
    #[error(transparent)]
    Reveal(#[from] RevealError),
}

impl Fault for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::LogUnverifiable,
            Self::Bundle { .. } | Self::Leaf { .. } => Code::LogAltered,
            Self::NoLog { .. } | Self::NoSuchIndex { .. } => Code::NotFound,
            Self::Pruned { .. } | Self::PrunedValues { .. } => Code::Pruned,
            Self::State(error) => error.code(),
            Self::Reveal(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check the path and its permissions.".into(),
            Self::NoLog { .. } => {
                "Give the directory `audit` below the node's data_dir, or one that `bailiwick audit restore` filled: it holds `wal` or `tile`.".into()
            }
            Self::Bundle { .. } | Self::Leaf { .. } => {
                "Run `bailiwick audit verify` on the directory: it names what was altered.".into()
            }
            Self::NoSuchIndex { .. } => String::new(),
            Self::Pruned { .. } => "A proof of it that somebody kept still holds.".into(),
            Self::PrunedValues { .. } => {
                "The commitment in the leaf still proves what a copy of the value is worth.".into()
            }
            Self::State(error) => error.help(),
            Self::Reveal(error) => error.help(),
        }
    }
}

fn told(by: Option<u64>) -> String {
    by.map_or_else(String::new, |index| {
        format!("; `log.retention` at index {index} says so")
    })
}
