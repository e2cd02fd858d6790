//! Answers: from the index, and from the log where the index has not got to yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailiwick_audit::read::Entry;
use bailiwick_core::id::EventId;
use bailiwick_core::index::{Conditions, Cursor, EventIndex as _, Hit, IndexError};
use serde::Serialize;

use super::{Asked, Indexer, IndexingError, first_gap};

/// Leaves that are read from the log itself where the index lags; if it is further behind, the answer says so.
pub const MAX_TAIL: u64 = 2_048;

/// How far the index was when an answer was made that does not hold everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Behind {
    /// Events in the index without a gap.
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
        let before = first_gap(&*index, &self.origin)?;
        let found = match index.search(asked.conditions(), after, limit) {
            // The file is gone now, and a gap.
            Err(IndexError::Damaged { .. }) => index.search(asked.conditions(), after, limit)?,
            found => found?,
        };
        let indexed = before.min(first_gap(&*index, &self.origin)?);
        let mut hits: BTreeMap<Cursor, Hit> = found
            .hits
            .into_iter()
            .map(|hit| (hit.cursor(), hit))
            .collect();
        let mut behind = None;
        if size.saturating_sub(indexed) > MAX_TAIL {
            behind = Some(Behind { indexed, size });
        } else {
            for entry in self.log.read(indexed) {
                let entry = entry?;
                if entry.index >= size {
                    break;
                }
                let Some(row) = asked.row(&entry)? else {
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
        Ok(Answer {
            events: self.leaves(&page)?,
            next,
            behind,
        })
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
