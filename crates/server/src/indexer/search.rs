//! Answers: from the index, and from the log where the index has not got to yet. The index says where; what is shown is the leaf, and only
//! if it is what was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bailiwick_audit::lookup::{Lookup, MAX_READ, Places};
use bailiwick_audit::read::{Entry, ReadError};
use bailiwick_audit::timeline::{Found, trace};
use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::index::{Conditions, Cursor, EventIndex, Hit, IndexError};
use bailiwick_store::LocalIndex;
use serde::Serialize;

use super::{Asked, Indexer, IndexingError};

/// Leaves that are read from the log itself where the index lags; if it is further behind, the answer says so.
pub const MAX_TAIL: u64 = 2_048;

/// How far the index was when an answer was made that does not hold everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Behind {
    /// Events that the index knows.
    pub indexed: u64,
    /// Events on record.
    pub size: u64,
}

/// One page of an answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// The events, oldest first.
    pub events: Vec<Entry>,
    /// Behind which the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// Set if events may be missing because the index lags.
    pub behind: Option<Behind>,
}

impl Indexer {
    /// Conditions, ready to be put to leaves.
    pub fn asked(&self, conditions: Conditions) -> Asked {
        Asked::new(
            conditions,
            &self.log,
            Arc::clone(&self.origin),
            self.key.clone(),
        )
    }

    /// Events that meet the conditions, oldest first, behind `after`. Blocks.
    pub fn search(
        &self,
        conditions: Conditions,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Answer, IndexingError> {
        let mut asked = self.asked(conditions);
        let index = self.index()?;
        let size = self.log.size();
        // Before and after: what was indexed meanwhile was not looked through, and what was found to be gone neither.
        let mut lookup = self.lookup(Some(&index), size)?;
        let found = match index.search(asked.conditions(), after, limit) {
            // The file is gone now, and a gap.
            Err(IndexError::Damaged { .. }) => index.search(asked.conditions(), after, limit)?,
            found => found?,
        };
        lookup.look_again();
        let places = lookup.places(MAX_TAIL);
        let mut hits: BTreeMap<Cursor, Hit> = found
            .hits
            .into_iter()
            .map(|hit| (hit.cursor(), hit))
            .collect();
        let mut behind = None;
        if places.unread > 0 {
            let indexed = size.saturating_sub(places.unknown());
            behind = Some(Behind { indexed, size });
        } else {
            for entry in self.log.directory().pick(places.iter()) {
                let Some(row) = asked.row(&entry?)? else {
                    continue;
                };
                let hit = Hit {
                    origin: row.origin,
                    index: row.index,
                    hlc: row.hlc,
                    id: row.id,
                };
                if after.is_none_or(|after| hit.cursor() > *after) {
                    hits.insert(hit.cursor(), hit);
                }
            }
        }
        let more = found.more || hits.len() > limit;
        let page: Vec<Hit> = hits.into_values().take(limit).collect();
        let next = page.last().filter(|_| more).map(Hit::cursor);
        let mut events = Vec::with_capacity(page.len());
        for entry in self.leaves(&page)? {
            // Whatever a row says, the leaf decides.
            if asked.row(&entry)?.is_some() {
                events.push(entry);
            }
        }
        Ok(Answer {
            events,
            next,
            behind,
        })
    }

    /// The events of the tree of a task, of how many events on record, and whether there was an index to ask. Blocks.
    pub fn trace(&self, task: TaskId) -> Result<(Found, u64, bool), ReadError> {
        let size = self.log.size();
        let index = self.index_if_any();
        let mut lookup = self.lookup(index.as_deref(), size)?;
        let found = trace(&self.log.directory(), &mut lookup, size, task)?;
        Ok((found, size, lookup.is_indexed()))
    }

    /// Where events may be that meet one of these conditions: at most so many for each. Blocks.
    pub fn any_of(&self, questions: &[Conditions], most: usize) -> Result<Places, ReadError> {
        let index = self.index_if_any();
        let mut lookup = self.lookup(index.as_deref(), self.log.size())?;
        for question in questions {
            lookup.ask(question, most);
        }
        Ok(lookup.places(MAX_READ))
    }

    fn lookup<'a>(
        &'a self,
        index: Option<&'a LocalIndex>,
        size: u64,
    ) -> Result<Lookup<'a>, ReadError> {
        let minimum = self.log.directory().minimum()?;
        Ok(self.lookup_in(index, minimum.min(size)..size))
    }

    pub(super) fn lookup_in<'a>(
        &'a self,
        index: Option<&'a LocalIndex>,
        kept: Range<u64>,
    ) -> Lookup<'a> {
        let index = index.map(|index| index as &dyn EventIndex);
        Lookup::new(index, &self.origin, kept)
    }

    /// Without its index the log is read.
    pub(super) fn index_if_any(&self) -> Option<Arc<LocalIndex>> {
        let index = self.index();
        index
            .inspect_err(|error| tracing::warn!(%error, "the index cannot be opened"))
            .ok()
    }

    /// The first event with this id. Blocks.
    pub fn find(&self, event: EventId) -> Result<Option<Entry>, IndexingError> {
        if let Ok(index) = self.index()
            && let Ok(Some(hit)) = index.find(event)
            && let Some(entry) = self.log.directory().entry(hit.index)?
            && entry.parse().is_ok_and(|leaf| leaf.event.id == event)
        {
            return Ok(Some(entry));
        }
        // Not there, or not there yet: the log knows.
        Ok(self.log.directory().find(event)?)
    }

    /// The leaves of hits, in their order.
    fn leaves(&self, hits: &[Hit]) -> Result<Vec<Entry>, IndexingError> {
        let indexes: BTreeSet<u64> = hits.iter().map(|hit| hit.index).collect();
        let mut entries = BTreeMap::new();
        for entry in self.log.directory().pick(indexes) {
            let entry = entry?;
            entries.insert(entry.index, entry);
        }
        Ok(hits
            .iter()
            .filter_map(|hit| entries.remove(&hit.index))
            .collect())
    }
}
