//! Whether kept values still open and are what their leaves commit to. No proof covers them, and only who has the node's keys can tell.

use std::path::{Path, PathBuf};

use crate::payload;
use crate::read::{Directory, Entry, ReadError};
use crate::seal::{Kek, RevealError};
use crate::state::State;
use crate::tile::WIDTH;
use crate::verify::{Alteration, Altered, Report};

/// Most times that values which do not open are looked at: they move from the write-ahead log to files of their own, and change keys.
const MAX_LOOKS: usize = 3;

/// The first event of a proven log whose kept values do not open, though they were neither erased nor pruned. `keks` are asked for each time:
/// they are replaced while the log runs. Asks `go_on` after each bundle of events, and ends once that says no.
pub(super) fn first_lost(
    dir: &Path,
    keks: &(dyn Fn() -> Vec<Kek> + Send + Sync),
    report: &Report,
    go_on: &mut dyn FnMut() -> bool,
) -> Option<Alteration> {
    let directory = Directory::new(dir.to_path_buf());
    let mut opener = directory.opener(keks());
    let size = report.checkpoint.size;
    for entry in directory.entries(report.pruned) {
        // What the tree says of leaves has been looked at; one that cannot be read now is the next look's.
        let entry = entry.ok().filter(|entry| entry.index < size)?;
        let leaf = entry.parse().ok()?;
        let is_kept = leaf.sealed.iter().any(|commitment| commitment.kept);
        let opens = |opened: Result<Option<_>, ReadError>| matches!(opened, Ok(Some(_)));
        if is_kept && !opens(opener.open(entry.index, &leaf)) {
            if is_lost(&directory, keks, &entry) {
                return Some(Alteration {
                    what: Altered::Values,
                    origin: Some(report.checkpoint.origin.clone()),
                    index: Some(entry.index),
                    file: place(dir, entry.index),
                });
            }
            // The keys may have been replaced.
            opener = directory.opener(keks());
        }
        if (entry.index + 1) % WIDTH as u64 == 0 && !go_on() {
            return None;
        }
    }
    None
}

/// Where the kept values of an event are, below the log's directory.
fn place(dir: &Path, index: u64) -> PathBuf {
    let base = State::read(dir).unwrap_or_default().base.index;
    if index >= base {
        return PathBuf::from("wal");
    }
    let bundle = index / WIDTH as u64;
    let width = u16::try_from(base - bundle * WIDTH as u64).unwrap_or(256);
    payload::path(bundle, width.min(256))
}

/// Whether values that do not open should.
fn is_lost(
    directory: &Directory,
    keks: &(dyn Fn() -> Vec<Kek> + Send + Sync),
    entry: &Entry,
) -> bool {
    (0..MAX_LOOKS).all(|_| {
        let goes = directory.is_erasing().unwrap_or(true)
            || State::read(directory.path()).is_ok_and(|state| entry.index < state.minimum.values);
        let opened = directory.reveal(entry.index, &keks());
        !goes && !matches!(opened, Ok(_) | Err(ReadError::Reveal(RevealError::Erased)))
    })
}
