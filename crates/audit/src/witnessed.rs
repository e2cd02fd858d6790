//! The newest checkpoint of a log that enough witnesses cosigned, kept beside its `checkpoint`; and whether a log continues what
//! somebody saw of it before. What is held against a log here comes from the reader, never from the log.

use std::fs;
use std::io;

use bailiwick_core::Timestamp;
use bailiwick_crypto::cosignature::CosignatureVerifier;
use bailiwick_crypto::note::{MAX_NOTE, Note, NoteError, NoteVerifier};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::disk::{Disk, SystemDisk};
use crate::proof::TileReadError;
use crate::read::{Directory, ReadError};

/// Its name in the log's directory.
pub const FILE: &str = "witnessed";

impl Directory {
    /// The newest checkpoint that enough witnesses cosigned. `None` before the first.
    pub fn witnessed(&self) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.path().join(FILE);
        match fs::read(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadError::Io { path, source }),
        }
    }

    /// Keeps a cosigned checkpoint. Not synced: the witnesses keep it too.
    pub fn keep_witnessed(&self, note: &Note) -> io::Result<()> {
        SystemDisk.replace(&self.path().join(FILE), note.to_string().as_bytes(), false)
    }

    /// Whether the published tree `now` continues `earlier`, by the tiles, which are taken to be those of `now`.
    pub fn continues(
        &self,
        now: &Checkpoint,
        earlier: &Checkpoint,
    ) -> Result<Continuation, TileReadError> {
        if now.origin != earlier.origin {
            return Ok(Continuation::OtherLog);
        }
        if earlier.size > now.size {
            return Ok(Continuation::RolledBack);
        }
        let root = self.root(earlier.size, now.size)?;
        Ok(if root == earlier.root {
            Continuation::Continues
        } else {
            Continuation::Split
        })
    }
}

/// How a log relates to an earlier checkpoint of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// The earlier tree is its beginning.
    Continues,
    /// The earlier tree was larger: entries are gone.
    RolledBack,
    /// The earlier tree had other entries: there are two histories.
    Split,
    /// The checkpoint is another log's.
    OtherLog,
}

/// A checkpoint with the cosignatures on it that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Name of each witness that cosigned it, and when.
    pub by: Vec<(String, Timestamp)>,
}

impl Cosigned {
    /// Reads a note that a key of the log signed, and counts the cosignatures of trusted witnesses. A cosignature under a trusted name
    /// that does not fit refuses the whole note; witnesses that are not trusted do not count.
    pub fn verify(
        note: &[u8],
        keys: &[NoteVerifier],
        witnesses: &[CosignatureVerifier],
    ) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::verify(note, keys)?;
        let note = Note::parse(note)?;
        let mut by: Vec<(String, Timestamp)> = Vec::new();
        let mut counted: Vec<&[u8; 32]> = Vec::new();
        for witness in witnesses {
            // The same key given twice, under whatever name, is one witness.
            if counted.contains(&witness.public()) {
                continue;
            }
            if let Some((time, _)) = witness.cosignature(&note)? {
                counted.push(witness.public());
                by.push((witness.name().to_owned(), time));
            }
        }
        Ok(Self { checkpoint, by })
    }

    /// Since when at least `quorum` witnesses have vouched for it: the `quorum`-th newest cosignature. `None` if there are fewer.
    pub fn since(&self, quorum: usize) -> Option<Timestamp> {
        let mut times: Vec<Timestamp> = self.by.iter().map(|(_, time)| *time).collect();
        times.sort_unstable_by(|left, right| right.cmp(left));
        quorum
            .checked_sub(1)
            .and_then(|place| times.get(place).copied())
    }
}

/// What a witness answered, as the signature line of `witness` on `note`. Other keys' lines are ignored (tlog-witness §add-checkpoint).
pub fn cosignature_in(
    answer: &[u8],
    note: &Note,
    witness: &CosignatureVerifier,
) -> Result<bailiwick_crypto::note::NoteSignature, NoteError> {
    if answer.len() > MAX_NOTE {
        return Err(NoteError::Form("it is over 1 MiB"));
    }
    let joined = [note.to_string().as_bytes(), answer].concat();
    let joined = Note::parse(&joined)?;
    // A blank line in the answer would move the end of the text.
    if joined.text() != note.text() {
        return Err(NoteError::Form("the answer is not signature lines"));
    }
    let found = witness.cosignature(&joined)?;
    found
        .map(|(_, line)| line.clone())
        .ok_or(NoteError::Unsigned)
}

#[cfg(test)]
mod tests;
