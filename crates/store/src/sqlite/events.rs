//! The index of the record in SQLite: a file for each UTC day, and a catalog of them. Days are written one after the other and each says
//! for itself how far it is, so that a stop or a lost file is seen as a gap and made good from the log. Each adds up to what was stored, so
//! that a row which somebody else altered or took away is found before anything is answered from its file.

mod catalog;
mod day;
mod file;
mod query;
mod state;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_core::Secret;
use bailiwick_core::id::EventId;
use bailiwick_core::index::{
    Conditions, Cursor, Found, Hit, IndexError, Key, MAX_FOUND, Row, day_of,
};

use day::Day;
use file::{Stamp, is_damage, unavailable};
use query::OfLog;
use state::{Extent, State};

/// Ids that one statement asks for.
const CHUNK: usize = 500;

/// All days.
pub(crate) struct Days {
    dir: PathBuf,
    key: Secret<[u8; 32]>,
    state: Mutex<State>,
}

impl Days {
    pub(crate) fn open(dir: &Path, key: Secret<[u8; 32]>) -> Result<Self, IndexError> {
        let state = State::load(dir, &key)?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
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

    pub(crate) fn places(
        &self,
        origin: &str,
        conditions: &Conditions,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, IndexError> {
        let mut found = BTreeSet::new();
        for day in self.candidates(conditions, None)? {
            let room = limit.saturating_sub(found.len());
            if room == 0 {
                break;
            }
            let Some(connection) = self.day_to_read(&day)? else {
                continue;
            };
            let of = OfLog { origin, from };
            let places = query::places(&connection, conditions, of, room);
            found.extend(places.map_err(|error| self.failed(&day, &error))?);
        }
        Ok(found.into_iter().collect())
    }

    /// An event that another set off was recorded on the day of that one or later.
    pub(crate) fn linked(&self, origin: &str, events: &[EventId]) -> Result<Vec<u64>, IndexError> {
        let mut found = BTreeSet::new();
        let Some(first) = events.iter().map(|event| drawn(*event)).min() else {
            return Ok(Vec::new());
        };
        for day in self.checked_days(|day| *day >= first)? {
            let Some(connection) = self.day_to_read(&day)? else {
                continue;
            };
            for events in events.chunks(CHUNK) {
                let places = query::linked(&connection, origin, events);
                found.extend(places.map_err(|error| self.failed(&day, &error))?);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// An id says when it was drawn; the event was recorded then or a little later. Who takes the event from its place finds out whether it
    /// is the right one, so this does not wait for a check.
    pub(crate) fn find(&self, event: EventId) -> Result<Option<Hit>, IndexError> {
        let conditions = Conditions::default().and(Key::Id, &event.to_string());
        let Ok(conditions) = conditions else {
            return Ok(None);
        };
        let drawn = drawn(event);
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
        Ok(self.fresh()?.gaps(origin))
    }

    pub(crate) fn unknown(&self, origin: &str) -> Result<Vec<Range<u64>>, IndexError> {
        Ok(self.fresh()?.unknown(origin))
    }

    /// Reads the file without holding anybody up: what was written meanwhile makes it another file, which is checked the next time.
    pub(crate) fn check(&self) -> Result<bool, IndexError> {
        let mut state = self.fresh()?;
        let Some(day) = state.unchecked() else {
            return Ok(false);
        };
        if state.days.keys().next_back() == Some(&day) {
            // It is written next, and checked when it is opened for that.
            state.writable(&day)?;
            return Ok(true);
        }
        drop(state);
        let Some(stamp) = Stamp::of(&self.path(&day)) else {
            return Ok(true);
        };
        // What is no database of ours does not add up either.
        let connection = self.day_to_read(&day)?;
        let adds_up = connection.map_or(Ok(false), |connection| {
            Day::adds_up(&connection, &day, &self.key)
        });
        match adds_up {
            Ok(true) => self.state().set_checked(&day, stamp),
            Ok(false) => {
                tracing::warn!(
                    day,
                    "the index of this day is not as it was stored, and is made again"
                );
                let mut state = self.state();
                // Somebody may have begun it anew since.
                if !state.is_checked(&day) {
                    state.lose(&day);
                    file::remove(&self.path(&day))?;
                }
            }
            Err(error) => match self.failed(&day, &error) {
                IndexError::Damaged { .. } => {}
                error @ IndexError::Unavailable(_) => return Err(error),
            },
        }
        Ok(true)
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
            let file = state.writable(day)?;
            if let Err(error) = file.put(origin, rows, range.end) {
                return Err(self.failed_in(&mut state, day, &error));
            }
        }
        state.record(origin, &range, &by_day)
    }

    pub(crate) fn prune(&self, before: &str) -> Result<(), IndexError> {
        let mut state = self.fresh()?;
        if before <= state.pruned.as_str() {
            return Ok(());
        }
        state.catalog.prune(before)?;
        for day in state.forget_before(before) {
            file::remove(&self.path(&day))?;
        }
        Ok(())
    }

    pub(crate) fn clear(&self) -> Result<(), IndexError> {
        let mut state = self.state();
        state.close();
        for day in state.days.keys() {
            file::remove(&self.path(day))?;
        }
        file::remove(&catalog::path(&self.dir))?;
        state.reload()
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
            let leaves = query::with_tokens(&connection, OfLog { origin, from }, limit);
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
            if !self.path(&day).exists() {
                continue;
            }
            let file = state.writable(&day)?;
            if let Err(error) = file.forget(origin, leaves) {
                return Err(self.failed_in(&mut state, &day, &error));
            }
        }
        Ok(())
    }

    /// Days on which what is asked for can be and that are as they were stored, in order.
    fn candidates(
        &self,
        conditions: &Conditions,
        after: Option<&Cursor>,
    ) -> Result<Vec<String>, IndexError> {
        let (since, until) = conditions.millis();
        let hlc = |millis: i64| u64::try_from(millis).unwrap_or(0).saturating_mul(1 << 16);
        let since = hlc(since).max(after.map_or(0, |cursor| cursor.hlc));
        let (first, last) = (day_of(since), day_of(hlc(until)));
        let mut days = self.checked_days(|day| first <= *day && *day <= last)?;
        let mut state = self.fresh()?;
        for (key, value) in conditions.values() {
            if catalog::KEYS.contains(&key) {
                let seen = state.catalog.seen(key, value)?;
                days.retain(|day| seen.contains(day));
            }
        }
        Ok(days)
    }

    fn checked_days(&self, wanted: impl Fn(&String) -> bool) -> Result<Vec<String>, IndexError> {
        let mut state = self.fresh()?;
        let mut days: Vec<String> = state
            .days
            .keys()
            .filter(|day| wanted(day))
            .cloned()
            .collect();
        days.retain(|day| state.is_checked(day));
        Ok(days)
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

    /// What there is, looked at anew where the catalog is gone or somebody else wrote to it: without it nobody knows what the days hold.
    fn fresh(&self) -> Result<MutexGuard<'_, State>, IndexError> {
        let mut state = self.state();
        if !state.catalog.is_ours() {
            state.reload()?;
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked had a transaction open, which is rolled back; memory is changed only behind a commit.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The day on which an id was drawn.
fn drawn(event: EventId) -> String {
    let millis = u64::try_from(event.created_at().as_millis()).unwrap_or(0);
    day_of(millis.saturating_mul(1 << 16))
}

#[cfg(test)]
mod tests;
