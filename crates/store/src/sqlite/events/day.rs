//! Writes rows into the index of one day.

use std::collections::HashMap;
use std::path::Path;

use bailiwick_core::Secret;
use bailiwick_core::id::EventId;
use bailiwick_core::index::{IndexError, Key, Row};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::file::{self, Writable, is_damage, unavailable};
use super::tally::{Table, Tally};

/// Bits of a place that are the leaf's index; above them is the term of the log.
pub(super) const INDEX_BITS: u32 = 40;
/// The index of a leaf in a place.
pub(super) const INDEX_MASK: i64 = (1 << INDEX_BITS) - 1;
/// The kind of the terms that are logs.
pub(super) const ORIGIN: &str = "origin";
/// Terms remembered; beyond that they are looked up again.
const MAX_TERMS: usize = 65_536;
/// Leaves that one statement forgets.
const CHUNK: usize = 500;
const SCHEMA: &str = include_str!("day.sql");

const PROGRESS: Table = Table {
    name: "progress",
    insert: "INSERT OR IGNORE INTO progress VALUES (?1, ?2)",
};
const TERM: Table = Table {
    name: "term",
    insert: "INSERT OR IGNORE INTO term VALUES (?1, ?2, ?3)",
};
const EVENT: Table = Table {
    name: "event",
    insert: "INSERT OR IGNORE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
};
const MENTION: Table = Table {
    name: "mention",
    insert: "INSERT OR IGNORE INTO mention VALUES (?1, ?2, ?3)",
};
const RESOURCE: Table = Table {
    name: "resource",
    insert: "INSERT OR IGNORE INTO resource VALUES (?1, ?2)",
};
/// What is added up.
const TABLES: [Table; 5] = [PROGRESS, TERM, EVENT, MENTION, RESOURCE];

/// Keys whose first value has a column of its own, in the order of the columns.
pub(super) const COLUMNS: [(Key, &str); 9] = [
    (Key::Task, "task"),
    (Key::Agent, "agent"),
    (Key::Instance, "instance"),
    (Key::User, "user"),
    (Key::Actor, "actor"),
    (Key::Server, "server"),
    (Key::Tool, "tool"),
    (Key::Code, "code"),
    (Key::Lease, "lease"),
];

/// The index of one day, open for writing.
pub(super) struct Day {
    pub(super) file: Writable,
    /// `2026-11-23`.
    name: String,
    tally: Tally,
    terms: HashMap<&'static str, HashMap<String, i64>>,
    known: usize,
}

impl Day {
    /// Opens the file of a day, or makes it. One whose rows are not those that were stored is replaced by an empty one.
    pub(super) fn open(
        path: &Path,
        name: &str,
        key: &Secret<[u8; 32]>,
    ) -> Result<Self, IndexError> {
        let mut file = Writable::open(path, SCHEMA)?;
        let mut tally = match Tally::of(&file.connection, key, name, &TABLES) {
            Err(error) if !is_damage(&error) => return Err(unavailable(path, &error)),
            added => added.ok().flatten(),
        };
        if tally.is_none() {
            tracing::warn!(
                day = name,
                "the index of this day is not as it was stored, and is made again"
            );
            // Closed first: a connection takes its write-ahead log with it by name.
            drop(file);
            file::remove(path)?;
            file = Writable::open(path, SCHEMA)?;
            tally = Some(Tally::new(key));
        }
        Ok(Self {
            file,
            name: name.to_owned(),
            tally: tally.unwrap_or_else(|| Tally::new(key)),
            terms: HashMap::new(),
            known: 0,
        })
    }

    /// Whether the rows of a file are those that were stored.
    pub(super) fn adds_up(
        connection: &Connection,
        name: &str,
        key: &Secret<[u8; 32]>,
    ) -> rusqlite::Result<bool> {
        Ok(Tally::of(connection, key, name, &TABLES)?.is_some())
    }

    /// Leaves of a log below it are here.
    pub(super) fn next(connection: &Connection, origin: &str) -> rusqlite::Result<u64> {
        let next: Option<i64> = connection
            .query_row(
                "SELECT next FROM progress WHERE origin = ?1",
                [origin],
                |row| row.get(0),
            )
            .optional()?;
        Ok(next.and_then(|next| u64::try_from(next).ok()).unwrap_or(0))
    }

    /// Stores rows and how far that brings the log, in one transaction.
    pub(super) fn put(&mut self, origin: &str, rows: &[&Row], next: u64) -> rusqlite::Result<()> {
        self.transaction(|day| day.all(origin, rows, next))
    }

    /// Deletes tokens and writes the file anew without them: neither a freed page nor the write-ahead log has them any more.
    pub(super) fn forget(&mut self, origin: &str, leaves: &[u64]) -> rusqlite::Result<()> {
        let Some(log) = term(&self.file.connection, ORIGIN, origin)? else {
            return Ok(());
        };
        let gone = self.transaction(|day| {
            let mut gone = 0;
            for leaves in leaves.chunks(CHUNK) {
                let places = leaves.iter().map(|leaf| place(log, *leaf).to_string());
                let places = places.collect::<Vec<_>>().join(", ");
                let condition = format!("place IN ({places})");
                let connection = &day.file.connection;
                gone += day.tally.delete(connection, &RESOURCE, &condition, &[])?;
            }
            Ok(gone)
        })?;
        let connection = &self.file.connection;
        if gone > 0 {
            connection.execute_batch("VACUUM")?;
        }
        let busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("a reader holds on to the old pages".to_owned()),
        ))
    }

    /// Does all of it, with what the rows add up to then, or nothing.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.file.connection.execute_batch("BEGIN IMMEDIATE")?;
        let before = self.tally.sum();
        let done = work(self).and_then(|done| {
            self.tally.store(&self.file.connection, &self.name)?;
            Ok(done)
        });
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.file.connection.execute_batch(end);
        if done.is_err() || ended.is_err() {
            // Terms that were taken back are not known any more.
            self.terms.clear();
            self.known = 0;
            self.tally.back_to(before);
        }
        done.and_then(|done| ended.map(|()| done))
    }

    fn all(&mut self, origin: &str, rows: &[&Row], next: u64) -> rusqlite::Result<()> {
        let log = self.term(ORIGIN, origin)?;
        for row in rows {
            self.one(log, row)?;
        }
        let connection = &self.file.connection;
        let known = Self::next(connection, origin)?;
        let origin = text(origin);
        self.tally
            .delete(connection, &PROGRESS, "origin = ?1", &[origin])?;
        let row = [origin, ValueRef::Integer(signed(next.max(known)))];
        self.tally.insert(connection, &PROGRESS, &row)?;
        Ok(())
    }

    fn one(&mut self, log: i64, row: &Row) -> rusqlite::Result<()> {
        let kind = self.term(Key::Type.as_str(), row.kind.as_str())?;
        let mut columns = [None; COLUMNS.len()];
        let mut mentions = Vec::new();
        for (key, value) in &row.values {
            if matches!(key, Key::Effect | Key::Decision) {
                continue;
            }
            let term = self.term(key.as_str(), value)?;
            let column = COLUMNS
                .iter()
                .zip(&mut columns)
                .find(|((column, _), _)| column == key);
            match column {
                Some((_, column @ None)) => *column = Some(term),
                _ => mentions.push(term),
            }
        }
        let [
            task,
            agent,
            instance,
            user,
            actor,
            server,
            tool,
            code,
            lease,
        ] = columns.map(number_or_null);
        let at = place(log, row.index);
        let (place, hlc) = (ValueRef::Integer(at), ValueRef::Integer(signed(row.hlc)));
        let (id, cause) = (bytes(row.id), row.cause.map(bytes));
        let cause = cause
            .as_ref()
            .map_or(ValueRef::Null, |cause| ValueRef::Blob(cause));
        let event = [
            place,
            hlc,
            ValueRef::Blob(&id),
            ValueRef::Integer(kind),
            task,
            agent,
            instance,
            user,
            actor,
            server,
            tool,
            number_or_null(row.value(Key::Effect).and_then(effect)),
            number_or_null(row.value(Key::Decision).and_then(decision)),
            code,
            lease,
            cause,
        ];
        let (connection, tally) = (&self.file.connection, &mut self.tally);
        if !tally.insert(connection, &EVENT, &event)? {
            return Ok(());
        }
        for term in mentions {
            tally.insert(connection, &MENTION, &[ValueRef::Integer(term), hlc, place])?;
        }
        for token in &row.tokens {
            tally.insert(connection, &RESOURCE, &[ValueRef::Integer(token.0), place])?;
        }
        if !row.words.is_empty() {
            connection
                .prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?
                .execute(params![at, row.words.join(" ")])?;
        }
        Ok(())
    }

    fn term(&mut self, kind: &'static str, value: &str) -> rusqlite::Result<i64> {
        if let Some(code) = self.terms.get(kind).and_then(|terms| terms.get(value)) {
            return Ok(*code);
        }
        let connection = &self.file.connection;
        let code = if let Some(code) = term(connection, kind, value)? {
            code
        } else {
            let next = connection
                .prepare_cached("SELECT coalesce(max(code), 0) + 1 FROM term")?
                .query_row([], |row| row.get(0))?;
            let row = [ValueRef::Integer(next), text(kind), text(value)];
            self.tally.insert(connection, &TERM, &row)?;
            next
        };
        if self.known >= MAX_TERMS {
            self.terms.clear();
            self.known = 0;
        }
        self.known += 1;
        let terms = self.terms.entry(kind).or_default();
        terms.insert(value.to_owned(), code);
        Ok(code)
    }
}

/// Where a leaf stands: above the bits of its index the term of its log.
pub(super) fn place(log: i64, index: u64) -> i64 {
    log << INDEX_BITS | signed(index) & INDEX_MASK
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

fn number_or_null(number: Option<i64>) -> ValueRef<'static> {
    number.map_or(ValueRef::Null, ValueRef::Integer)
}

/// The number of a value, if the day has it.
pub(super) fn term(
    connection: &Connection,
    kind: &str,
    value: &str,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT code FROM term WHERE kind = ?1 AND value = ?2")?
        .query_row([kind, value], |row| row.get(0))
        .optional()
}

/// As the column has it.
pub(super) fn effect(word: &str) -> Option<i64> {
    number(word, &["read", "write", "escalate"])
}

/// As the column has it: what was not allowed is above 1.
pub(super) fn decision(word: &str) -> Option<i64> {
    number(word, &["allow", "deny", "step_up"])
}

fn number(word: &str, words: &[&str]) -> Option<i64> {
    let at = words.iter().position(|known| *known == word)?;
    i64::try_from(at + 1).ok()
}

pub(super) fn bytes(id: EventId) -> [u8; 16] {
    id.bits().to_be_bytes()
}

/// SQLite has no unsigned numbers. Logical times reach the sign in the year 6429.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
