//! Values and keys of the newest leaves, which are in the write-ahead log and in no file of their own yet: as the files will hold them.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::{Directory, ReadError};
use crate::payload;
use crate::published::partial_payload;
use crate::tile::WIDTH;

/// What lies beside the unfinished bundle of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its payload file; empty if nothing is kept of its leaves.
    pub payload: (PathBuf, Vec<u8>),
    /// The key file in which the slots of its leaves lie, with them.
    pub keys: (PathBuf, Vec<u8>),
}

impl Directory {
    /// What lies beside the unfinished bundle of a tree of `size` leaves; none if its last bundle is full.
    pub fn unfinished(&self, size: u64) -> Result<Option<Unfinished>, ReadError> {
        let Some(path) = partial_payload(size) else {
            return Ok(None);
        };
        let first = size - size % WIDTH as u64;
        let mut opener = self.opener(Vec::new());
        let (mut slots, mut boxes) = (Vec::new(), Vec::new());
        for index in first..size {
            let (slot, sealed) = opener.stored(index)?;
            slots.extend_from_slice(&slot);
            boxes.push(sealed);
        }
        let kept = boxes.iter().any(|sealed| !sealed.is_empty());
        let boxes = if kept {
            payload::encode(&boxes)
        } else {
            Vec::new()
        };
        let (file, offset) = payload::slot_place(first);
        let mut keys = match fs::read(self.dir.join(&file)) {
            Ok(keys) => keys,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => {
                let path = self.dir.join(file);
                return Err(ReadError::Io { path, source });
            }
        };
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        keys.resize(keys.len().max(at.saturating_add(slots.len())), 0);
        if let Some(place) = keys.get_mut(at..at.saturating_add(slots.len())) {
            place.copy_from_slice(&slots);
        }
        Ok(Some(Unfinished {
            payload: (path, boxes),
            keys: (file, keys),
        }))
    }
}
