//! A connection in a transaction: what the nouns' SQL is written against.

use std::cell::Cell;
use std::ops::ControlFlow;

use bailiwick_core::Timestamp;
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::id::EventId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::{Connection, Failed, Params, Row};
use crate::{MAX_PAGE, Reads, StoreError, Tx};

/// Reads and, in the writer, writes of one transaction.
pub(crate) struct View<'c> {
    connection: &'c dyn Connection,
    /// Which node's processes and events are meant where that matters; empty where there is only one.
    node: &'c str,
    head: u64,
    changes: Vec<Change>,
    /// The newest change that an event of its job tells of, or that was there before the job.
    told: u64,
    /// Whether something was written since the last mark.
    wrote: Cell<bool>,
    /// Whether a statement broke a constraint since the last mark.
    broken: Cell<bool>,
}

impl Reads for View<'_> {}
impl Tx for View<'_> {}

/// Where a job began: what is after it can be taken back.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    head: u64,
    changes: usize,
    wrote: bool,
}

impl<'c> View<'c> {
    /// In the writer, which knows the head.
    pub(crate) fn new(connection: &'c dyn Connection, node: &'c str, head: u64) -> Self {
        Self {
            connection,
            node,
            head,
            changes: Vec::new(),
            told: head,
            wrote: Cell::new(false),
            broken: Cell::new(false),
        }
    }

    /// In a reader: looks the head up, which also fixes the snapshot.
    pub(crate) fn on_snapshot(
        connection: &'c dyn Connection,
        node: &'c str,
    ) -> Result<Self, StoreError> {
        let mut view = Self::new(connection, node, 0);
        let newest = view.row("SELECT max(seq) FROM change", (), |row| {
            row.get::<Option<i64>>(0)
        })?;
        view.head = newest.flatten().map_or(0, unsigned);
        Ok(view)
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn node(&self) -> &'c str {
        self.node
    }

    /// Begins a job.
    pub(crate) fn mark(&mut self) -> Mark {
        self.told = self.head;
        self.broken.set(false);
        Mark {
            head: self.head,
            changes: self.changes.len(),
            wrote: self.wrote.get(),
        }
    }

    pub(crate) fn reset(&mut self, mark: Mark) {
        self.head = mark.head;
        self.changes.truncate(mark.changes);
        self.told = mark.head;
        self.wrote.set(mark.wrote);
    }

    /// Whether anything was written that was not taken back.
    pub(crate) fn has_written(&self) -> bool {
        self.wrote.get()
    }

    /// Whether a statement broke a constraint since the last mark: PostgreSQL runs nothing after that.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Appends to the feed.
    pub(super) fn append(&mut self, key: &str, body: ChangeBody) -> Result<(), StoreError> {
        let seq = self.head.saturating_add(1);
        self.execute(
            "change",
            key,
            "INSERT INTO change (seq, key, body) VALUES (?1, ?2, ?3)",
            (signed("change", seq)?, key, encode("change", &body)?),
        )?;
        self.head = seq;
        self.changes.push(Change {
            seq,
            body,
            event: None,
        });
        Ok(())
    }

    /// Names the event that tells of what this job has changed since the last one it put on record.
    pub(super) fn told_by(&mut self, event: EventId) -> Result<(), StoreError> {
        let untold = self.changes.iter_mut().rev();
        let untold = untold.take_while(|change| change.seq > self.told);
        let mut first = None;
        for change in untold {
            change.event = Some(event);
            first = Some(change.seq);
        }
        self.told = self.head;
        let Some(first) = first else {
            return Ok(());
        };
        let key = event.to_string();
        let sql = "UPDATE change SET event = ?1 WHERE seq >= ?2";
        self.execute("change", &key, sql, (&key, signed("change", first)?))?;
        Ok(())
    }

    /// Runs a statement that writes; how many rows it changed. Broken constraints become the noun's own errors, and the transaction
    /// can only fail after them.
    #[expect(clippy::needless_pass_by_value, reason = "built where it is called")]
    pub(super) fn execute(
        &self,
        kind: &'static str,
        key: &str,
        sql: &str,
        params: impl Params,
    ) -> Result<u64, StoreError> {
        match self.connection.execute(sql, &params.list()) {
            Ok(changed) => {
                self.wrote.set(self.wrote.get() || changed > 0);
                Ok(changed)
            }
            Err(failed) => {
                self.broken.set(true);
                Err(match failed {
                    Failed::Taken => StoreError::AlreadyExists {
                        kind,
                        key: key.to_owned(),
                    },
                    Failed::Dangling => refused(kind, key, "something it refers to is not there"),
                    Failed::Text => refused(
                        kind,
                        key,
                        "the database cannot keep text with a character of value 0",
                    ),
                    Failed::Other(error) => error,
                })
            }
        }
    }

    /// Like [`Self::execute`] for a removal: nothing changed means that it was not there.
    pub(super) fn remove(
        &self,
        kind: &'static str,
        key: &str,
        sql: &str,
        params: impl Params,
    ) -> Result<(), StoreError> {
        match self.execute(kind, key, sql, params)? {
            0 => Err(StoreError::NotFound {
                kind,
                key: key.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The first row.
    #[expect(clippy::needless_pass_by_value, reason = "built where it is called")]
    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        let each = &mut |row: &Row<'_>| {
            found = Some(map(row)?);
            Ok(ControlFlow::Break(()))
        };
        self.query(sql, &params, each)?;
        Ok(found)
    }

    /// All rows.
    #[expect(clippy::needless_pass_by_value, reason = "built where it is called")]
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let each = &mut |row: &Row<'_>| {
            found.push(map(row)?);
            Ok(ControlFlow::Continue(()))
        };
        self.query(sql, &params, each)?;
        Ok(found)
    }

    fn query(
        &self,
        sql: &str,
        params: &impl Params,
        each: &mut super::connection::Each<'_>,
    ) -> Result<(), StoreError> {
        let failed = self.connection.query(sql, &params.list(), each).err();
        failed.map_or(Ok(()), |failed| {
            Err(match failed {
                Failed::Other(error) => error,
                // Nothing was asked for that could be there.
                Failed::Text => refused("row", "", "no text has a character of value 0"),
                Failed::Taken | Failed::Dangling => {
                    StoreError::Defect("a read broke a constraint".to_owned())
                }
            })
        })
    }

    /// The thing whose JSON is the first row's first column.
    pub(super) fn one<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<Option<T>, StoreError> {
        let body: Option<String> = self.row(sql, params, |row| row.get(0))?;
        body.map(|body| decode(kind, &body)).transpose()
    }

    /// The things whose JSON is the first column.
    pub(super) fn many<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<Vec<T>, StoreError> {
        let bodies: Vec<String> = self.rows(sql, params, |row| row.get(0))?;
        bodies.iter().map(|body| decode(kind, body)).collect()
    }

    /// Checks that `offered` is the version after the one that `sql` finds under `key`.
    pub(super) fn next_version(
        &self,
        kind: &'static str,
        key: &str,
        sql: &str,
        offered: u64,
    ) -> Result<(), StoreError> {
        let stored: Option<i64> = self.row(sql, [key], |row| row.get(0))?;
        next_version(kind, key, stored.map_or(0, unsigned), offered)
    }
}

/// The rule of versions: 1 where nothing is stored, then one more each time.
pub(super) fn next_version(
    kind: &'static str,
    key: &str,
    stored: u64,
    offered: u64,
) -> Result<(), StoreError> {
    if stored.checked_add(1) == Some(offered) {
        return Ok(());
    }
    Err(StoreError::VersionConflict {
        kind,
        key: key.to_owned(),
        stored,
        offered,
    })
}

pub(super) fn refused(kind: &'static str, key: &str, why: &'static str) -> StoreError {
    StoreError::Refused {
        kind,
        key: key.to_owned(),
        why,
    }
}

pub(super) fn encode(kind: &'static str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Defect(format!("a {kind} does not serialise: {error}")))
}

pub(super) fn decode<T: DeserializeOwned>(kind: &'static str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| damaged(kind, &error))
}

pub(crate) fn damaged(kind: &'static str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        kind,
        why: why.to_string(),
    }
}

/// Integers of databases are signed; ours that count are not.
pub(super) fn signed(kind: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value)
        .map_err(|_| refused(kind, &value.to_string(), "the number is over 2^63 - 1"))
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A page's limit as a database wants it.
pub(super) fn page(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_PAGE)).unwrap_or(i64::MAX)
}
