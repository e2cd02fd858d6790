//! The names of the files of a log that others keep or fetch: what a checkpoint of a size needs, and what lies beside the tree. No listing
//! of a directory is needed: the size says it all.

use std::path::{Path, PathBuf};

use crate::payload;
use crate::tile::{Kind, Tile, WIDTH, partials};

/// Full tiles and bundles of a tree of `size` leaves that a tree of `from` leaves did not have yet, leaves first. Written once, never
/// changed.
pub fn full(from: u64, size: u64) -> impl Iterator<Item = PathBuf> {
    let levels = (0..8_u8).map(Kind::Hashes);
    let kinds = std::iter::once(Kind::Entries).chain(levels);
    kinds.flat_map(move |kind| {
        let shift = match kind {
            Kind::Entries => 8,
            Kind::Hashes(level) => 8 * (u32::from(level) + 1),
        };
        let count = |leaves: u64| leaves.checked_shr(shift).unwrap_or(0);
        (count(from)..count(size)).map(move |index| Tile::full(kind, index).path())
    })
}

/// Partial tiles and the partial bundle of a tree of `size` leaves, each with the full one that may have replaced it here.
pub fn partial(size: u64) -> impl Iterator<Item = (PathBuf, PathBuf, u16)> {
    let tiles = partials(size).into_iter();
    tiles.map(|tile| (tile.path(), tile.widened().path(), tile.width))
}

/// Payload files of the full bundles of a tree of `size` leaves that a tree of `from` leaves did not have. Rewritten by an erasure; not
/// there where nothing was kept.
pub fn payloads(from: u64, size: u64) -> impl Iterator<Item = PathBuf> {
    (from / WIDTH as u64..size / WIDTH as u64).map(|bundle| payload::path(bundle, 256))
}

/// The payload file of the unfinished bundle of a tree of `size` leaves; none if the last bundle is full.
pub fn partial_payload(size: u64) -> Option<PathBuf> {
    let width = u16::try_from(size % WIDTH as u64).ok();
    let width = width.filter(|width| *width > 0)?;
    Some(payload::path(size / WIDTH as u64, width))
}

/// Key files in which the slots of leaves from `from` to `size` lie. Written in place as the log grows.
pub fn keys(from: u64, size: u64) -> impl Iterator<Item = PathBuf> {
    let number = |index: u64| index / payload::SLOTS;
    let count = if size == 0 { 0 } else { number(size - 1) + 1 };
    (number(from)..count).map(|file| payload::slot_place(file * payload::SLOTS).0)
}

/// The front of a full tile or bundle, as a partial one of `width` holds it. `None` if it is not one or is too short.
pub fn front(path: &Path, full: &[u8], width: u16) -> Option<Vec<u8>> {
    let width = usize::from(width);
    if path.starts_with("tile/entries") {
        let leaves = crate::bundle::leaves(full)?;
        let mut front = Vec::new();
        for leaf in leaves.get(..width)? {
            crate::bundle::put(&mut front, leaf);
        }
        return Some(front);
    }
    full.get(..width * 32).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests;
