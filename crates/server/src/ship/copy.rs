//! Fetches a log from a place into a directory, file by file as its checkpoint names them. What comes is believed by nobody: who has the
//! copy verifies it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailiwick_audit::checkpoint::{self, Checkpoint, CheckpointError};
use bailiwick_audit::{published, witnessed};
use bailiwick_core::{Code, Fault};
use bailiwick_crypto::note::{NoteError, NoteVerifier};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::place::{Place, PlaceError};

/// Files that are fetched at once.
const AT_ONCE: usize = 8;

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The log.
    pub origin: String,
    /// Events that its checkpoint covers.
    pub size: u64,
    /// Files.
    pub files: usize,
    /// Files that the checkpoint needs and that are not there.
    pub missing: Vec<PathBuf>,
}

/// Why a log was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The place cannot be read.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// There is no log.
    #[error("there is no checkpoint at {place}")]
    Nothing {
        /// The place.
        place: String,
    },
    /// Its checkpoint is not one that the key given signed. Nothing more was fetched: its size could be anything.
    #[error("the checkpoint at {place} is not believed")]
    Checkpoint {
        /// The place.
        place: String,
        /// Why.
        source: CheckpointError,
    },
    /// The directory cannot be written.
    #[error("{} cannot be written", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Fault for CopyError {
    fn code(&self) -> Code {
        match self {
            Self::Place(error) => error.code(),
            Self::Nothing { .. }
            | Self::Checkpoint {
                source: CheckpointError::Note(NoteError::Unsigned),
                ..
            } => Code::LogUnverifiable,
            Self::Checkpoint { .. } => Code::LogAltered,
            Self::Io { .. } => Code::DataDir,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Place(error) => error.help(),
            Self::Nothing { .. } => "Name the place as `[audit] ship` does, or the URL under which `checkpoint` is served.".into(),
            Self::Checkpoint { source, .. } => source.help(),
            Self::Io { .. } => "Name a directory that you may write.".into(),
        }
    }
}

/// Fetches a log into `dir`. With `beside`, also what lies beside the tree: sealed values and their keys.
pub async fn copy(
    place: &Place,
    dir: &Path,
    keys: &[NoteVerifier],
    beside: bool,
) -> Result<Copied, CopyError> {
    let note = place.read(Path::new(checkpoint::FILE)).await?;
    let note = note.ok_or_else(|| CopyError::Nothing {
        place: place.to_string(),
    })?;
    let believed = Checkpoint::verify(&note, keys).map_err(|source| CopyError::Checkpoint {
        place: place.to_string(),
        source,
    })?;
    let size = believed.size;
    let needed = published::full(0, size).map(|file| (file, true));
    let sidecars = published::payloads(0, size)
        .chain(published::keys(0, size))
        .chain(published::partial_payload(size));
    let sidecars = sidecars
        .filter(|_| beside)
        .chain([PathBuf::from(witnessed::FILE)]);
    let wanted = needed.chain(sidecars.map(|file| (file, false)));
    let fetching = wanted.map(|(file, needed)| async move {
        match place.read(&file).await? {
            Some(bytes) => {
                keep(dir, &file, &bytes)?;
                Ok::<_, CopyError>(None)
            }
            None => Ok(Some(file).filter(|_| needed)),
        }
    });
    let fetched: Vec<Option<PathBuf>> = stream::iter(fetching)
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    let mut copied = Copied {
        origin: believed.origin,
        size,
        files: fetched.len() + 1,
        missing: fetched.into_iter().flatten().collect(),
    };
    for (file, full, _) in published::partial(size) {
        // A log that grows meanwhile may have the full one in its place.
        let found = match place.read(&file).await? {
            Some(bytes) => Some((&file, bytes)),
            None => place.read(&full).await?.map(|bytes| (&full, bytes)),
        };
        match found {
            Some((name, bytes)) => keep(dir, name, &bytes)?,
            None => copied.missing.push(file.clone()),
        }
        copied.files += 1;
    }
    // Last: a copy that breaks off is none.
    keep(dir, Path::new(checkpoint::FILE), &note)?;
    copied.missing.sort();
    Ok(copied)
}

fn keep(dir: &Path, file: &Path, bytes: &Bytes) -> Result<(), CopyError> {
    let path = dir.join(file);
    let failed = |source| CopyError::Io {
        path: path.clone(),
        source,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(&path, bytes).map_err(failed)
}
