//! The write-ahead log beside the tiles: the same leaves up to the checkpoint, and behind it a chain that is whole to its end.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Altered, Checked, altered, cannot_tell, stopped};
use crate::checkpoint::Checkpoint;
use crate::proof::{TileReadError, Tiles};
use crate::state::{self, State, StateError};
use crate::tile;
use crate::tree::leaf_hash;
use crate::wal::scan::{Place, Scan, later_batch};
use crate::wal::segment;

/// Checks the write-ahead log. Gives the number of events in it, or `None` if the directory has none (a copy of published files).
pub(super) fn check(
    dir: &Path,
    checkpoint: &Checkpoint,
    go_on: &mut dyn FnMut() -> bool,
) -> Checked<Option<u64>> {
    let wal = dir.join("wal");
    let unreadable =
        |error: io::Error| cannot_tell(PathBuf::from("wal"), format!("it cannot be read: {error}"));
    let segments = match segment::list(&wal) {
        Ok(segments) => segments,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let state = State::read(dir).map_err(|error| match error {
        StateError::Io { .. } => cannot_tell(PathBuf::from(state::FILE), error.to_string()),
        _ => altered(
            Altered::Wal,
            Some(&checkpoint.origin),
            None,
            PathBuf::from(state::FILE),
        ),
    })?;
    let base = state.base;
    let edge = base.edge(dir).map_err(|error| match error {
        StateError::Tile(TileReadError::Io { path, source }) => {
            cannot_tell(path, format!("the file cannot be read: {source}"))
        }
        _ => altered(
            Altered::Wal,
            Some(&checkpoint.origin),
            Some(base.index),
            PathBuf::from(state::FILE),
        ),
    })?;
    let origin = crate::origin_hash(&checkpoint.origin);
    let scan = Scan::start(&wal, Some(origin), base.segment).map_err(unreadable)?;
    let scan = scan.filter(|scan| scan.place().continues(&base));
    let Some(mut scan) = scan else {
        return Err(if segments.contains(&base.segment) {
            altered(
                Altered::Wal,
                Some(&checkpoint.origin),
                Some(base.index),
                name(base.segment),
            )
        } else {
            cannot_tell(
                name(base.segment),
                "the first segment of the write-ahead log is not there".into(),
            )
        });
    };
    let mut tiles = Tiles::new(dir, checkpoint.size);
    let mut tree = edge.tree();
    let mut looked_again = None;
    loop {
        if !go_on() {
            return Err(stopped());
        }
        let place = scan.place();
        let wrong = |index| {
            altered(
                Altered::Wal,
                Some(&checkpoint.origin),
                Some(index),
                name(place.segment),
            )
        };
        let Some(batch) = scan.next().map_err(unreadable)? else {
            if goes_on(&wal, place).map_err(unreadable)? {
                if looked_again == Some(place) {
                    return Err(wrong(place.index));
                }
                // A running node may have written while we looked; then the batch is here now.
                looked_again = Some(place);
                continue;
            }
            break;
        };
        for event in &batch.events {
            let (index, hash) = (tree.size(), leaf_hash(event.leaf));
            if index < checkpoint.size
                && published(&mut tiles, index, checkpoint.size)? != Some(hash)
            {
                return Err(wrong(index));
            }
            tree.push(hash);
        }
        if tree.root() != batch.commit.root {
            return Err(wrong(batch.opening.first_index));
        }
    }
    if tree.size() < checkpoint.size {
        // Only durable roots are signed, so what was signed has been in here.
        return Err(altered(
            Altered::Wal,
            Some(&checkpoint.origin),
            Some(tree.size()),
            name(scan.place().segment),
        ));
    }
    Ok(Some(tree.size()))
}

/// The level-0 hash of a leaf; the tiles have been checked against the root already.
fn published(
    tiles: &mut Tiles<'_>,
    index: u64,
    size: u64,
) -> Checked<Option<bailiwick_core::Digest>> {
    let at = usize::try_from(index % 256).unwrap_or(0);
    let hashes = tiles
        .tile(tile::tile_of(0, index, size))
        .map_err(|error| match error {
            TileReadError::Io { path, source } => {
                cannot_tell(path, format!("the file cannot be read: {source}"))
            }
            TileReadError::Form { path } => altered(Altered::Tile, None, Some(index), path),
        })?;
    Ok(hashes.get(at).copied())
}

/// Whether complete batches follow the place where the walk ended.
fn goes_on(wal: &Path, end: Place) -> io::Result<bool> {
    for segment in segment::list(wal)?
        .into_iter()
        .filter(|segment| *segment >= end.segment)
    {
        let from = if segment == end.segment {
            end.offset
        } else {
            0
        };
        if later_batch(&File::open(segment::path(wal, segment))?, from, end.number)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn name(segment: u64) -> PathBuf {
    segment::path(Path::new("wal"), segment)
}
