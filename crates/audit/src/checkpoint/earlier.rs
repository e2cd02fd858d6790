//! Checkpoints that were kept, one an hour: `checkpoints/<size>`. Each is signed, so together they hold the log to what it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bailiwick_core::Timestamp;
use bailiwick_crypto::note::{MAX_NOTE, NoteVerifier};

use super::{Checkpoint, decimal};

/// Their directory in that of the log.
pub const DIR: &str = "checkpoints";
/// Time between two that are kept.
pub const EVERY: Duration = Duration::from_hours(1);

/// The file of the checkpoint over `size` leaves, below the log's directory.
pub fn path(size: u64) -> PathBuf {
    Path::new(DIR).join(size.to_string())
}

/// Sizes of those that are there, ascending. Other names are not ours to judge.
pub fn sizes(dir: &Path) -> io::Result<Vec<u64>> {
    let files = match fs::read_dir(dir.join(DIR)) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut sizes = Vec::new();
    for file in files {
        sizes.extend(file?.file_name().to_str().and_then(decimal));
    }
    sizes.sort_unstable();
    Ok(sizes)
}

/// The note over `size` leaves.
pub fn read(dir: &Path, size: u64) -> io::Result<Vec<u8>> {
    let path = dir.join(path(size));
    if fs::metadata(&path)?.len() > MAX_NOTE as u64 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

/// The newest that one of `keys` signed, of all that are there.
pub(crate) fn newest(dir: &Path, keys: &[NoteVerifier]) -> io::Result<Option<Vec<u8>>> {
    for size in sizes(dir)?.into_iter().rev() {
        let note = read(dir, size)?;
        if Checkpoint::verify(&note, keys).is_ok() {
            return Ok(Some(note));
        }
    }
    Ok(None)
}

/// How long ago the newest was kept, by the file's time. `None` if there is none, or it is from the future.
pub(crate) fn age(dir: &Path, now: Timestamp) -> Option<Duration> {
    let newest = sizes(dir).ok()?.pop()?;
    let written = fs::metadata(dir.join(path(newest))).ok()?.modified().ok()?;
    let written = written.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let written = Timestamp::default().plus(written);
    (written <= now).then(|| now.since(written))
}
