//! The checkpoints that were kept, one an hour, held against the tree as it grows.

use std::path::{Path, PathBuf};

use bailiwick_core::Digest;
use bailiwick_crypto::note::{NoteError, NoteVerifier};

use super::{Alteration, Altered, Checked, altered, cannot_tell, signed_checkpoint};
use crate::checkpoint::{Checkpoint, CheckpointError, earlier};
use crate::tree::CompactRange;

/// Kept checkpoints of a log.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Size and root, ascending.
    signed: Vec<(u64, Digest)>,
    /// The next that the tree comes to.
    next: usize,
    /// The first whose root the tree did not have.
    split: Option<u64>,
}

impl Earlier {
    /// Those that the keys signed. Where leaves are pruned, what was signed over fewer cannot be held against the tree. Those of keys
    /// that are not given say nothing here.
    pub(super) fn read(
        dir: &Path,
        keys: &[NoteVerifier],
        newest: &Checkpoint,
        pruned: u64,
    ) -> Checked<Self> {
        let unreadable = |file: PathBuf, error: &std::io::Error| {
            cannot_tell(file, format!("it cannot be read: {error}"))
        };
        let sizes = earlier::sizes(dir);
        let sizes = sizes.map_err(|error| unreadable(PathBuf::from(earlier::DIR), &error))?;
        let mut signed = Vec::new();
        for size in sizes.into_iter().filter(|size| *size >= pruned) {
            let file = earlier::path(size);
            let note = match earlier::read(dir, size) {
                Ok(note) => note,
                // Pruned meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(file, &error)),
            };
            match Checkpoint::verify(&note, keys) {
                Ok(checkpoint) if checkpoint.size == size => {
                    signed.push((size, checkpoint.root));
                }
                Err(CheckpointError::Note(NoteError::Unsigned)) => {}
                Ok(_) | Err(_) => {
                    return Err(altered(
                        Altered::Signature,
                        Some(&newest.origin),
                        None,
                        file,
                    ));
                }
            }
        }
        if let Some((size, _)) = signed.last().filter(|(size, _)| *size > newest.size) {
            // A running node may have published while we looked.
            if signed_checkpoint(dir, keys)?.size < *size {
                let why = "it covers more events than `checkpoint`: the log was set back, or its node stopped hard and has not started since";
                return Err(cannot_tell(earlier::path(*size), why.into()));
            }
        }
        signed.retain(|(size, _)| *size <= newest.size);
        Ok(Self {
            signed,
            ..Self::default()
        })
    }

    /// The tree has grown to this.
    pub(super) fn see(&mut self, tree: &CompactRange) {
        let Some((size, root)) = self.signed.get(self.next) else {
            return;
        };
        if *size == tree.size() {
            if *root != tree.root() {
                self.split.get_or_insert(*size);
            }
            self.next += 1;
        }
    }

    /// The first that does not fit.
    pub(super) fn split(&self, origin: &str) -> Option<Alteration> {
        self.split.map(|size| Alteration {
            what: Altered::Split,
            origin: Some(origin.to_owned()),
            index: None,
            file: earlier::path(size),
        })
    }

    /// How many were held against the tree.
    pub(super) fn count(&self) -> usize {
        self.next
    }
}
