//! The baseline: the same rows as text in one table without an index, as a first attempt would store them.

use std::path::Path;

use anyhow::Result;
use bailiwick_core::index::{Key, Row};
use rusqlite::{Connection, params};

const SCHEMA: &str = "CREATE TABLE event (place INTEGER PRIMARY KEY, hlc INTEGER, id BLOB, type TEXT, task TEXT, agent TEXT, instance TEXT, \
    user TEXT, server TEXT, tool TEXT, effect TEXT, decision TEXT, cause BLOB) STRICT";
const INSERT: &str =
    "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

pub(crate) struct Bare(Connection);

impl Bare {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }

    pub(crate) fn put(&mut self, rows: &[Row]) -> Result<()> {
        let transaction = self.0.transaction()?;
        let mut insert = transaction.prepare_cached(INSERT)?;
        for row in rows {
            insert.execute(params![
                i64::try_from(row.index)?,
                i64::try_from(row.hlc)?,
                row.id.bits().to_be_bytes(),
                row.kind.as_str(),
                row.value(Key::Task),
                row.value(Key::Agent),
                row.value(Key::Instance),
                row.value(Key::User),
                row.value(Key::Server),
                row.value(Key::Tool),
                row.value(Key::Effect),
                row.value(Key::Decision),
                row.cause.map(|cause| cause.bits().to_be_bytes()),
            ])?;
        }
        drop(insert);
        transaction.commit()?;
        Ok(())
    }
}
