//! The tiler's second product: boxes and key slots of the leaves, kept beside the tree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::Rng;
use bailiwick_core::id::EventId;
use serde::Deserialize;

use super::TileError;
use super::files::Files;
use crate::disk::Disk;
use crate::payload;
use crate::read::Directory;
use crate::seal::{self, Kek, SLOT};
use crate::tile::WIDTH;

/// A bundle's worth of boxes and slots.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// One per leaf, empty where nothing is kept.
    pub(super) boxes: Vec<Vec<u8>>,
    slots: Vec<u8>,
}

impl Kept {
    pub(super) fn push(&mut self, slot: &[u8; SLOT], sealed: &[u8]) {
        self.boxes.push(sealed.to_vec());
        self.slots.extend_from_slice(slot);
    }

    /// Wraps the keys of these leaves anew.
    pub(super) fn rewrap(&mut self, leaves: &[&[u8]], keks: &[Kek], rng: &dyn Rng) {
        let (slots, _) = self.slots.as_chunks_mut::<SLOT>();
        for (slot, leaf) in slots.iter_mut().zip(leaves) {
            renew(slot, leaf, keks, rng);
        }
    }

    /// Forgets what is kept at some places.
    pub(super) fn erase(&mut self, places: &[usize]) {
        blank(&mut self.boxes, places);
        for place in places {
            if let Some(slot) = self.slots.get_mut(place * SLOT..(place + 1) * SLOT) {
                slot.fill(0);
            }
        }
    }
}

/// Writes payload and key files.
pub(super) struct Sidecar {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Sidecar {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self { disk, dir }
    }

    /// What the files have of the first `size % 256` leaves of the last bundle of a tree of `size` leaves.
    pub(super) fn resume(&self, size: u64) -> io::Result<Kept> {
        let width = size % WIDTH as u64;
        let Ok(partial @ 1..) = u16::try_from(width) else {
            return Ok(Kept::default());
        };
        let mut boxes = payload::read(&self.dir, size / WIDTH as u64, partial)?;
        if boxes.is_empty() {
            // The full file that replaced it holds the same boxes in front.
            boxes = payload::read(&self.dir, size / WIDTH as u64, 256)?;
        }
        boxes.resize(usize::from(partial), Vec::new());
        let mut slots = Vec::with_capacity(usize::from(partial) * SLOT);
        for index in size - width..size {
            slots.extend_from_slice(&payload::slot(&self.dir, index)?);
        }
        Ok(Kept { boxes, slots })
    }

    /// Writes the boxes and slots of a bundle. A payload file without any box is left out.
    pub(super) fn write(&self, files: &mut Files, bundle: u64, kept: &Kept) -> io::Result<()> {
        let width = u16::try_from(kept.boxes.len()).unwrap_or(256);
        let path = self.dir.join(payload::path(bundle, width));
        if kept.boxes.iter().any(|sealed| !sealed.is_empty()) {
            files.replace(path, &payload::encode(&kept.boxes))?;
        }
        if kept.slots.iter().any(|byte| *byte != 0) {
            self.write_slots(files, bundle * WIDTH as u64, &kept.slots)?;
        }
        Ok(())
    }

    /// Removes the partial payload files of a bundle that is full now.
    pub(super) fn remove_partials(&self, bundle: u64) -> io::Result<()> {
        let mut partial = self.dir.join(payload::path(bundle, 256)).into_os_string();
        partial.push(".p");
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes boxes out of the payload files of a bundle, whatever width they have, and overwrites the slots.
    pub(super) fn erase(&self, files: &mut Files, bundle: u64, places: &[usize]) -> io::Result<()> {
        for place in places {
            self.write_slots(files, bundle * WIDTH as u64 + *place as u64, &[0; SLOT])?;
        }
        let full = self.dir.join(payload::path(bundle, 256));
        self.rewrite(&full, places)?;
        // What a stop left of a file that was being written.
        self.disk.remove(&full.with_extension("tmp"))?;
        let mut partials = full.into_os_string();
        partials.push(".p");
        let partials = match fs::read_dir(partials) {
            Ok(partials) => partials,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in partials {
            let path = entry?.path();
            if path.extension().is_some() {
                self.disk.remove(&path)?;
            } else {
                self.rewrite(&path, places)?;
            }
        }
        Ok(())
    }

    /// Wraps the keys of leaves from `first` on anew, up to `until` or the end of their file; gives where the next file begins. The file is
    /// replaced whole, so that a stop leaves each slot under one key or the other.
    pub(super) fn rewrap(
        &self,
        first: u64,
        until: u64,
        keks: &[Kek],
        rng: &dyn Rng,
    ) -> Result<u64, TileError> {
        let next = payload::next_file(first);
        let path = self.dir.join(payload::slot_place(first).0);
        let mut bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(next),
            Err(error) => return Err(error.into()),
        };
        let begin = payload::next_file(first) - payload::SLOTS;
        let (slots, _) = bytes.as_chunks_mut::<SLOT>();
        let stale = |slot: &[u8; SLOT]| keks.first().is_some_and(|kek| seal::is_stale(kek, slot));
        if !slots.iter().any(stale) {
            return Ok(next);
        }
        // Most files hold few slots that are in use; leaves are read from the first to the last of those.
        let at = slots.iter().position(stale).unwrap_or(0);
        for entry in Directory::new(self.dir.clone()).entries(begin + at as u64) {
            let entry = entry?;
            if entry.index >= next.min(until) {
                break;
            }
            let place = usize::try_from(entry.index - begin).unwrap_or(usize::MAX);
            if let Some(slot) = slots.get_mut(place) {
                renew(slot, &entry.leaf, keks, rng);
            }
        }
        self.disk.replace(&path, &bytes, true)?;
        Ok(next)
    }

    fn rewrite(&self, path: &Path, places: &[usize]) -> io::Result<()> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        // Of a file that is not one nothing can be told apart, so nothing of it stays.
        let mut boxes = payload::decode(&bytes).unwrap_or_default();
        blank(&mut boxes, places);
        self.disk.replace(path, &payload::encode(&boxes), true)
    }

    fn write_slots(&self, files: &mut Files, first: u64, slots: &[u8]) -> io::Result<()> {
        let (path, offset) = payload::slot_place(first);
        files.write_at(self.dir.join(path), slots, offset)
    }
}

/// The part of a leaf that its slot is bound to.
#[derive(Deserialize)]
struct Brief {
    id: EventId,
}

fn renew(slot: &mut [u8; SLOT], leaf: &[u8], keks: &[Kek], rng: &dyn Rng) {
    if keks.first().is_some_and(|kek| seal::is_stale(kek, slot))
        && let Ok(Brief { id }) = serde_json::from_slice(leaf)
        && let Some(renewed) = seal::rewrap(keks, rng, id, slot)
    {
        *slot = renewed;
    }
}

fn blank(boxes: &mut [Vec<u8>], places: &[usize]) {
    for place in places {
        if let Some(sealed) = boxes.get_mut(*place) {
            *sealed = Vec::new();
        }
    }
}
