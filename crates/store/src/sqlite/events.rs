//! The index of the record in SQLite: a file for each UTC day, and a catalog of them. Days are written one after the other and each says
//! for itself how far it is, so that a stop or a lost file is seen as a gap and made good from the log.

mod catalog;
mod day;
mod file;
mod query;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_core::id::EventId;
use bailiwick_core::index::{
    Conditions, Cursor, Found, Hit, IndexError, Key, MAX_FOUND, Row, day_of,
};

use catalog::Catalog;
use day::{Day, INDEX_BITS, INDEX_MASK, ORIGIN, signed};
use file::{is_damage, unavailable};

/// Days open for writing: events at midnight belong to two.
const MAX_OPEN: usize = 2;
/// Leaves that one statement forgets.
const CHUNK: usize = 500;

/// All days.
pub(crate) struct Days {
    dir: PathBuf,
    state: Mutex<State>,
}

struct State {
    catalog: Catalog,
    /// How far each log is: leaves below it have been looked at.
    next: BTreeMap<String, u64>,
    /// What each day has of each log.
    days: BTreeMap<String, BTreeMap<String, Extent>>,
    /// Days before it are gone for good.
    pruned: String,
    open: Vec<(String, Day)>,
}

/// What a day has of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// The first leaf of this day.
    first: u64,
    /// Behind the last.
    last: u64,
    /// Leaves below it are in the file, as far as they are of this day.
    next: u64,
}

impl Extent {
    fn missing(self) -> Option<Range<u64>> {
        (self.next < self.last).then(|| self.next.max(self.first)..self.last)
    }
}

impl Days {
    pub(crate) fn open(dir: &Path) -> Result<Self, IndexError> {
        let state = State::load(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn search(
        &self,
        conditions: &Conditions,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Found, IndexError> {
        let limit = limit.min(MAX_FOUND);
        let mut found = Found::default();
        for day in self.candidates(conditions, after)? {
            let Some(connection) = self.day_to_read(&day)? else {
                continue;
            };
            let room = limit.saturating_sub(found.hits.len()) + 1;
            match query::search(&connection, conditions, after, room) {
                Ok(hits) => found.hits.extend(hits),
                Err(error) => return Err(self.failed(&day, &error)),
            }
            if found.hits.len() > limit {
                found.hits.truncate(limit);
                found.more = true;
                break;
            }
        }
        Ok(found)
    }

    /// An id says when it was drawn; the event was recorded then or a little later.
    pub(crate) fn find(&self, event: EventId) -> Result<Option<Hit>, IndexError> {
        let conditions = Conditions::default().and(Key::Id, &event.to_string());
        let Ok(conditions) = conditions else {
            return Ok(None);
        };
        let millis = u64::try_from(event.created_at().as_millis()).unwrap_or(0);
        let drawn = day_of(millis.saturating_mul(1 << 16));
        let all: Vec<String> = self.fresh()?.days.keys().cloned().collect();
        let (before, from): (Vec<_>, Vec<_>) = all.into_iter().partition(|day| *day < drawn);
        for day in from.into_iter().chain(before.into_iter().rev()) {
            let Some(connection) = self.day_to_read(&day)? else {
                continue;
            };
            let hits = query::search(&connection, &conditions, None, 1);
            let hits = hits.map_err(|error| self.failed(&day, &error))?;
            if let Some(hit) = hits.into_iter().next() {
                return Ok(Some(hit));
            }
        }
        Ok(None)
    }

    pub(crate) fn gaps(&self, origin: &str) -> Result<Vec<Range<u64>>, IndexError> {
        let mut state = self.fresh()?;
        let lost: Vec<String> = state
            .days
            .keys()
            .filter(|day| !self.path(day).exists())
            .cloned()
            .collect();
        for day in lost {
            state.lose(&day);
        }
        let extents = state.days.values().filter_map(|logs| logs.get(origin));
        let mut gaps: Vec<Range<u64>> = extents.filter_map(|extent| extent.missing()).collect();
        gaps.sort_by_key(|gap| gap.start);
        let end = state.next.get(origin).copied().unwrap_or(0);
        gaps.push(end..u64::MAX);
        Ok(gaps)
    }

    pub(crate) fn put(
        &self,
        origin: &str,
        range: Range<u64>,
        rows: &[Row],
    ) -> Result<(), IndexError> {
        let mut state = self.fresh()?;
        let mut by_day: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            let day = row.day();
            if day >= state.pruned {
                by_day.entry(day).or_default().push(row);
            }
        }
        // A day that is being made good goes on though none of its events is among these.
        for (day, logs) in &state.days {
            let missing = logs.get(origin).and_then(|extent| extent.missing());
            if missing.is_some_and(|missing| range.contains(&missing.start)) {
                by_day.entry(day.clone()).or_default();
            }
        }
        for (day, rows) in &by_day {
            let path = self.path(day);
            let file = state.writable(day, &path)?;
            if let Err(error) = file.put(origin, rows, range.end) {
                return Err(self.failed_in(&mut state, day, &error));
            }
        }
        state.record(origin, &range, &by_day)
    }

    pub(crate) fn prune(&self, before: &str) -> Result<(), IndexError> {
        let mut state = self.fresh()?;
        state.catalog.prune(before)?;
        let gone: Vec<String> = state
            .days
            .keys()
            .take_while(|day| day.as_str() < before)
            .cloned()
            .collect();
        state.open.retain(|(day, _)| day.as_str() >= before);
        for day in gone {
            file::remove(&self.path(&day))?;
            state.days.remove(&day);
        }
        before.clone_into(&mut state.pruned);
        Ok(())
    }

    pub(crate) fn clear(&self) -> Result<(), IndexError> {
        let mut state = self.state();
        state.open.clear();
        for day in state.days.keys() {
            file::remove(&self.path(day))?;
        }
        state.catalog.close();
        file::remove(&catalog::path(&self.dir))?;
        *state = State::load(&self.dir)?;
        Ok(())
    }

    pub(crate) fn with_tokens(
        &self,
        origin: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, IndexError> {
        let mut found = BTreeSet::new();
        for day in self.days_of(origin, |extent| extent.last > from) {
            let Some(connection) = self.day_to_read(&day)? else {
                continue;
            };
            let leaves = tokens_of(&connection, origin, from, limit);
            found.extend(leaves.map_err(|error| self.failed(&day, &error))?);
        }
        Ok(found.into_iter().take(limit).collect())
    }

    pub(crate) fn forget(&self, origin: &str, leaves: &[u64]) -> Result<(), IndexError> {
        let concerned = |extent: Extent| {
            leaves
                .iter()
                .any(|leaf| (extent.first..extent.last).contains(leaf))
        };
        for day in self.days_of(origin, concerned) {
            let mut state = self.state();
            let path = self.path(&day);
            if !path.exists() {
                continue;
            }
            let file = state.writable(&day, &path)?;
            let forgotten = forget_in(&file.file.connection, origin, leaves);
            if let Err(error) = forgotten {
                return Err(self.failed_in(&mut state, &day, &error));
            }
        }
        Ok(())
    }

    /// Days on which what is asked for can be, in order.
    fn candidates(
        &self,
        conditions: &Conditions,
        after: Option<&Cursor>,
    ) -> Result<Vec<String>, IndexError> {
        let (since, until) = conditions.millis();
        let hlc = |millis: i64| u64::try_from(millis).unwrap_or(0).saturating_mul(1 << 16);
        let since = hlc(since).max(after.map_or(0, |cursor| cursor.hlc));
        let (first, last) = (day_of(since), day_of(hlc(until)));
        let mut state = self.fresh()?;
        let mut days: BTreeSet<String> = state
            .days
            .keys()
            .filter(|day| first <= **day && **day <= last)
            .cloned()
            .collect();
        for (key, value) in conditions.values() {
            if catalog::KEYS.contains(&key) {
                let seen = state.catalog.seen(key, value)?;
                days.retain(|day| seen.contains(day));
            }
        }
        Ok(days.into_iter().collect())
    }

    /// Opens a day; none if its file is gone or is no good, which makes it a gap.
    fn day_to_read(&self, day: &str) -> Result<Option<rusqlite::Connection>, IndexError> {
        let opened = file::read(&self.path(day))?;
        if opened.is_none() {
            self.state().lose(day);
        }
        Ok(opened)
    }

    fn days_of(&self, origin: &str, wanted: impl Fn(Extent) -> bool) -> Vec<String> {
        let state = self.state();
        let days = state.days.iter();
        let days = days.filter(|(_, logs)| logs.get(origin).is_some_and(|extent| wanted(*extent)));
        days.map(|(day, _)| day.clone()).collect()
    }

    fn failed(&self, day: &str, error: &rusqlite::Error) -> IndexError {
        self.failed_in(&mut self.state(), day, error)
    }

    /// What an error of SQLite means. A damaged file goes: it is a gap then.
    fn failed_in(&self, state: &mut State, day: &str, error: &rusqlite::Error) -> IndexError {
        let path = self.path(day);
        if !is_damage(error) {
            return unavailable(&path, error);
        }
        state.lose(day);
        let why = match file::remove(&path) {
            Ok(()) => error.to_string(),
            Err(removing) => format!("{error}; {removing}"),
        };
        IndexError::Damaged {
            day: day.to_owned(),
            why,
        }
    }

    fn path(&self, day: &str) -> PathBuf {
        self.dir.join(format!("{day}.db"))
    }

    /// What there is, looked at anew where the catalog is gone: without it nobody knows what the days hold.
    fn fresh(&self) -> Result<MutexGuard<'_, State>, IndexError> {
        let mut state = self.state();
        if !state.catalog.is_there() {
            state.open.clear();
            state.catalog.close();
            *state = State::load(&self.dir)?;
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked had a transaction open, which is rolled back; memory is changed only behind a commit.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads what there is. Days that the catalog does not know are thrown away: without it nobody knows how far they are.
    fn load(dir: &Path) -> Result<Self, IndexError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(dir);
        made.map_err(|error| unavailable(dir, &error))?;
        let mut catalog = Catalog::open(dir)?;
        let mut days = catalog.days()?;
        let entries = fs::read_dir(dir).map_err(|error| unavailable(dir, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| unavailable(dir, &error))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let day = name.and_then(|name| name.strip_suffix(".db"));
            if day.is_some_and(|day| day != catalog::NAME && !days.contains_key(day)) {
                file::remove(&path)?;
            }
        }
        for (day, logs) in &mut days {
            let path = dir.join(format!("{day}.db"));
            let Some(connection) = file::read(&path)? else {
                continue;
            };
            for (origin, extent) in logs {
                let next = Day::next(&connection, origin);
                extent.next = next.unwrap_or(0);
            }
        }
        Ok(Self {
            next: catalog.next()?,
            pruned: catalog.pruned()?,
            catalog,
            days,
            open: Vec::new(),
        })
    }

    /// The file of a day is gone, or will be.
    fn lose(&mut self, day: &str) {
        self.open.retain(|(open, _)| open != day);
        for extent in self
            .days
            .get_mut(day)
            .into_iter()
            .flat_map(BTreeMap::values_mut)
        {
            extent.next = 0;
        }
    }

    /// The file of a day, opened or made. Where it is another one than before, the day begins anew.
    fn writable(&mut self, day: &str, path: &Path) -> Result<&mut Day, IndexError> {
        let at = self.open.iter().position(|(open, _)| open == day);
        let kept = at.map(|at| self.open.remove(at));
        let entry = match kept {
            Some(kept) if kept.1.file.is_there() => kept,
            kept => {
                // Closed first: a connection takes its write-ahead log with it by name.
                if kept.is_some() {
                    drop(kept);
                    self.lose(day);
                }
                let file = Day::open(path)?;
                if let Some(logs) = self.days.get_mut(day) {
                    for (origin, extent) in logs {
                        let next = Day::next(&file.file.connection, origin);
                        extent.next = next.unwrap_or(0);
                    }
                }
                (day.to_owned(), file)
            }
        };
        self.open.truncate(MAX_OPEN - 1);
        self.open.insert(0, entry);
        match self.open.first_mut() {
            Some((_, file)) => Ok(file),
            None => Err(unavailable(path, &"it was closed")),
        }
    }

    /// Says that leaves were looked at, once they are stored.
    fn record(
        &mut self,
        origin: &str,
        range: &Range<u64>,
        by_day: &BTreeMap<String, Vec<&Row>>,
    ) -> Result<(), IndexError> {
        let mut extents = Vec::new();
        for (day, rows) in by_day {
            let known = self
                .days
                .get(day)
                .and_then(|logs| logs.get(origin))
                .copied();
            let of_rows = rows.first().zip(rows.last()).map(|(first, last)| Extent {
                first: first.index,
                last: last.index + 1,
                next: 0,
            });
            let Some(mut extent) = known.or(of_rows) else {
                continue;
            };
            if let Some(rows) = of_rows {
                extent.first = extent.first.min(rows.first);
                extent.last = extent.last.max(rows.last);
            }
            // Only what goes on where the day ends brings it further; what is beyond leaves the gap as it is.
            if extent.next.max(extent.first) >= range.start {
                extent.next = extent.next.max(range.end);
            }
            extents.push((day.clone(), extent));
        }
        let known = self.next.get(origin).copied().unwrap_or(0);
        let next = if range.start <= known {
            known.max(range.end)
        } else {
            known
        };
        self.catalog.record(origin, next, &extents, by_day)?;
        self.next.insert(origin.to_owned(), next);
        for (day, extent) in extents {
            self.days
                .entry(day)
                .or_default()
                .insert(origin.to_owned(), extent);
        }
        Ok(())
    }
}

fn tokens_of(
    connection: &rusqlite::Connection,
    origin: &str,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<u64>> {
    let Some(log) = day::term(connection, ORIGIN, origin)? else {
        return Ok(Vec::new());
    };
    let (first, end) = (
        log << INDEX_BITS | signed(from) & INDEX_MASK,
        (log + 1) << INDEX_BITS,
    );
    let mut statement = connection.prepare(&format!(
        "SELECT DISTINCT place & {INDEX_MASK} FROM resource WHERE place >= {first} AND place < {end} ORDER BY place LIMIT {limit}"
    ))?;
    let leaves = statement.query_map([], |row| row.get::<_, i64>(0))?;
    leaves
        .map(|leaf| Ok(u64::try_from(leaf?).unwrap_or(0)))
        .collect()
}

/// Deletes tokens and writes the file anew without them: neither a freed page nor the write-ahead log has them any more.
fn forget_in(
    connection: &rusqlite::Connection,
    origin: &str,
    leaves: &[u64],
) -> rusqlite::Result<()> {
    let Some(log) = day::term(connection, ORIGIN, origin)? else {
        return Ok(());
    };
    let mut gone = 0;
    for leaves in leaves.chunks(CHUNK) {
        let places: Vec<_> = leaves
            .iter()
            .map(|leaf| (log << INDEX_BITS | signed(*leaf) & INDEX_MASK).to_string())
            .collect();
        let places = places.join(", ");
        gone += connection.execute(
            &format!("DELETE FROM resource WHERE place IN ({places})"),
            [],
        )?;
    }
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

#[cfg(test)]
mod tests;
