//! Writes rows into the index of one day.

use std::collections::HashMap;
use std::path::Path;

use bailiwick_core::id::EventId;
use bailiwick_core::index::{IndexError, Key, Row};
use rusqlite::{Connection, OptionalExtension, params};

use super::file::Writable;

/// Bits of a place that are the leaf's index; above them is the term of the log.
pub(super) const INDEX_BITS: u32 = 40;
/// The index of a leaf in a place.
pub(super) const INDEX_MASK: i64 = (1 << INDEX_BITS) - 1;
/// The kind of the terms that are logs.
pub(super) const ORIGIN: &str = "origin";
/// Terms remembered; beyond that they are looked up again.
const MAX_TERMS: usize = 65_536;
const SCHEMA: &str = include_str!("day.sql");

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
    terms: HashMap<&'static str, HashMap<String, i64>>,
    known: usize,
}

impl Day {
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        Ok(Self {
            file: Writable::open(path, SCHEMA)?,
            terms: HashMap::new(),
            known: 0,
        })
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
        self.file.connection.execute_batch("BEGIN IMMEDIATE")?;
        let stored = self.all(origin, rows, next);
        let end = if stored.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.file.connection.execute_batch(end);
        if stored.is_err() || ended.is_err() {
            // Terms that were taken back are not known any more.
            self.terms.clear();
            self.known = 0;
        }
        stored.and(ended)
    }

    fn all(&mut self, origin: &str, rows: &[&Row], next: u64) -> rusqlite::Result<()> {
        let log = self.term(ORIGIN, origin)?;
        for row in rows {
            self.one(log, row)?;
        }
        self.file
            .connection
            .prepare_cached("INSERT INTO progress VALUES (?1, ?2) ON CONFLICT DO UPDATE SET next = max(next, ?2)")?
            .execute(params![origin, signed(next)])?;
        Ok(())
    }

    fn one(&mut self, log: i64, row: &Row) -> rusqlite::Result<()> {
        let place = log << INDEX_BITS | signed(row.index) & INDEX_MASK;
        let hlc = signed(row.hlc);
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
        ] = columns;
        let connection = &self.file.connection;
        let new = connection
            .prepare_cached(
                "INSERT OR IGNORE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                place,
                hlc,
                bytes(row.id),
                kind,
                task,
                agent,
                instance,
                user,
                actor,
                server,
                tool,
                row.value(Key::Effect).and_then(effect),
                row.value(Key::Decision).and_then(decision),
                code,
                lease,
                row.cause.map(bytes),
            ])?;
        if new == 0 {
            return Ok(());
        }
        for term in mentions {
            connection
                .prepare_cached("INSERT OR IGNORE INTO mention VALUES (?1, ?2, ?3)")?
                .execute([term, hlc, place])?;
        }
        for token in &row.tokens {
            connection
                .prepare_cached("INSERT OR IGNORE INTO resource VALUES (?1, ?2)")?
                .execute([token.0, place])?;
        }
        if !row.words.is_empty() {
            connection
                .prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?
                .execute(params![place, row.words.join(" ")])?;
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
            connection
                .prepare_cached("INSERT INTO term (kind, value) VALUES (?1, ?2)")?
                .execute([kind, value])?;
            connection.last_insert_rowid()
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
