//! The record in shapes that other people's tools read. Each mapping is pure: leaves in, bytes out. No mapping sees a sealed value; what
//! a leaf commits to stays a commitment, except the disclosures that an evidence bundle was given.

use std::fmt::Write as _;
use std::io;

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::note::{Note, NoteError};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::filter::Filter;
use crate::leaf::Leaf;
use crate::proof::ProveError;
use crate::read::{Directory, Entry, ReadError};

pub use self::evidence::Evidence;
pub use self::jsonl::Jsonl;
pub use self::ocsf::Ocsf;
pub use self::otlp::Otlp;
pub use self::parquet::Parquet;
pub use self::prov::Prov;

pub mod evidence;
pub mod jsonl;
pub mod ocsf;
pub mod otlp;
pub mod parquet;
pub mod prov;

/// One event that is exported.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// Name of its log, `<trust domain>/<node>`.
    pub origin: &'a str,
    /// Place in the log.
    pub index: u64,
    /// Hash of its leaf in the tree.
    pub leaf_hash: Digest,
    /// Bytes of its leaf, as hashed.
    pub bytes: &'a [u8],
    /// Its content.
    pub leaf: &'a Leaf,
}

/// Which events.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    /// Name of the log.
    pub origin: &'a str,
    /// What they have to fit.
    pub filter: &'a Filter,
    /// Most events; what is behind them is the next export, from [`Exported::next`] on.
    pub limit: u64,
}

/// What an export took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Events written.
    pub events: u64,
    /// First leaf that was not looked at: where the next export goes on.
    pub next: u64,
    /// Whether the limit ended it before the log did.
    pub more: bool,
}

/// Takes events one after the other and writes them in its shape.
pub trait Exporter {
    /// Takes one event.
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError>;

    /// Writes what is left. Nothing is taken after that.
    fn finish(&mut self) -> Result<(), ExportError>;
}

/// Exports the events of `entries` that are wanted.
pub fn export(
    entries: impl Iterator<Item = Result<Entry, ReadError>>,
    selection: &Selection<'_>,
    exporter: &mut dyn Exporter,
) -> Result<Exported, ExportError> {
    let mut done = Exported::default();
    for entry in entries {
        let entry = entry?;
        if done.events >= selection.limit {
            done.more = true;
            break;
        }
        done.next = entry.index.saturating_add(1);
        let leaf = entry.parse()?;
        if !selection.filter.matches(&leaf) {
            continue;
        }
        exporter.take(&Recorded {
            origin: selection.origin,
            index: entry.index,
            leaf_hash: entry.leaf_hash(),
            bytes: &entry.leaf,
            leaf: &leaf,
        })?;
        done.events += 1;
    }
    exporter.finish()?;
    Ok(done)
}

/// The name of the log in a directory, as its checkpoint says. Not believed before [`crate::verify::verify`].
pub fn origin(directory: &Directory) -> Result<String, ExportError> {
    Ok(newest(directory)?.origin)
}

/// Leaves that the newest checkpoint of a log covers.
pub fn published(directory: &Directory) -> Result<u64, ExportError> {
    Ok(newest(directory)?.size)
}

fn newest(directory: &Directory) -> Result<Checkpoint, ExportError> {
    let note = directory.checkpoint()?.ok_or(ExportError::Unpublished)?;
    let note = Note::parse(&note).map_err(CheckpointError::from)?;
    Ok(Checkpoint::parse(note.text())?)
}

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log has no checkpoint to name it.
    #[error("the log has no checkpoint yet, so its name is not known")]
    Unpublished,
    /// A shape that is held in memory until its end has a bound.
    #[error("more than {bound} events in one {shape} document")]
    TooLarge {
        /// The shape.
        shape: &'static str,
        /// Most events.
        bound: usize,
    },
    /// A bundle has a bound in bytes.
    #[error("the bundle would be over {} MiB", bound >> 20)]
    TooLong {
        /// Most bytes.
        bound: usize,
    },
    /// An event cannot be proven.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The log's checkpoint is not one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The statement cannot be signed.
    #[error(transparent)]
    Sign(#[from] NoteError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was exported cannot be written.
    #[error("the export cannot be written")]
    Write(#[from] io::Error),
    /// A value that the shape cannot hold.
    #[error("an event cannot be written in this shape")]
    Form(#[from] serde_json::Error),
    /// Parquet's own refusal.
    #[error("the Parquet file cannot be written")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

impl Fault for ExportError {
    fn code(&self) -> Code {
        match self {
            Self::Unpublished => Code::LogUnverifiable,
            Self::TooLarge { .. } | Self::TooLong { .. } => Code::TooLarge,
            Self::Prove(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::Sign(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Write(_) => Code::DataDir,
            Self::Form(_) | Self::Parquet(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unpublished => "A running node publishes within a second.".into(),
            Self::Prove(error) => error.help(),
            Self::Checkpoint(error) => error.help(),
            Self::Sign(error) => error.help(),
            Self::TooLarge { .. } | Self::TooLong { .. } => {
                "Narrow the filter, or export in parts with --limit and --after.".into()
            }
            Self::Read(error) => error.help(),
            Self::Write(_) => "Check path, permissions and free space.".into(),
            Self::Form(_) | Self::Parquet(_) => String::new(),
        }
    }
}

/// The word that a small enum is written as in the record.
fn word<T: serde::Serialize>(value: T) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

/// The text with every byte percent-encoded but letters, digits and those of `kept`, so that different texts stay different.
fn percent_encoded(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
