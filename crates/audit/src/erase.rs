//! Erasure: what an event's leaf only commits to, its kept values and the key that opens commitments, is destroyed. No leaf, tile or
//! proof changes (`docs/reference/audit-log.md`, Erasure).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::{Code, Digest, Fault, Timestamp};
use bailiwick_crypto::hash;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::leaf::Leaf;
use crate::read::ReadError;
use crate::record::{Receipt, RecordError};

/// Most events that one erasure takes.
pub const MAX_ERASED: usize = 1_000_000;
/// The job on disk, from before its event is recorded until it is done.
pub(crate) const FILE: &str = "erasing.json";

/// Whose values go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Those of one event.
    Event(EventId),
    /// Those of a task and the tasks below it.
    Task(TaskId),
    /// Those of everything done for a user, by pseudonym (`usr_…`).
    User(String),
}

impl Selector {
    /// What stands for it on record: whom an erasure was for is not the record's business any more.
    pub fn digest(&self) -> Digest {
        let (kind, id) = match self {
            Self::Event(id) => ("event", id.to_string()),
            Self::Task(id) => ("task", id.to_string()),
            Self::User(id) => ("user", id.clone()),
        };
        hash::sha256(&[
            b"bailiwick/erasure/v1\0",
            kind.as_bytes(),
            &[0],
            id.as_bytes(),
        ])
    }

    /// Whether a leaf's values are among them.
    pub fn takes(&self, leaf: &Leaf) -> bool {
        let event = &leaf.event;
        match self {
            Self::Event(id) => event.id == *id,
            Self::Task(id) => event
                .task
                .as_ref()
                .is_some_and(|task| task.id == *id || task.root == *id),
            Self::User(id) => event.user.as_ref() == Some(id),
        }
    }
}

/// An erasure to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose values.
    pub selector: Selector,
    /// Why: the request or rule it follows from. It goes on record.
    pub basis: String,
    /// Who has it done, as the record names them.
    pub actor: String,
    /// Who asked for it, where somebody else had to confirm.
    pub asked_by: Option<String>,
    /// Things outside the log that go with it, such as tasks of the store. With any of them an erasure goes on record even if the log has
    /// nothing for it.
    pub besides: usize,
}

/// An erasure that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Events whose values are gone.
    pub count: usize,
    /// The `log.erased` event.
    pub receipt: Receipt,
}

/// Collects what a selector takes from the leaves of a log, in order; it may be nothing.
pub(crate) fn select(
    leaves: impl Iterator<Item = Result<crate::read::Entry, ReadError>>,
    selector: &Selector,
    hold_from: Option<Timestamp>,
) -> Result<BTreeSet<u64>, EraseError> {
    let mut indexes = BTreeSet::new();
    for entry in leaves {
        let entry = entry?;
        // Leaves of other writers of this format may not parse; whatever is sealed in them is not selected by what we cannot read.
        let leaf = entry.parse()?;
        if leaf.sealed.is_empty() || !selector.takes(&leaf) {
            continue;
        }
        if hold_from.is_some_and(|from| leaf.ts >= from) {
            return Err(EraseError::Held { index: entry.index });
        }
        if indexes.len() >= MAX_ERASED {
            return Err(EraseError::TooMany);
        }
        indexes.insert(entry.index);
    }
    Ok(indexes)
}

/// What an erasure still has to do to the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Its `log.erased` event. Without that on record nothing is destroyed.
    pub(crate) event: EventId,
    /// Leaves there were when it was asked for; the event comes behind them.
    pub(crate) size: u64,
    /// Leaves concerned.
    pub(crate) indexes: BTreeSet<u64>,
}

impl Job {
    /// The last leaf concerned.
    pub(crate) fn last(&self) -> u64 {
        self.indexes.last().copied().unwrap_or(0)
    }

    /// The job that a stop interrupted.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(dir.join(FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores it durably.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        disk.replace(&dir.join(FILE), &serde_json::to_vec(self)?, true)
    }

    /// It is done, or will not be.
    pub(crate) fn remove(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        disk.remove(&dir.join(FILE))?;
        disk.sync_dir(dir)
    }
}

/// Why values were not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// A legal hold.
    #[error("a legal hold keeps the values of event {index} and those after it")]
    Held {
        /// First event that is held.
        index: u64,
    },
    /// The selector takes nothing that has values.
    #[error("no event on record has values that this would erase")]
    Nothing,
    /// Over the bound.
    #[error("this would erase the values of more than {MAX_ERASED} events")]
    TooMany,
    /// Another erasure goes on.
    #[error("another erasure is being carried out")]
    Busy,
    /// The record cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The event could not be recorded, so nothing was erased.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file operation failed before anything was erased.
    #[error("the erasure cannot be prepared")]
    Io(#[from] io::Error),
    /// The node stopped in the middle.
    #[error("the erasure is on record, and the node stopped before it was done")]
    Interrupted,
}

impl Fault for EraseError {
    fn code(&self) -> Code {
        match self {
            Self::Held { .. } => Code::Held,
            Self::Nothing => Code::NotFound,
            Self::TooMany => Code::TooLarge,
            Self::Busy => Code::Overloaded,
            Self::Read(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Io(_) | Self::Interrupted => Code::AuditUnavailable,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Held { .. } => "Whoever set `[audit] hold_from` decides when it ends.".into(),
            Self::Nothing => "Erased already, never kept, or not of this node's log.".into(),
            Self::TooMany => "Erase task by task.".into(),
            Self::Busy => "Try again when it is done.".into(),
            Self::Read(error) => error.help(),
            Self::Record(error) => error.help(),
            Self::Io(_) => "Nothing was erased. Check the node's data disk.".into(),
            Self::Interrupted => "The node goes on with it at its next start.".into(),
        }
    }
}
