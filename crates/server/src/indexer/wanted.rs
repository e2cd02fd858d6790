//! All events that meet conditions, in the order of the log: where the index knows it names the places, the rest is read. Nothing is left
//! out: what takes a bound elsewhere takes longer here.

use std::sync::Arc;
use std::vec::IntoIter;

use bailiwick_audit::read::{Directory, Entry, Picked, ReadError};
use bailiwick_core::index::{Conditions, Key};

use super::{Asked, Indexer};

/// Places that are asked for at once.
const PAGE: usize = 65_536;

/// Events that meet conditions.
pub struct Wanted {
    indexer: Arc<Indexer>,
    asked: Asked,
    /// What the index is asked; none if it can be of no help.
    question: Option<Conditions>,
    /// What comes next is not looked at yet.
    next: u64,
    until: u64,
    page: Picked<IntoIter<u64>>,
}

impl Indexer {
    /// The events from place `from` on, up to `until`, that meet the conditions. Blocks when it is asked for the next.
    pub fn wanted(self: &Arc<Self>, conditions: Conditions, from: u64, until: u64) -> Wanted {
        let asked = self.asked(conditions);
        Wanted {
            question: question(asked.conditions()),
            indexer: Arc::clone(self),
            next: from,
            until: until.min(self.log.size()),
            page: self.log.directory().pick(Vec::new()),
            asked,
        }
    }
}

/// The conditions as an index is asked for them. Words are not asked for: they alone are not covered by its checks.
fn question(conditions: &Conditions) -> Option<Conditions> {
    let question = conditions.without(Key::Text);
    let asks = question.values().next().is_some();
    asks.then_some(question)
}

impl Wanted {
    /// Takes the next places; false at the end.
    fn turn(&mut self) -> Result<bool, ReadError> {
        if self.next >= self.until {
            return Ok(false);
        }
        let directory: Directory = self.indexer.log.directory();
        let kept = directory.minimum()?.max(self.next).min(self.until);
        let places: Vec<u64> = if let Some(question) = &self.question {
            let index = self.indexer.index_if_any();
            let mut lookup = self.indexer.lookup_in(index.as_deref(), kept..self.until);
            lookup.ask(question, PAGE);
            let mut places = lookup.places(u64::MAX);
            let last = places.named.last().copied();
            self.next = self.until;
            if let (true, Some(last)) = (places.cut, last) {
                // What is behind the last place named is the next page's.
                places.end_at(last + 1);
                self.next = last + 1;
            }
            places.iter().collect()
        } else {
            self.next = self.until.min(kept + PAGE as u64);
            (kept..self.next).collect()
        };
        self.page = directory.pick(places);
        Ok(true)
    }
}

impl Iterator for Wanted {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for entry in self.page.by_ref() {
                if self.asked.takes_all() {
                    return Some(entry);
                }
                let taken = entry.and_then(|entry| Ok(self.asked.row(&entry)?.map(|_| entry)));
                if let Some(found) = taken.transpose() {
                    return Some(found);
                }
            }
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
