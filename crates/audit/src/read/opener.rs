//! Opens kept values of many events in order, as an index reads them: each bundle's boxes are read once, the write-ahead log is walked
//! once.

use std::io;

use super::{Directory, ReadError};
use crate::erase::Job;
use crate::leaf::Leaf;
use crate::payload;
use crate::seal::{self, Kek, Revealed, SLOT};
use crate::state::State;
use crate::tile::WIDTH;
use crate::wal::scan::Scan;
use crate::wal::segment;

/// Slot and box of one event.
type Stored = ([u8; SLOT], Vec<u8>);

/// A reader of kept values.
pub struct Opener {
    directory: Directory,
    /// Asked each time: keys change while a log is followed.
    keks: Box<dyn Fn() -> Vec<Kek> + Send + Sync>,
    /// Where the write-ahead log began when it was last looked at: what is before is in files of its own.
    base: u64,
    bundle: Option<(u64, Vec<Vec<u8>>)>,
    scan: Option<Scan>,
    /// Values of the batch that the walk stands behind: first index, slots and boxes.
    batch: (u64, Vec<Stored>),
}

impl Directory {
    /// A reader of kept values, given the keys that wrap event keys.
    pub fn opener(&self, keks: Vec<Kek>) -> Opener {
        self.opener_asking(Box::new(move || keks.clone()))
    }

    pub(crate) fn opener_asking(&self, keks: Box<dyn Fn() -> Vec<Kek> + Send + Sync>) -> Opener {
        Opener {
            directory: self.clone(),
            keks,
            base: 0,
            bundle: None,
            scan: None,
            batch: (0, Vec::new()),
        }
    }

    /// Those of these leaves whose keys were destroyed. Only leaves behind the write-ahead log are.
    pub fn erased(&self, leaves: impl IntoIterator<Item = u64>) -> Result<Vec<u64>, ReadError> {
        let base = State::read(self.path())
            .map_err(ReadError::State)?
            .base
            .index;
        let mut erased = Vec::new();
        for leaf in leaves.into_iter().filter(|leaf| *leaf < base) {
            let slot = payload::slot(self.path(), leaf).map_err(|source| ReadError::Io {
                path: self.path().join("keys"),
                source,
            })?;
            if slot == [0; SLOT] {
                erased.push(leaf);
            }
        }
        Ok(erased)
    }

    /// Whether an erasure is under way: what it selected may still open.
    pub fn is_erasing(&self) -> io::Result<bool> {
        Ok(Job::read(self.path())?.is_some())
    }
}

impl Opener {
    /// The kept values of the event at `index`, or `None` if they were erased or do not open. Ask in ascending order for speed.
    pub fn open(&mut self, index: u64, leaf: &Leaf) -> Result<Option<Vec<Revealed>>, ReadError> {
        // A segment may be retired between two looks; then its values are in the payload.
        for _ in 0..2 {
            if index < self.base {
                return self.behind(index, leaf);
            }
            if let Some((slot, sealed)) = self.in_wal(index)? {
                return Ok(self.reveal(leaf, &slot, &sealed));
            }
            self.scan = None;
            self.look_at_base()?;
        }
        Err(ReadError::NoSuchIndex { index })
    }

    /// Slot and box of the event at `index` as they are stored, wherever that is.
    pub(super) fn stored(&mut self, index: u64) -> Result<Stored, ReadError> {
        for _ in 0..2 {
            if index < self.base {
                let at = usize::try_from(index % WIDTH as u64).unwrap_or(0);
                let sealed = self.boxes(index / WIDTH as u64)?.get(at).cloned();
                return Ok((self.slot(index)?, sealed.unwrap_or_default()));
            }
            if let Some(stored) = self.in_wal(index)? {
                return Ok(stored);
            }
            self.scan = None;
            self.look_at_base()?;
        }
        Err(ReadError::NoSuchIndex { index })
    }

    fn behind(&mut self, index: u64, leaf: &Leaf) -> Result<Option<Vec<Revealed>>, ReadError> {
        let at = usize::try_from(index % WIDTH as u64).unwrap_or(0);
        // The unfinished bundle's file gets another name as the bundle grows: what is not there at the first look is at the next.
        for _ in 0..3 {
            let slot = self.slot(index)?;
            if slot == [0; SLOT] {
                return Ok(None);
            }
            let sealed = self.boxes(index / WIDTH as u64)?.get(at);
            if let Some(sealed) = sealed.filter(|sealed| !sealed.is_empty()).cloned() {
                return Ok(self.reveal(leaf, &slot, &sealed));
            }
            self.bundle = None;
            self.look_at_base()?;
        }
        Ok(None)
    }

    fn slot(&self, index: u64) -> Result<[u8; SLOT], ReadError> {
        let dir = self.directory.path();
        payload::slot(dir, index).map_err(|source| ReadError::Io {
            path: dir.join("keys"),
            source,
        })
    }

    fn look_at_base(&mut self) -> Result<(), ReadError> {
        let state = State::read(self.directory.path()).map_err(ReadError::State)?;
        self.base = state.base.index;
        Ok(())
    }

    /// The boxes of a bundle. The one in which the base lies may have a partial file only.
    fn boxes(&mut self, number: u64) -> Result<&[Vec<u8>], ReadError> {
        if self.bundle.as_ref().is_none_or(|(read, _)| *read != number) {
            let dir = self.directory.path();
            let read = |width| {
                payload::read(dir, number, width).map_err(|source| ReadError::Io {
                    path: dir.join(payload::path(number, width)),
                    source,
                })
            };
            let mut boxes = read(256)?;
            let unfinished = u16::try_from(self.base.saturating_sub(number * WIDTH as u64));
            if let Ok(width @ 1..=255) = unfinished
                && boxes.is_empty()
            {
                boxes = read(width)?;
            }
            self.bundle = Some((number, boxes));
        }
        Ok(self.bundle.as_ref().map_or(&[], |(_, boxes)| boxes))
    }

    /// Slot and box of an event in the write-ahead log.
    fn in_wal(&mut self, index: u64) -> Result<Option<Stored>, ReadError> {
        let wal = self.directory.path().join("wal");
        let io = |source| ReadError::Io {
            path: wal.clone(),
            source,
        };
        let (first, kept) = &self.batch;
        if let Some(found) = index
            .checked_sub(*first)
            .and_then(|at| kept.get(usize::try_from(at).ok()?))
        {
            return Ok(Some(found.clone()));
        }
        let passed = self.scan.as_ref().is_none_or(|scan| {
            let place = scan.place();
            place.index > index || !segment::path(&wal, place.segment).exists()
        });
        if passed {
            self.batch = (0, Vec::new());
            self.scan = match Scan::start_at(&wal, index) {
                Ok(scan) => scan,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(io(error)),
            };
        }
        let Some(scan) = self.scan.as_mut() else {
            return Ok(None);
        };
        while let Some(batch) = scan.next().map_err(io)? {
            if batch.commit.size <= index {
                continue;
            }
            let events = batch.events.iter();
            let kept = events.map(|event| (*event.slot, event.sealed.to_vec()));
            self.batch = (batch.opening.first_index, kept.collect());
            let at = index.checked_sub(self.batch.0);
            let at = at.and_then(|at| usize::try_from(at).ok());
            return Ok(at.and_then(|at| self.batch.1.get(at)).cloned());
        }
        Ok(None)
    }

    /// Erased between two looks, sealed under a key that is gone, altered: whatever does not open says nothing.
    fn reveal(&self, leaf: &Leaf, slot: &[u8; SLOT], sealed: &[u8]) -> Option<Vec<Revealed>> {
        seal::reveal(&(self.keks)(), leaf, slot, sealed).ok()
    }
}
