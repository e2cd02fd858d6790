//! Searching the record: what an index holds of each event, what can be asked for, and what whoever keeps one has to offer.
//!
//! An index is a projection: a function of leaves, kept values and keys, deletable at any time. What is true is the log.

mod conditions;
mod row;
mod words;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

pub use conditions::{BadFilter, Conditions, KEYS, MAX_VALUE};
pub use row::{Key, Row, Token, day_of};
pub use words::{MAX_WORDS, words};

use crate::id::EventId;
use crate::{Code, Fault};

/// Most events of one answer.
pub const MAX_FOUND: usize = 1_000;

/// Keeps rows and finds events by them. Blocks: call it where that is allowed.
pub trait EventIndex: Send + Sync {
    /// Events that meet all conditions, oldest first by logical time, behind `after`; at most `limit`, cut to [`MAX_FOUND`].
    fn search(
        &self,
        conditions: &Conditions,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Found, IndexError>;

    /// Places in one log, ascending and from `from` on, of events that meet all conditions: the first `limit` of them, without the bound of
    /// an answer.
    fn places(
        &self,
        origin: &str,
        conditions: &Conditions,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, IndexError>;

    /// Places in one log, ascending, of the events with these ids and of those that one of these set off.
    fn linked(&self, origin: &str, events: &[EventId]) -> Result<Vec<u64>, IndexError>;

    /// The event with this id.
    fn find(&self, event: EventId) -> Result<Option<Hit>, IndexError>;

    /// Parts of a log that are not in the index, in order. The last one has no end: what was never read yet.
    fn gaps(&self, origin: &str) -> Result<Vec<Range<u64>>, IndexError>;

    /// Parts of a log that no answer speaks of, in order: gaps, and what is in files that were not checked since they were opened, or that
    /// somebody else has changed since. Take it before and after a question.
    fn unknown(&self, origin: &str) -> Result<Vec<Range<u64>>, IndexError>;

    /// Checks a file that was not checked yet, the newest first: whether its rows are those that were stored. If they are not, it is thrown
    /// away, which makes a gap. True if there may be more to check.
    fn check(&self) -> Result<bool, IndexError>;

    /// Stores the rows of the leaves in `range` of one log, ascending; from then on they are no gap. Storing a row again changes nothing.
    fn put(&self, origin: &str, range: Range<u64>, rows: &[Row]) -> Result<(), IndexError>;

    /// Drops whole days before `day` (`2026-11-23`), for good: they are not a gap.
    fn prune(&self, day: &str) -> Result<(), IndexError>;

    /// Drops everything. All of the log is a gap then.
    fn clear(&self) -> Result<(), IndexError>;

    /// Indexes of a log's leaves that have resource tokens, ascending, from `from` on; at most `limit`.
    fn with_tokens(&self, origin: &str, from: u64, limit: usize) -> Result<Vec<u64>, IndexError>;

    /// Drops the resource tokens of these leaves so that no file holds them any more.
    fn forget(&self, origin: &str, leaves: &[u64]) -> Result<(), IndexError>;
}

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The log: `<trust domain>/<node>`.
    pub origin: Arc<str>,
    /// Its place there, from 0.
    pub index: u64,
    /// Logical time, 48 bits of milliseconds since 1970 and 16 bits of counter.
    pub hlc: u64,
    /// Its id.
    pub id: EventId,
}

impl Hit {
    /// What is behind it.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            hlc: self.hlc,
            index: self.index,
            origin: Arc::clone(&self.origin),
        }
    }
}

/// One page of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The events, oldest first.
    pub hits: Vec<Hit>,
    /// Whether there is more behind them.
    pub more: bool,
}

/// A place in the order of answers: by logical time, then by place in a log, then by log. Written `<hlc>.<index>@<origin>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Logical time.
    pub hlc: u64,
    /// Place in the log.
    pub index: u64,
    /// The log.
    pub origin: Arc<str>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}@{}", self.hlc, self.index, self.origin)
    }
}

/// Text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is no cursor; take `next` of the page before as it is")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (hlc, rest) = text.split_once('.').ok_or(BadCursor)?;
        let (index, origin) = rest.split_once('@').ok_or(BadCursor)?;
        if hlc.len() != 16 || origin.is_empty() || origin.len() > MAX_VALUE {
            return Err(BadCursor);
        }
        Ok(Self {
            hlc: u64::from_str_radix(hlc, 16).map_err(|_| BadCursor)?,
            index: index.parse().map_err(|_| BadCursor)?,
            origin: origin.into(),
        })
    }
}

/// Why an index did not do what it was asked to. Nothing of the record is lost by that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Its files cannot be read or written.
    #[error("the index of the record cannot be used: {0}")]
    Unavailable(String),
    /// A file of it is damaged. It was put aside and will be made again from the record.
    #[error("the index of the record is damaged for {day}: {why}")]
    Damaged {
        /// The day.
        day: String,
        /// Why.
        why: String,
    },
}

impl Fault for IndexError {
    fn code(&self) -> Code {
        Code::StoreUnavailable
    }

    fn help(&self) -> String {
        "Look at free space and permissions of the data directory; `bailiwick audit reindex` makes the index anew.".into()
    }
}

#[cfg(test)]
mod tests;
