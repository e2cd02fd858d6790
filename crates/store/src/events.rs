//! The index of the record: where it is kept, and what it is made of. What it promises is `bailiwick_core::index::EventIndex`.

use std::ops::Range;
use std::path::Path;

use bailiwick_core::Secret;
use bailiwick_core::id::EventId;
use bailiwick_core::index::{Conditions, Cursor, EventIndex, Found, Hit, IndexError, Row};

use crate::sqlite::events::Days;

/// An index in local files: one SQLite database for each UTC day, and a catalog. Deletable at any time; what is missing is a gap.
pub struct LocalIndex {
    days: Days,
}

impl LocalIndex {
    /// Opens the index in `dir`, making what is not there. A directory is written by one index at a time; whoever opens it has the lock of
    /// the node's data.
    ///
    /// `key` is 32 secret bytes that are used for nothing else: what was stored under another key is made again.
    pub fn open(dir: &Path, key: Secret<[u8; 32]>) -> Result<Self, IndexError> {
        Ok(Self {
            days: Days::open(dir, key)?,
        })
    }
}

impl EventIndex for LocalIndex {
    fn search(
        &self,
        conditions: &Conditions,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Found, IndexError> {
        self.days.search(conditions, after, limit)
    }

    fn places(
        &self,
        origin: &str,
        conditions: &Conditions,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, IndexError> {
        self.days.places(origin, conditions, from, limit)
    }

    fn linked(&self, origin: &str, events: &[EventId]) -> Result<Vec<u64>, IndexError> {
        self.days.linked(origin, events)
    }

    fn find(&self, event: EventId) -> Result<Option<Hit>, IndexError> {
        self.days.find(event)
    }

    fn gaps(&self, origin: &str) -> Result<Vec<Range<u64>>, IndexError> {
        self.days.gaps(origin)
    }

    fn unknown(&self, origin: &str) -> Result<Vec<Range<u64>>, IndexError> {
        self.days.unknown(origin)
    }

    fn check(&self) -> Result<bool, IndexError> {
        self.days.check()
    }

    fn put(&self, origin: &str, range: Range<u64>, rows: &[Row]) -> Result<(), IndexError> {
        self.days.put(origin, range, rows)
    }

    fn prune(&self, day: &str) -> Result<(), IndexError> {
        self.days.prune(day)
    }

    fn clear(&self) -> Result<(), IndexError> {
        self.days.clear()
    }

    fn with_tokens(&self, origin: &str, from: u64, limit: usize) -> Result<Vec<u64>, IndexError> {
        self.days.with_tokens(origin, from, limit)
    }

    fn forget(&self, origin: &str, leaves: &[u64]) -> Result<(), IndexError> {
        self.days.forget(origin, leaves)
    }
}
