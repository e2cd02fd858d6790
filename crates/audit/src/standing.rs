//! What is remembered of a log apart from its directory: how far it was signed, and which writer may go on. An older copy of the directory
//! does not take that with it, so it is noticed before anything is signed twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::note::{NoteError, NoteVerifier};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::proof::TileReadError;
use crate::signers::Signers;

/// What is remembered of one log. Of a log never heard of: epoch 0 and no checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The newest writer's number. A writer with a lower one has been replaced.
    pub epoch: u64,
    /// The newest checkpoint that was signed, whether or not it got published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Keeps standings, durably and apart from the logs' directories.
pub trait CheckpointStore: Send + Sync {
    /// What is remembered of a log.
    fn standing(&self, origin: &str) -> Result<Standing, CheckpointStoreError>;

    /// Remembers `to` instead of `from`, durably; false, changing nothing, if something else than `from` is remembered. Called where
    /// blocking is allowed.
    fn swap(
        &self,
        origin: &str,
        from: &Standing,
        to: &Standing,
    ) -> Result<bool, CheckpointStoreError>;
}

/// Standings cannot be read or changed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is remembered of the audit log cannot be read or changed: {0}")]
pub struct CheckpointStoreError(pub String);

impl Fault for CheckpointStoreError {
    fn code(&self) -> Code {
        Code::StoreUnavailable
    }

    fn help(&self) -> String {
        "Check the disk of the node's store; nothing is signed meanwhile.".into()
    }
}

/// Standings in memory: for logs that end with the process, as in tests and benches.
#[derive(Debug, Default)]
pub struct Volatile(Mutex<BTreeMap<String, Standing>>);

impl CheckpointStore for Volatile {
    fn standing(&self, origin: &str) -> Result<Standing, CheckpointStoreError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.get(origin).cloned().unwrap_or_default())
    }

    fn swap(
        &self,
        origin: &str,
        from: &Standing,
        to: &Standing,
    ) -> Result<bool, CheckpointStoreError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.entry(origin.to_owned()).or_default();
        if held != from {
            return Ok(false);
        }
        *held = to.clone();
        Ok(true)
    }
}

/// A checkpoint that a key of the log signed, with the note that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: String,
}

impl Signed {
    pub(crate) fn verify(note: &[u8], keys: &[NoteVerifier]) -> Result<Self, CheckpointError> {
        Ok(Self {
            checkpoint: Checkpoint::verify(note, keys)?,
            note: String::from_utf8_lossy(note).into_owned(),
        })
    }
}

/// One writer's right to sign for a log, as long as no other takes it.
pub(crate) struct Claim {
    store: Arc<dyn CheckpointStore>,
    origin: String,
    keys: Arc<Signers>,
    standing: Standing,
}

impl Claim {
    /// Takes the next epoch, above `above`. `standing` is what was remembered when the directory was compared with it.
    pub(crate) fn take(
        store: Arc<dyn CheckpointStore>,
        origin: &str,
        keys: Arc<Signers>,
        standing: &Standing,
        above: u64,
    ) -> Result<Self, AdvanceError> {
        let ours = Standing {
            epoch: standing.epoch.max(above).saturating_add(1),
            note: standing.note.clone(),
        };
        if !store.swap(origin, standing, &ours)? {
            let by = store.standing(origin)?.epoch;
            return Err(AdvanceError::Fenced {
                epoch: ours.epoch,
                by,
            });
        }
        Ok(Self {
            store,
            origin: origin.to_owned(),
            keys,
            standing: ours,
        })
    }

    /// This writer's number.
    pub(crate) fn epoch(&self) -> u64 {
        self.standing.epoch
    }

    /// Signs `next` and remembers it, if it continues what is remembered (C2SP tlog-witness, the rule of witnesses) and no other writer
    /// came. `root` gives the root of the first so many leaves of the tree of `next`.
    pub(crate) fn advance(
        &mut self,
        next: &Checkpoint,
        sign: &mut dyn FnMut() -> Result<String, NoteError>,
        root: &mut dyn FnMut(u64) -> Result<Digest, TileReadError>,
    ) -> Result<String, AdvanceError> {
        // Twice: where the store's answer to an earlier try was lost, what we signed then is remembered.
        for _ in 0..2 {
            self.check(next, root)?;
            let note = sign()?;
            let to = Standing {
                epoch: self.standing.epoch,
                note: Some(note.clone()),
            };
            if self.store.swap(&self.origin, &self.standing, &to)? {
                self.standing = to;
                return Ok(note);
            }
            let now = self.store.standing(&self.origin)?;
            if now.epoch != self.standing.epoch {
                return Err(AdvanceError::Fenced {
                    epoch: self.standing.epoch,
                    by: now.epoch,
                });
            }
            self.standing = now;
        }
        Err(CheckpointStoreError("it changes from look to look".into()).into())
    }

    fn check(
        &self,
        next: &Checkpoint,
        root: &mut dyn FnMut(u64) -> Result<Digest, TileReadError>,
    ) -> Result<(), AdvanceError> {
        let Some(note) = &self.standing.note else {
            return Ok(());
        };
        let held = Checkpoint::verify(note.as_bytes(), &self.keys.verifiers())?;
        let fits = held.size <= next.size && root(held.size)? == held.root;
        if fits {
            return Ok(());
        }
        Err(AdvanceError::Equivocation {
            held: note.clone(),
            size: next.size,
            root: next.root,
        })
    }
}

/// Why a checkpoint was not signed.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// Standings cannot be read or changed now.
    #[error(transparent)]
    Store(#[from] CheckpointStoreError),
    /// Another writer took the log over.
    #[error("another writer took this log over: this one has epoch {epoch}, the other {by}")]
    Fenced {
        /// Ours.
        epoch: u64,
        /// The other's.
        by: u64,
    },
    /// The log's key has signed a tree that this one does not continue.
    #[error(
        "this log's key has signed a history that its tree of {size} events with root {root} does not continue:\n{held}"
    )]
    Equivocation {
        /// The note that was signed.
        held: String,
        /// Events here.
        size: u64,
        /// Root here.
        root: Digest,
    },
    /// What is remembered is no checkpoint of this log.
    #[error("what is remembered of this log is no checkpoint of it")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint cannot be signed.
    #[error("the checkpoint cannot be signed")]
    Sign(#[from] NoteError),
    /// A tile that shows the consistency cannot be read.
    #[error("the tiles that show the consistency cannot be read")]
    Tile(#[from] TileReadError),
}

impl Fault for AdvanceError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Fenced { .. } => Code::LogFenced,
            Self::Equivocation { .. } => Code::LogEquivocation,
            Self::Checkpoint(error) => error.code(),
            Self::Sign(error) => error.code(),
            Self::Tile(_) => Code::LogUnverifiable,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Store(error) => error.help(),
            Self::Fenced { .. } => {
                "Only one process may write a log. Find the other one; a second node needs a name and a data directory of its own."
                    .into()
            }
            Self::Equivocation { .. } => {
                "Keep both checkpoints and the data directory: together they show that the log was restored or tampered with.".into()
            }
            Self::Checkpoint(_) | Self::Sign(_) => {
                "Restore the node's store from a copy; keep the damaged one as evidence.".into()
            }
            Self::Tile(_) => {
                "Run `bailiwick audit verify` on the directory: it names what is missing.".into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
