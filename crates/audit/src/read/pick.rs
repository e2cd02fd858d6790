//! Leaves at given places, read in one pass: what an index found.

use super::{Directory, Entries, Entry, ReadError};
use crate::tile::{Kind, Tile, WIDTH};

/// Leaves at given places.
pub struct Picked<I> {
    directory: Directory,
    wanted: I,
    entries: Entries,
}

impl Directory {
    /// The leaves at these indexes, which ascend; those beyond the end are left out.
    pub fn pick<I: IntoIterator<Item = u64>>(&self, indexes: I) -> Picked<I::IntoIter> {
        Picked {
            directory: self.clone(),
            wanted: indexes.into_iter(),
            entries: self.entries(0),
        }
    }
}

impl<I> Picked<I> {
    /// Goes on where the leaf is: at once if it is in a full bundle, by walking on if it is in the write-ahead log.
    fn seek(&mut self, index: u64) {
        let here = self.entries.position();
        let far = index.saturating_sub(here) > WIDTH as u64;
        let bundle = Tile::full(Kind::Entries, index / WIDTH as u64).path();
        if here > index || here == 0 || far && self.directory.path().join(bundle).exists() {
            self.entries = self.directory.entries(index);
        }
    }

    fn at(&mut self, index: u64) -> Result<Option<Entry>, ReadError> {
        self.seek(index);
        for entry in self.entries.by_ref() {
            let entry = entry?;
            if entry.index >= index {
                return Ok((entry.index == index).then_some(entry));
            }
        }
        Ok(None)
    }
}

impl<I: Iterator<Item = u64>> Iterator for Picked<I> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let index = self.wanted.next()?;
            match self.at(index) {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
