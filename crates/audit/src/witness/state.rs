//! What a witness keeps: per log the newest checkpoint that it cosigned, as a note that anybody can check.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use bailiwick_crypto::cosignature::CosignatureVerifier;
use bailiwick_crypto::note::{Note, NoteVerifier};

use super::{Held, OpenWitnessError};
use crate::checkpoint::Checkpoint;

/// Its name in the log's directory.
pub(super) const FILE: &str = "checkpoint";

/// What was cosigned last, if anything. A file that is there and not good is no reason to start anew.
pub(super) fn load(
    dir: &Path,
    origin: &str,
    keys: &[NoteVerifier],
    own: &CosignatureVerifier,
) -> Result<Option<Held>, OpenWitnessError> {
    let path = dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenWitnessError::Io { path, source }),
    };
    let wrong = |why: String| OpenWitnessError::State {
        path: path.clone(),
        origin: origin.to_owned(),
        why,
    };
    let checkpoint = Checkpoint::verify(&bytes, keys).map_err(|error| wrong(error.to_string()))?;
    let note = Note::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
    match own.cosignature(&note) {
        Ok(Some(_)) => {}
        Ok(None) => return Err(wrong("it has no cosignature of this witness".into())),
        Err(error) => return Err(wrong(error.to_string())),
    }
    Ok(Some(Held {
        checkpoint,
        note: note.to_string(),
    }))
}

/// Takes `LOCK`, so that a directory has one witness. The kernel releases it whatever way the process ends.
pub(super) fn lock(dir: &Path) -> Result<File, OpenWitnessError> {
    let path = dir.join("LOCK");
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = opened.map_err(|source| OpenWitnessError::Io {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenWitnessError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(OpenWitnessError::Io { path, source }),
    }
}
