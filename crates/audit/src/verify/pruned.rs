//! A log whose first leaves are pruned: its walk begins at the edge of the tree before the first leaf that is kept, which the tiles of level
//! 1 and up still have.

use std::path::Path;

use super::{Alteration, Altered, Checked, missing};
use crate::proof::{TileReadError, read_tile};
use crate::tile::{self, Kind, RightEdge, Tile, WIDTH};
use crate::tree::CompactRange;

const WIDTH_U64: u64 = WIDTH as u64;

/// The edge of the tree of the first `pruned` leaves, a multiple of 256, as the tiles of a tree of `size` leaves have it. It is as true as
/// they are; the root tells.
pub(super) fn edge(dir: &Path, pruned: u64, size: u64) -> Checked<RightEdge> {
    RightEdge::at(pruned, &mut |partial: Tile| {
        let Kind::Hashes(level) = partial.kind else {
            return Ok(Vec::new());
        };
        let wanted = tile::tile_of(level, partial.index * WIDTH_U64, size);
        let (_, bytes) = read_tile(dir, wanted)?;
        let mut hashes = tile::hashes(&bytes).unwrap_or_default();
        hashes.truncate(usize::from(partial.width));
        if hashes.len() == usize::from(partial.width) {
            Ok(hashes)
        } else {
            Err(TileReadError::Form {
                path: wanted.path(),
            })
        }
    })
    .map_err(missing)
}

/// The first full tile of level 1 or up left of the edge that does not give the hash that the level above has for it.
pub(super) fn first_altered(
    dir: &Path,
    pruned: u64,
    origin: &str,
    size: u64,
) -> Checked<Option<Alteration>> {
    let mut level = 1_u8;
    let mut hashes = pruned / WIDTH_U64;
    while hashes >= WIDTH_U64 {
        hashes /= WIDTH_U64;
        for index in 0..hashes {
            let lower = Tile::full(Kind::Hashes(level), index);
            let (_, below) = read_tile(dir, lower).map_err(missing)?;
            let upper = tile::tile_of(level + 1, index, size);
            let (_, above) = read_tile(dir, upper).map_err(missing)?;
            let below = tile::hashes(&below).unwrap_or_default();
            let above = tile::hashes(&above).unwrap_or_default();
            let root = below.into_iter().collect::<CompactRange>().root();
            let at = usize::try_from(index % WIDTH_U64).unwrap_or(0);
            if above.get(at) != Some(&root) {
                return Ok(Some(Alteration {
                    what: Altered::Tile,
                    origin: Some(origin.to_owned()),
                    index: Some(lower.first_leaf()),
                    file: lower.path(),
                }));
            }
        }
        level += 1;
    }
    Ok(None)
}
