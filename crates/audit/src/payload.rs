//! Kept values and their keys behind the write-ahead log: `payload/<N>` holds the boxes of the 256 leaves of bundle N, `keys/<N>` the key
//! slots of 65,536 leaves. Neither is hashed into the tree: what is erased here changes no proof.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::seal::SLOT;
use crate::tile::{WIDTH, numbered};

/// Leaves whose slots share a file.
pub(crate) const SLOTS: u64 = 65_536;

/// The payload file of a bundle, below the log's directory; a bundle that is not full has its width in the name.
pub(crate) fn path(bundle: u64, width: u16) -> PathBuf {
    numbered(PathBuf::from("payload"), bundle, width)
}

/// The file of a leaf's slot, below the log's directory, and the place in it.
pub(crate) fn slot_place(index: u64) -> (PathBuf, u64) {
    let path = numbered(PathBuf::from("keys"), index / SLOTS, 256);
    (path, index % SLOTS * SLOT as u64)
}

/// The first leaf whose slot is in the next file.
pub(crate) fn next_file(index: u64) -> u64 {
    (index / SLOTS + 1) * SLOTS
}

/// Bytes of a payload file: each box behind its length as a little-endian u32; no box has length 0.
pub(crate) fn encode(boxes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(boxes.iter().map(|sealed| sealed.len() + 4).sum());
    for sealed in boxes {
        let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(sealed);
    }
    out
}

/// The boxes of a payload file, or `None` if it is not one.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bytes;
    let mut boxes = Vec::new();
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<4>()?;
        let (sealed, tail) =
            tail.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        boxes.push(sealed.to_vec());
        rest = tail;
    }
    (boxes.len() <= WIDTH).then_some(boxes)
}

/// The boxes of a payload file of a log. A file that is not there stands for no box at all.
pub(crate) fn read(dir: &Path, bundle: u64, width: u16) -> io::Result<Vec<Vec<u8>>> {
    match fs::read(dir.join(path(bundle, width))) {
        Ok(bytes) => decode(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a payload file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Slot of a leaf; zeros where none was written.
pub(crate) fn slot(dir: &Path, index: u64) -> io::Result<[u8; SLOT]> {
    let (path, offset) = slot_place(index);
    let mut slot = [0; SLOT];
    let read = File::open(dir.join(path)).and_then(|file| file.read_exact_at(&mut slot, offset));
    match read {
        Ok(()) => Ok(slot),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok([0; SLOT])
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
