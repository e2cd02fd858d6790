//! A connection in a transaction: what the nouns' SQL is written against. Also the one place that maps SQLite's errors.

use bailiwick_core::Timestamp;
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::id::EventId;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, ffi};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{MAX_PAGE, Reads, StoreError, Tx};

/// Reads and, in the writer, writes of one transaction.
pub(super) struct View<'c> {
    connection: &'c Connection,
    head: u64,
    changes: Vec<Change>,
    /// The newest change that an event of its job tells of, or that was there before the job.
    told: u64,
}

impl Reads for View<'_> {}
impl Tx for View<'_> {}

/// Where a job began: what is after it can be taken back.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    head: u64,
    changes: usize,
}

impl<'c> View<'c> {
    /// In the writer, which knows the head.
    pub(super) fn new(connection: &'c Connection, head: u64) -> Self {
        Self {
            connection,
            head,
            changes: Vec::new(),
            told: head,
        }
    }

    /// In a reader: looks the head up, which also fixes the snapshot.
    pub(super) fn on_snapshot(connection: &'c Connection) -> Result<Self, StoreError> {
        let mut view = Self::new(connection, 0);
        let newest = view.row("SELECT max(seq) FROM change", [], |row| {
            row.get::<_, Option<i64>>(0)
        })?;
        view.head = newest.flatten().map_or(0, unsigned);
        Ok(view)
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Begins a job.
    pub(super) fn mark(&mut self) -> Mark {
        self.told = self.head;
        Mark {
            head: self.head,
            changes: self.changes.len(),
        }
    }

    pub(super) fn reset(&mut self, mark: Mark) {
        self.head = mark.head;
        self.changes.truncate(mark.changes);
        self.told = mark.head;
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
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

    /// Runs a statement that writes; how many rows it changed. Broken constraints become the noun's own errors.
    pub(super) fn execute(
        &self,
        kind: &'static str,
        key: &str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        let run = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params));
        run.map_err(|error| match &error {
            rusqlite::Error::SqliteFailure(cause, _) => match cause.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                    StoreError::AlreadyExists {
                        kind,
                        key: key.to_owned(),
                    }
                }
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
                    refused(kind, key, "something it refers to is not there")
                }
                _ => failure(error),
            },
            _ => failure(error),
        })
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
    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failure)?;
        statement.query_row(params, map).optional().map_err(failure)
    }

    /// All rows.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failure)?;
        let rows = statement.query_map(params, map).map_err(failure)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failure)
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

pub(super) fn damaged(kind: &'static str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        kind,
        why: why.to_string(),
    }
}

/// SQLite's integers are signed; ours that count are not.
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

/// A page's limit as SQLite wants it.
pub(super) fn page(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_PAGE)).unwrap_or(i64::MAX)
}

/// Who is at fault for an error of SQLite.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(failure)`")]
pub(super) fn failure(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged("database", &error),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied,
        ) => StoreError::Unavailable(error.to_string()),
        _ => match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => damaged("row", &error),
            _ => StoreError::Defect(error.to_string()),
        },
    }
}
