//! The catalog: which days there are, how far each log is, and on which days somebody was seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use bailiwick_core::index::{IndexError, Key, Row};
use rusqlite::{Connection, OptionalExtension, params};

use super::Extent;
use super::day::signed;
use super::file::{self, Writable, unavailable};

/// Name of its file, without `.db`.
pub(super) const NAME: &str = "catalog";
/// Whose days it knows. Resources are not among them: they are dropped from the days, and nowhere else.
pub(super) const KEYS: [Key; 5] = [Key::Task, Key::Agent, Key::Instance, Key::User, Key::Lease];
/// Entries known to be there; beyond that they are written again, which changes nothing.
const MAX_SEEN: usize = 65_536;
const SCHEMA: &str = include_str!("catalog.sql");

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(format!("{NAME}.db"))
}

/// The catalog, open for writing.
pub(super) struct Catalog {
    path: PathBuf,
    file: Option<Writable>,
    /// Entries known to be there.
    seen: HashSet<(Key, String, String)>,
}

impl Catalog {
    /// Opens it, or makes an empty one.
    pub(super) fn open(dir: &Path) -> Result<Self, IndexError> {
        let path = path(dir);
        Ok(Self {
            file: Some(Writable::open(&path, SCHEMA)?),
            path,
            seen: HashSet::new(),
        })
    }

    /// Closes it, so that its file can go.
    pub(super) fn close(&mut self) {
        self.file = None;
        self.seen.clear();
    }

    /// Whether its file is still there.
    pub(super) fn is_there(&self) -> bool {
        self.file.as_ref().is_some_and(Writable::is_there)
    }

    fn run<T>(
        &mut self,
        work: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        let Some(file) = &self.file else {
            return Err(unavailable(&self.path, &"it was closed"));
        };
        work(&file.connection).map_err(|error| {
            let failure = unavailable(&self.path, &error);
            if !file::is_damage(&error) {
                return failure;
            }
            self.close();
            // A new one knows no days, so all of it is made again.
            file::remove(&self.path).err().unwrap_or(failure)
        })
    }

    /// What each day has of each log; how far its file is, is not known here.
    pub(super) fn days(
        &mut self,
    ) -> Result<BTreeMap<String, BTreeMap<String, Extent>>, IndexError> {
        self.run(|connection| {
            let mut days: BTreeMap<String, BTreeMap<String, Extent>> = BTreeMap::new();
            let mut statement = connection.prepare("SELECT day, origin, first, last FROM day")?;
            let rows = statement.query_map([], |row| {
                let extent = Extent {
                    first: unsigned(row.get(2)?),
                    last: unsigned(row.get(3)?),
                    next: 0,
                };
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, extent))
            })?;
            for row in rows {
                let (day, origin, extent) = row?;
                days.entry(day).or_default().insert(origin, extent);
            }
            Ok(days)
        })
    }

    /// How far each log is.
    pub(super) fn next(&mut self) -> Result<BTreeMap<String, u64>, IndexError> {
        self.run(|connection| {
            let mut statement = connection.prepare("SELECT origin, next FROM log")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
            rows.collect()
        })
    }

    /// Days before it are gone for good.
    pub(super) fn pruned(&mut self) -> Result<String, IndexError> {
        self.run(|connection| {
            let newest = connection.query_row("SELECT max(before) FROM pruned", [], |row| {
                row.get::<_, Option<String>>(0)
            });
            Ok(newest.optional()?.flatten().unwrap_or_default())
        })
    }

    /// Days on which somebody was seen.
    pub(super) fn seen(&mut self, key: Key, value: &str) -> Result<BTreeSet<String>, IndexError> {
        self.run(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT day FROM seen WHERE kind = ?1 AND value = ?2")?;
            let days = statement.query_map([key.as_str(), value], |row| row.get(0))?;
            days.collect()
        })
    }

    /// How far a log and its days are, and who was seen on them, in one transaction.
    pub(super) fn record(
        &mut self,
        origin: &str,
        next: u64,
        extents: &[(String, Extent)],
        by_day: &BTreeMap<String, Vec<&Row>>,
    ) -> Result<(), IndexError> {
        let mut new = HashSet::new();
        for (day, rows) in by_day {
            for (key, value) in rows.iter().flat_map(|row| &row.values) {
                if KEYS.contains(key) {
                    let entry = (*key, value.clone(), day.clone());
                    if !self.seen.contains(&entry) {
                        new.insert(entry);
                    }
                }
            }
        }
        self.run(|connection| {
            let transaction = connection.unchecked_transaction()?;
            for (day, extent) in extents {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO day VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![
                        day,
                        origin,
                        signed(extent.first),
                        signed(extent.last)
                    ])?;
            }
            for (key, value, day) in &new {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO seen VALUES (?1, ?2, ?3)")?
                    .execute([key.as_str(), value, day])?;
            }
            transaction
                .prepare_cached("INSERT OR REPLACE INTO log VALUES (?1, ?2)")?
                .execute(params![origin, signed(next)])?;
            transaction.commit()
        })?;
        if self.seen.len() + new.len() > MAX_SEEN {
            self.seen.clear();
        }
        self.seen.extend(new);
        Ok(())
    }

    /// Forgets days.
    pub(super) fn prune(&mut self, before: &str) -> Result<(), IndexError> {
        self.run(|connection| {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute("DELETE FROM day WHERE day < ?1", [before])?;
            transaction.execute("DELETE FROM seen WHERE day < ?1", [before])?;
            transaction.execute("INSERT OR IGNORE INTO pruned VALUES (?1)", [before])?;
            transaction.commit()
        })?;
        self.seen.retain(|(_, _, day)| day.as_str() >= before);
        Ok(())
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
