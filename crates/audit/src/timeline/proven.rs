//! Whether leaves are in the signed tree: paths for many leaves of one checkpoint, made where the tiles are and checked where they are read.

use std::collections::BTreeMap;

use bailiwick_core::Digest;
use bailiwick_crypto::note::{Note, NoteVerifier};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::proof::{ProveError, Tiles};
use crate::read::Directory;
use crate::tree::{inclusion_path, root_from_path};

/// What was found out about a leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Mark {
    /// It leads to the root of the checkpoint.
    Proven,
    /// No checkpoint covers it yet.
    Unpublished,
    /// It does not, or the checkpoint is not believed.
    Failed {
        /// What does not fit.
        why: String,
    },
}

/// The way from several leaves to the root of one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inclusion {
    /// The checkpoint, a signed note; none before the first.
    pub checkpoint: Option<String>,
    /// By index, sibling hashes from the leaf to the root; why there is no path, where there is none. Without an entry: not covered yet.
    pub paths: BTreeMap<u64, Result<Vec<Digest>, String>>,
}

/// Looks up the paths of these leaves in the newest checkpoint of a log. The leaves are not read: what they hold is the reader's to check.
pub fn inclusion(directory: &Directory, indexes: &[u64]) -> Result<Inclusion, ProveError> {
    // The checkpoint first: whatever it covers is in the files, and grows behind it while they are read.
    let Some(note) = directory.checkpoint()? else {
        return Ok(Inclusion::default());
    };
    let parsed = Note::parse(&note).map_err(CheckpointError::from)?;
    let checkpoint = Checkpoint::parse(parsed.text())?;
    let mut tiles = Tiles::new(directory.path(), checkpoint.size);
    let mut paths = BTreeMap::new();
    for index in indexes
        .iter()
        .copied()
        .filter(|index| *index < checkpoint.size)
    {
        let path = inclusion_path(index, checkpoint.size, &mut |level, position| {
            tiles.node(level, position)
        });
        paths.insert(index, path.map_err(|error| error.to_string()));
    }
    Ok(Inclusion {
        checkpoint: Some(parsed.to_string()),
        paths,
    })
}

/// Checks leaves against one checkpoint, whose signature is checked once.
#[derive(Debug, Clone)]
pub struct Marker {
    checkpoint: Option<Result<Checkpoint, String>>,
}

impl Marker {
    /// Believes the checkpoint if one of `keys` signed it; without keys as far as it fits the leaves.
    pub fn new(checkpoint: Option<&str>, keys: Option<&[NoteVerifier]>) -> Self {
        let read = |note: &str| match keys {
            Some(keys) => Checkpoint::verify(note.as_bytes(), keys),
            None => Note::parse(note.as_bytes())
                .map_err(CheckpointError::from)
                .and_then(|note| Checkpoint::parse(note.text())),
        };
        let checkpoint = checkpoint.map(|note| read(note).map_err(|error| error.to_string()));
        Self { checkpoint }
    }

    /// Events under the checkpoint, if it is believed.
    pub fn size(&self) -> Option<u64> {
        let believed = self.checkpoint.as_ref()?.as_ref().ok()?;
        Some(believed.size)
    }

    /// What is to be said of the leaf with this hash at `index`. `path` is what [`Inclusion::paths`] has of it.
    pub fn mark(
        &self,
        index: u64,
        leaf_hash: Digest,
        path: Option<&Result<Vec<Digest>, String>>,
    ) -> Mark {
        let failed = |why: &str| Mark::Failed {
            why: why.to_owned(),
        };
        match (&self.checkpoint, path) {
            (None, _) => Mark::Unpublished,
            (Some(Err(why)), _) | (Some(Ok(_)), Some(Err(why))) => failed(why),
            (Some(Ok(checkpoint)), _) if index >= checkpoint.size => Mark::Unpublished,
            (Some(Ok(_)), None) => failed("the checkpoint covers it, and there is no path to it"),
            (Some(Ok(checkpoint)), Some(Ok(path))) => {
                if root_from_path(leaf_hash, index, checkpoint.size, path) == Some(checkpoint.root)
                {
                    Mark::Proven
                } else {
                    failed("leaf or tree was altered: they do not lead to the signed root")
                }
            }
        }
    }
}
