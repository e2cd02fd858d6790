//! Checkpoints: a signed note over origin, tree size and root hash (C2SP tlog-checkpoint v1.0). Only durable roots are signed.

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::note::{Note, NoteError, NoteSigner, NoteVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub mod earlier;

/// Its name in the log's directory.
pub const FILE: &str = "checkpoint";

/// What a log commits to at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log: `<trust domain>/<node>`.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Merkle tree hash.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root.0)
        )
    }

    /// The signed note, as it is published.
    pub fn sign(&self, signer: &NoteSigner) -> Result<String, NoteError> {
        Ok(Note::sign(&self.text(), &[signer])?.to_string())
    }

    /// Reads a note and believes it only if one of `keys` signed it for the log of the key's own name.
    pub fn verify(note: &[u8], keys: &[NoteVerifier]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let signed = note.verify(keys)?;
        let checkpoint = Self::parse(note.text())?;
        if signed.iter().any(|key| key.name() == checkpoint.origin) {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::OtherLog {
                origin: checkpoint.origin,
            })
        }
    }

    /// Reads the text of a note. It means nothing until the signature is checked.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Form("it has fewer than three lines"));
        };
        if origin.is_empty() {
            return Err(CheckpointError::Form("its origin is empty"));
        }
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|root| root.try_into().ok());
        Ok(Self {
            origin: origin.to_owned(),
            size: decimal(size).ok_or(CheckpointError::Form("its size is not a decimal number"))?,
            root: Digest(root.ok_or(CheckpointError::Form(
                "its root is not the base64 of 32 bytes",
            ))?),
        })
    }
}

/// A decimal number without sign or leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note, or not signed by a trusted key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A note, but not a checkpoint.
    #[error("this is not a checkpoint: {0}")]
    Form(&'static str),
    /// The key signed for a log that is not its own.
    #[error(
        "the checkpoint is for the log `{origin}`, which is not the name of the key that signed it"
    )]
    OtherLog {
        /// The log named.
        origin: String,
    },
}

impl Fault for CheckpointError {
    fn code(&self) -> Code {
        match self {
            Self::Note(error) => error.code(),
            Self::Form(_) | Self::OtherLog { .. } => Code::LogAltered,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Note(error) => error.help(),
            Self::Form(_) | Self::OtherLog { .. } => {
                "Keep the file; it is not what this node publishes.".into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
