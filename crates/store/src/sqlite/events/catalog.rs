//! The catalog: which days there are, how far each log is, and on which days somebody was seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use bailiwick_core::Secret;
use bailiwick_core::index::{IndexError, Key, Row};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::day::signed;
use super::file::{self, Writable, unavailable};
use super::state::Extent;
use super::tally::{Table, Tally};

/// Name of its file, without `.db`.
pub(super) const NAME: &str = "catalog";
/// Whose days it knows. Resources are not among them: they are dropped from the days, and nowhere else.
pub(super) const KEYS: [Key; 5] = [Key::Task, Key::Agent, Key::Instance, Key::User, Key::Lease];
/// Entries known to be there; beyond that they are written again, which changes nothing.
const MAX_SEEN: usize = 65_536;
const SCHEMA: &str = include_str!("catalog.sql");

const LOG: Table = Table {
    name: "log",
    insert: "INSERT OR IGNORE INTO log VALUES (?1, ?2)",
};
const DAY: Table = Table {
    name: "day",
    insert: "INSERT OR IGNORE INTO day VALUES (?1, ?2, ?3, ?4)",
};
const SEEN: Table = Table {
    name: "seen",
    insert: "INSERT OR IGNORE INTO seen VALUES (?1, ?2, ?3)",
};
const PRUNED: Table = Table {
    name: "pruned",
    insert: "INSERT OR IGNORE INTO pruned VALUES (?1)",
};
/// What is added up.
const TABLES: [Table; 4] = [LOG, DAY, SEEN, PRUNED];

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(format!("{NAME}.db"))
}

/// The catalog, open for writing.
pub(super) struct Catalog {
    path: PathBuf,
    open: Option<(Writable, Tally)>,
    /// Entries known to be there.
    seen: HashSet<(Key, String, String)>,
}

impl Catalog {
    /// Opens it, or makes an empty one: where there is none, or it is not as it was stored.
    pub(super) fn open(dir: &Path, key: &Secret<[u8; 32]>) -> Result<Self, IndexError> {
        let path = path(dir);
        let mut open = None;
        if path.exists() {
            let file = Writable::open(&path, SCHEMA)?;
            match Tally::of(&file.connection, key, NAME, &TABLES) {
                Ok(Some(tally)) => open = Some((file, tally)),
                Err(error) if !file::is_damage(&error) => return Err(unavailable(&path, &error)),
                Ok(None) | Err(_) => {
                    tracing::warn!(
                        "the catalog of the index is not as it was stored: the index is made again"
                    );
                    drop(file);
                    file::remove(&path)?;
                }
            }
        }
        let open = match open {
            Some(open) => open,
            None => (Writable::open(&path, SCHEMA)?, Tally::new(key)),
        };
        Ok(Self {
            path,
            open: Some(open),
            seen: HashSet::new(),
        })
    }

    /// Closes it, so that its file can go.
    pub(super) fn close(&mut self) {
        self.open = None;
        self.seen.clear();
    }

    /// Whether its file is still there, and nobody else has written to it.
    pub(super) fn is_ours(&self) -> bool {
        self.open.as_ref().is_some_and(|(file, _)| file.is_ours())
    }

    fn read<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        self.run(|connection, _| work(connection))
    }

    /// All of it, with what the rows add up to then, or nothing.
    fn write(
        &mut self,
        work: impl FnOnce(&Connection, &mut Tally) -> rusqlite::Result<()>,
    ) -> Result<(), IndexError> {
        self.run(|connection, tally| {
            let before = tally.sum();
            let transaction = connection.unchecked_transaction()?;
            let done = work(&transaction, tally)
                .and_then(|()| tally.store(&transaction, NAME))
                .and_then(|()| transaction.commit());
            if done.is_err() {
                tally.back_to(before);
            }
            done
        })
    }

    fn run<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Tally) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        let Some((file, tally)) = &mut self.open else {
            return Err(unavailable(&self.path, &"it was closed"));
        };
        work(&file.connection, tally).map_err(|error| {
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
        self.read(|connection| {
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
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT origin, next FROM log")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
            rows.collect()
        })
    }

    /// Days before it are gone for good.
    pub(super) fn pruned(&mut self) -> Result<String, IndexError> {
        self.read(|connection| {
            let newest = connection.query_row("SELECT max(before) FROM pruned", [], |row| {
                row.get::<_, Option<String>>(0)
            });
            Ok(newest.optional()?.flatten().unwrap_or_default())
        })
    }

    /// Days on which somebody was seen.
    pub(super) fn seen(&mut self, key: Key, value: &str) -> Result<BTreeSet<String>, IndexError> {
        self.read(|connection| {
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
        self.write(|connection, tally| {
            let origin = text(origin);
            for (day, extent) in extents {
                let day = text(day);
                tally.delete(connection, &DAY, "day = ?1 AND origin = ?2", &[day, origin])?;
                let row = [day, origin, number(extent.first), number(extent.last)];
                tally.insert(connection, &DAY, &row)?;
            }
            for (key, value, day) in &new {
                let row = [text(key.as_str()), text(value), text(day)];
                tally.insert(connection, &SEEN, &row)?;
            }
            tally.delete(connection, &LOG, "origin = ?1", &[origin])?;
            tally.insert(connection, &LOG, &[origin, number(next)])?;
            Ok(())
        })?;
        if self.seen.len() + new.len() > MAX_SEEN {
            self.seen.clear();
        }
        self.seen.extend(new);
        Ok(())
    }

    /// Forgets days.
    pub(super) fn prune(&mut self, before: &str) -> Result<(), IndexError> {
        self.write(|connection, tally| {
            let until = text(before);
            tally.delete(connection, &DAY, "day < ?1", &[until])?;
            tally.delete(connection, &SEEN, "day < ?1", &[until])?;
            tally.insert(connection, &PRUNED, &[until])?;
            Ok(())
        })?;
        self.seen.retain(|(_, _, day)| day.as_str() >= before);
        Ok(())
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn number(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(signed(number))
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}
