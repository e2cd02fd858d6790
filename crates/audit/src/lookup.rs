//! Finds events of one log through its index: the index names places, and whoever asks takes the leaf from there and judges that. What the
//! index does not know is read instead, within a bound, and what is beyond the bound is counted. So an answer may be partial, and says so;
//! it is never less without a word.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::ops::Range;

use bailiwick_core::id::EventId;
use bailiwick_core::index::{Conditions, EventIndex, IndexError};

/// Leaves that are read for one answer where the index does not know them.
pub const MAX_READ: u64 = 1_000_000;

/// Questions about one log, and where their answers stand.
pub struct Lookup<'a> {
    index: Option<&'a dyn EventIndex>,
    origin: &'a str,
    /// Leaves that can be read.
    kept: Range<u64>,
    named: BTreeSet<u64>,
    /// Parts that the index did not know at some question, in order.
    unknown: Vec<Range<u64>>,
    cut: bool,
}

impl<'a> Lookup<'a> {
    /// About the leaves in `kept` of the log `origin`. Without an index all of them are read.
    pub fn new(index: Option<&'a dyn EventIndex>, origin: &'a str, kept: Range<u64>) -> Self {
        let mut lookup = Self {
            index,
            origin,
            kept,
            named: BTreeSet::new(),
            unknown: Vec::new(),
            cut: false,
        };
        lookup.look_again();
        lookup
    }

    /// Notes what the index does not know now. Who asks it by other ways does this before and after.
    pub fn look_again(&mut self) {
        if self.index.is_none() {
            self.give_up();
        }
        self.look(|_| Ok(Vec::new()));
    }

    /// Asks where events are that meet the conditions: the first `limit` of them.
    pub fn ask(&mut self, conditions: &Conditions, limit: usize) {
        let (origin, from) = (self.origin, self.kept.start);
        let found = self.look(|index| index.places(origin, conditions, from, limit));
        self.cut |= found >= limit;
    }

    /// Asks where the events with these ids are, and those that one of these set off.
    pub fn ask_linked(&mut self, events: &[EventId]) {
        let origin = self.origin;
        self.look(|index| index.linked(origin, events));
    }

    /// Whether an index could be asked.
    pub fn is_indexed(&self) -> bool {
        self.index.is_some()
    }

    /// Where to look, with at most so many leaves that the index does not know: the newest.
    pub fn places(&self, most: u64) -> Places {
        let mut room = most;
        let mut read = Vec::new();
        let mut unread = 0;
        for range in self.unknown.iter().rev() {
            let length = range.end - range.start;
            let taken = length.min(room);
            room -= taken;
            unread += length - taken;
            if taken > 0 {
                read.push(range.end - taken..range.end);
            }
        }
        read.reverse();
        Places {
            named: self.named.clone(),
            read,
            unread,
            cut: self.cut,
        }
    }

    /// Asks, and notes before and after what the index does not know: what was indexed meanwhile was not asked about, and what was lost
    /// meanwhile was not either.
    fn look(
        &mut self,
        question: impl Fn(&dyn EventIndex) -> Result<Vec<u64>, IndexError>,
    ) -> usize {
        let Some(index) = self.index else { return 0 };
        let asked = || {
            let before = index.unknown(self.origin)?;
            let found = match question(index) {
                // The file is gone now, and a gap.
                Err(IndexError::Damaged { .. }) => question(index)?,
                found => found?,
            };
            Ok::<_, IndexError>((found, before, index.unknown(self.origin)?))
        };
        match asked() {
            Ok((found, before, after)) => {
                let (kept, count) = (self.kept.clone(), found.len());
                let found = found.into_iter().filter(|at| kept.contains(at));
                self.named.extend(found);
                self.does_not_know(before.into_iter().chain(after));
                count
            }
            Err(error) => {
                tracing::warn!(%error, "the index cannot be asked: the log is read instead");
                self.index = None;
                self.give_up();
                0
            }
        }
    }

    fn give_up(&mut self) {
        self.does_not_know(std::iter::once(self.kept.clone()));
    }

    fn does_not_know(&mut self, ranges: impl Iterator<Item = Range<u64>>) {
        let kept = self.kept.clone();
        let clipped = ranges.map(|range| range.start.max(kept.start)..range.end.min(kept.end));
        let mut all: Vec<Range<u64>> = std::mem::take(&mut self.unknown);
        all.extend(clipped.filter(|range| !range.is_empty()));
        all.sort_by_key(|range| range.start);
        for range in all {
            match self.unknown.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => self.unknown.push(range),
            }
        }
    }
}

/// Where to look for what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// Places that the index named.
    pub named: BTreeSet<u64>,
    /// Parts of the log to read, in order.
    pub read: Vec<Range<u64>>,
    /// Leaves that neither the index knows nor are read: an answer without them is partial.
    pub unread: u64,
    /// Whether a question had more answers than were wanted.
    pub cut: bool,
}

impl Places {
    /// How many leaves the index did not know.
    pub fn unknown(&self) -> u64 {
        let read = self.read.iter().map(|range| range.end - range.start);
        read.sum::<u64>() + self.unread
    }

    /// Leaves out what is behind a place.
    pub fn end_at(&mut self, end: u64) {
        self.named.split_off(&end);
        self.read.retain_mut(|range| {
            range.end = range.end.min(end);
            range.start < range.end
        });
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        Merged {
            named: self.named.iter().copied().peekable(),
            read: self.read.iter().cloned().flatten().peekable(),
        }
    }
}

/// Two ascending rows of places as one; a place that is in both comes once.
struct Merged<A: Iterator<Item = u64>, B: Iterator<Item = u64>> {
    named: Peekable<A>,
    read: Peekable<B>,
}

impl<A: Iterator<Item = u64>, B: Iterator<Item = u64>> Iterator for Merged<A, B> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match (self.named.peek(), self.read.peek()) {
            (Some(named), Some(read)) if named == read => {
                self.read.next();
                self.named.next()
            }
            (Some(named), Some(read)) if named < read => self.named.next(),
            (_, Some(_)) => self.read.next(),
            (_, None) => self.named.next(),
        }
    }
}

#[cfg(test)]
mod tests;
