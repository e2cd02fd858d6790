//! Cutting a damaged log where the damage begins, while no node runs. What is cut is copied first, and the caller puts its hash on record
//! before anything is destroyed. Nothing that was signed is ever cut: whoever holds a checkpoint would find the log rolled back.
//!
//! A stop in the middle leaves `cut/pending.json`; cutting again goes on from there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::hash::Hasher;
use serde::{Deserialize, Serialize};

use crate::checkpoint;
use crate::disk::Disk;
use crate::log::{OpenError, Options};
use crate::payload;
use crate::seal::SLOT;
use crate::wal::BLOCK;
use crate::wal::recover::RecoverError;
use crate::wal::scan::Place;
use crate::wal::segment;

pub use stale::remove_beyond;

mod stale;

/// The directory of what was cut, below the log's.
pub const DIR: &str = "cut";
const PENDING: &str = "pending.json";
/// Bytes copied at a time.
const STEP: usize = 1 << 20;

/// What is cut off a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The first batch that is gone.
    pub batch: u64,
    /// The first event that is gone.
    pub index: u64,
    /// Bytes of the write-ahead log from there to its last block that held anything.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub digest: Digest,
    /// The copy of them, below the log's directory.
    pub file: PathBuf,
    segment: u64,
    offset: u64,
}

/// Cuts a log at batch `at`, which must be where it is damaged. `record` is called before anything is destroyed, with what is about to be:
/// once that returns, it is on record. Blocks.
pub fn cut<E>(
    options: &Options,
    at: u64,
    record: impl FnOnce(&Cut) -> Result<(), E>,
) -> Result<Cut, CutError<E>> {
    let dir = &options.dir;
    let io = |source| CutError::Io {
        path: dir.clone(),
        source,
    };
    let _lock = crate::log::lock(dir).map_err(|error| CutError::Open(Box::new(error)))?;
    let cut = match pending(dir).map_err(io)? {
        Some(cut) if cut.batch == at => cut,
        Some(cut) => {
            return Err(CutError::Elsewhere {
                given: at,
                batch: cut.batch,
            });
        }
        None => {
            let place = damage(options, at)?;
            let cut = copy(&*options.disk, dir, place).map_err(io)?;
            let bytes = serde_json::to_vec(&cut).map_err(|error| io(error.into()))?;
            let order = dir.join(DIR).join(PENDING);
            options.disk.replace(&order, &bytes, true).map_err(io)?;
            cut
        }
    };
    record(&cut).map_err(CutError::Record)?;
    destroy(&*options.disk, dir, &cut).map_err(io)?;
    let order = dir.join(DIR).join(PENDING);
    options.disk.remove(&order).map_err(io)?;
    options.disk.sync_dir(&dir.join(DIR)).map_err(io)?;
    Ok(cut)
}

/// Whether the files in `dir` are those of the log `origin`: by its write-ahead log, or by its checkpoint where that is gone.
pub fn is_of(dir: &Path, origin: &str) -> io::Result<bool> {
    let wal = dir.join("wal");
    let segments = match segment::list(&wal) {
        Ok(segments) => segments,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    for number in segments {
        if let Some(header) = segment::header(&File::open(segment::path(&wal, number))?)? {
            return Ok(header.origin == crate::origin_hash(origin));
        }
    }
    match fs::read_to_string(dir.join(checkpoint::FILE)) {
        Ok(note) => Ok(note.lines().next() == Some(origin)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn pending(dir: &Path) -> io::Result<Option<Cut>> {
    match fs::read(dir.join(DIR).join(PENDING)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the log is damaged, if that is at batch `at` and nothing behind it was signed.
fn damage<E>(options: &Options, at: u64) -> Result<Place, CutError<E>> {
    let open = |error: OpenError| CutError::Open(Box::new(error));
    let probe = crate::log::probe(options).map_err(open)?;
    let Some(place) = probe.damage else {
        return Err(CutError::Sound);
    };
    if place.number != at {
        return Err(CutError::Elsewhere {
            given: at,
            batch: place.number,
        });
    }
    if probe.signed > place.index {
        return Err(CutError::Signed {
            signed: probe.signed,
            found: place.index,
        });
    }
    Ok(place)
}

/// Copies everything from `place` on.
fn copy(disk: &dyn Disk, dir: &Path, place: Place) -> io::Result<Cut> {
    let wal = dir.join("wal");
    let temporary = dir.join(DIR).join("copy.tmp");
    fs::create_dir_all(dir.join(DIR))?;
    let out = File::create(&temporary)?;
    let (mut hasher, mut bytes) = (Hasher::new(), 0);
    for number in segment::list(&wal)? {
        if number < place.segment {
            continue;
        }
        let file = File::open(segment::path(&wal, number))?;
        let mut offset = if number == place.segment {
            place.offset
        } else {
            0
        };
        let end = used(&file, offset)?;
        let mut buffer = vec![0; STEP];
        while offset < end {
            let step = usize::try_from(end - offset).unwrap_or(STEP).min(STEP);
            let Some(part) = buffer.get_mut(..step) else {
                break;
            };
            file.read_exact_at(part, offset)?;
            disk.write_at(&out, part, bytes)?;
            hasher.update(part);
            offset += step as u64;
            bytes += step as u64;
        }
    }
    disk.sync(&out)?;
    let digest = hasher.finish();
    let hex = digest.to_hex();
    let name = hex.get(..16).unwrap_or_default();
    let file = Path::new(DIR).join(format!("{}-{name}", place.number));
    disk.rename(&temporary, &dir.join(&file))?;
    disk.sync_dir(&dir.join(DIR))?;
    disk.sync_dir(dir)?;
    Ok(Cut {
        batch: place.number,
        index: place.index,
        bytes,
        digest,
        file,
        segment: place.segment,
        offset: place.offset,
    })
}

/// End of the last block from `from` on that holds anything.
fn used(file: &File, from: u64) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(4096)];
    let (mut at, mut end) = (from, from);
    while at < len {
        let step = usize::try_from(len - at)
            .unwrap_or(block.len())
            .min(block.len());
        let Some(part) = block.get_mut(..step) else {
            break;
        };
        file.read_exact_at(part, at)?;
        at += step as u64;
        if part.iter().any(|byte| *byte != 0) {
            end = at;
        }
    }
    Ok(end)
}

/// Takes it out of the log. Safe to repeat.
fn destroy(disk: &dyn Disk, dir: &Path, cut: &Cut) -> io::Result<()> {
    let wal = dir.join("wal");
    remove_beyond(disk, dir, cut.index)?;
    blank_slots(disk, dir, cut.index)?;
    // From the end: what is left always begins where the damage does.
    for number in segment::list(&wal)?.into_iter().rev() {
        if number > cut.segment {
            disk.remove(&segment::path(&wal, number))?;
        }
    }
    disk.sync_dir(&wal)?;
    let file = segment::open(&segment::path(&wal, cut.segment))?;
    let end = used(&file, cut.offset)?;
    let zeros = vec![0; STEP];
    let mut offset = end;
    while offset > cut.offset {
        let step = usize::try_from(offset - cut.offset)
            .unwrap_or(STEP)
            .min(STEP);
        offset -= step as u64;
        disk.write_at(&file, zeros.get(..step).unwrap_or(&zeros), offset)?;
    }
    disk.sync(&file)
}

/// Key slots from leaf `index` on.
fn blank_slots(disk: &dyn Disk, dir: &Path, index: u64) -> io::Result<()> {
    let mut index = index;
    loop {
        let (path, offset) = payload::slot_place(index);
        let file = match File::options().write(true).open(dir.join(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let len = file.metadata()?.len();
        if let Some(rest @ 1..) = len.checked_sub(offset) {
            let rest = usize::try_from(rest).unwrap_or(0).div_ceil(SLOT) * SLOT;
            disk.write_at(&file, &vec![0; rest], offset)?;
            disk.sync(&file)?;
        }
        index = payload::next_file(index);
    }
}

/// Why a log was not cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError<E> {
    /// It is not damaged.
    #[error("the log is not damaged: there is nothing to cut")]
    Sound,
    /// It is damaged elsewhere.
    #[error("the log is damaged at batch {batch}, not at {given}")]
    Elsewhere {
        /// The batch asked for.
        given: u64,
        /// The damaged one.
        batch: u64,
    },
    /// What would be cut was signed.
    #[error(
        "a checkpoint for {signed} events was signed, and a cut would leave {found}: whoever holds it would find this log rolled back"
    )]
    Signed {
        /// Events signed for.
        signed: u64,
        /// Events that would be left.
        found: u64,
    },
    /// The log cannot be looked at, or has another fault than damage.
    #[error(transparent)]
    Open(Box<OpenError>),
    /// The system refuses a file operation.
    #[error("{} cannot be changed", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It could not be put on record, so nothing was cut.
    #[error("the cut could not be put on record, so nothing was cut")]
    Record(#[source] E),
}

impl<E: Fault + 'static> Fault for CutError<E> {
    fn code(&self) -> Code {
        match self {
            Self::Sound => Code::Conflict,
            Self::Elsewhere { .. } => Code::InvalidInput,
            Self::Signed { .. } => Code::LogRolledBack,
            Self::Open(error) => error.code(),
            Self::Io { .. } => Code::DataDir,
            Self::Record(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Sound => "Start the node.".into(),
            Self::Elsewhere { batch, .. } => format!("Give `--cut-at {batch}`."),
            Self::Signed { .. } => {
                "Nothing was changed. Restore the data directory from a copy. Without any, set [node] name to another name and run `bailiwick audit repair --succeed OLD-NAME --reason TEXT`.".into()
            }
            Self::Open(error) => match &**error {
                OpenError::Recover(RecoverError::Io { .. }) => error.help(),
                _ => "Nothing was changed. A cut does not heal this: restore the data directory from a copy.".into(),
            },
            Self::Io { .. } => "Run the command again: it goes on where it stopped.".into(),
            Self::Record(error) => error.help(),
        }
    }
}

#[cfg(test)]
mod tests;
