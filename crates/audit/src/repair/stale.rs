//! Published files that hold more leaves than a log is cut to. They would be taken for what is written there next.

use std::fs;
use std::io;
use std::path::Path;

use crate::disk::Disk;

/// Directories of numbered files, and how many leaves one entry of a file there stands for, as a shift.
fn kinds() -> impl Iterator<Item = (String, u32)> {
    let beside = [("tile/entries".to_owned(), 0), ("payload".to_owned(), 0)];
    let levels = (0..8_u32).map(|level| (format!("tile/{level}"), 8 * level));
    beside.into_iter().chain(levels)
}

/// Removes every tile, bundle and payload file, full or partial, that holds a leaf from `index` on. Safe to repeat.
pub fn remove_beyond(disk: &dyn Disk, dir: &Path, index: u64) -> io::Result<()> {
    for (kind, shift) in kinds() {
        let entries = index.checked_shr(shift).unwrap_or(0);
        walk(disk, &dir.join(kind), 0, entries)?;
    }
    Ok(())
}

/// `above` is the number that the names so far make: `x001/x234/067` is 1,234,067.
fn walk(disk: &dyn Disk, dir: &Path, above: u64, entries: u64) -> io::Result<()> {
    let files = match fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for file in files {
        let path = file?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let number = |digits: &str| Some(above * 1_000 + digits.parse::<u64>().ok()?);
        if let Some(group) = name.strip_prefix('x').and_then(number) {
            walk(disk, &path, group, entries)?;
        } else if let Some(tile) = name.strip_suffix(".p").and_then(number) {
            let kept = entries.saturating_sub(tile.saturating_mul(256));
            partials(disk, &path, kept)?;
        } else if number(name).is_some_and(|tile| (tile + 1).saturating_mul(256) > entries) {
            disk.remove(&path)?;
        }
    }
    disk.sync_dir(dir)
}

/// Partial files of one tile, of which `kept` entries stay.
fn partials(disk: &dyn Disk, dir: &Path, kept: u64) -> io::Result<()> {
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        let width = path
            .file_name()
            .and_then(|name| name.to_str()?.parse::<u64>().ok());
        if width.is_none_or(|width| width > kept) {
            disk.remove(&path)?;
        }
    }
    disk.sync_dir(dir)
}
