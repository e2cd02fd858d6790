//! A peer: a table in `SQLite`, each event a transaction of its own, `synchronous=FULL` and a write-ahead log, as audit tables of
//! services are. One writer, because `SQLite` has one at a time.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use bailiwick_core::Clock;
use bailiwick_crypto::system::SystemClock;
use rusqlite::Connection;

pub(crate) struct PerEvent(Connection);

impl PerEvent {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE event (id INTEGER PRIMARY KEY, body BLOB NOT NULL);",
        )?;
        Ok(Self(connection))
    }

    /// Events of so many bytes per second, over a turn.
    pub(crate) fn rate(&mut self, turn: Duration, bytes: usize) -> Result<f64> {
        let body = vec![0xa5; bytes];
        let start = SystemClock.monotonic();
        let mut written = 0_u32;
        let mut took = Duration::ZERO;
        while took < turn {
            self.0
                .prepare_cached("INSERT INTO event (body) VALUES (?1)")?
                .execute([&body])?;
            written += 1;
            took = SystemClock.monotonic().saturating_sub(start);
        }
        Ok(f64::from(written) / took.as_secs_f64())
    }
}
