//! What is known of the files of the index: which days there are, how far each is, and which were found to be as they were stored.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bailiwick_core::Secret;
use bailiwick_core::index::{IndexError, Row};

use super::catalog::{self, Catalog};
use super::day::Day;
use super::file::{self, Stamp, unavailable};

/// Days open for writing: events at midnight belong to two.
const MAX_OPEN: usize = 2;

/// What a day has of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first leaf of this day.
    pub(super) first: u64,
    /// Behind the last.
    pub(super) last: u64,
    /// Leaves below it are in the file, as far as they are of this day.
    pub(super) next: u64,
}

impl Extent {
    /// What is not in the file.
    pub(super) fn missing(self) -> Option<Range<u64>> {
        (self.next < self.last).then(|| self.next.max(self.first)..self.last)
    }
}

/// The files as far as they are known.
pub(super) struct State {
    dir: PathBuf,
    key: Secret<[u8; 32]>,
    pub(super) catalog: Catalog,
    /// How far each log is: leaves below it have been looked at.
    pub(super) next: BTreeMap<String, u64>,
    /// What each day has of each log.
    pub(super) days: BTreeMap<String, BTreeMap<String, Extent>>,
    /// Days before it are gone for good.
    pub(super) pruned: String,
    open: Vec<(String, Day)>,
    /// Files that were found to be as they were stored, and what they looked like then.
    checked: BTreeMap<String, Stamp>,
}

impl State {
    /// Reads what there is. Days that the catalog does not know are thrown away: without it nobody knows how far they are.
    pub(super) fn load(dir: &Path, key: &Secret<[u8; 32]>) -> Result<Self, IndexError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(dir);
        made.map_err(|error| unavailable(dir, &error))?;
        let mut catalog = Catalog::open(dir, key)?;
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
            dir: dir.to_owned(),
            key: key.clone(),
            next: catalog.next()?,
            pruned: catalog.pruned()?,
            catalog,
            days,
            open: Vec::new(),
            checked: BTreeMap::new(),
        })
    }

    /// Looks at everything anew.
    pub(super) fn reload(&mut self) -> Result<(), IndexError> {
        self.open.clear();
        self.catalog.close();
        *self = Self::load(&self.dir, &self.key)?;
        Ok(())
    }

    pub(super) fn path(&self, day: &str) -> PathBuf {
        self.dir.join(format!("{day}.db"))
    }

    /// What is missing of a log, and behind it what was never read.
    pub(super) fn gaps(&mut self, origin: &str) -> Vec<Range<u64>> {
        let days = self.days.keys();
        let lost: Vec<String> = days
            .filter(|day| !self.path(day).exists())
            .cloned()
            .collect();
        for day in lost {
            self.lose(&day);
        }
        let extents = self.days.values().filter_map(|logs| logs.get(origin));
        let mut gaps: Vec<Range<u64>> = extents.filter_map(|extent| extent.missing()).collect();
        gaps.sort_by_key(|gap| gap.start);
        let end = self.next.get(origin).copied().unwrap_or(0);
        gaps.push(end..u64::MAX);
        gaps
    }

    /// Gaps, and what is in files that were not checked: seen at one moment, since a check may make a gap.
    pub(super) fn unknown(&mut self, origin: &str) -> Vec<Range<u64>> {
        let mut unknown = self.gaps(origin);
        let extents = self.days.iter();
        let extents = extents.filter_map(|(day, logs)| Some((day.clone(), *logs.get(origin)?)));
        for (day, extent) in extents.collect::<Vec<_>>() {
            if !self.is_checked(&day) {
                unknown.push(extent.first..extent.last);
            }
        }
        united(unknown)
    }

    /// The file of a day is gone, or will be.
    pub(super) fn lose(&mut self, day: &str) {
        self.open.retain(|(open, _)| open != day);
        self.checked.remove(day);
        let logs = self.days.get_mut(day);
        for extent in logs.into_iter().flat_map(BTreeMap::values_mut) {
            extent.next = 0;
        }
    }

    /// Closes and forgets the days before one.
    pub(super) fn forget_before(&mut self, before: &str) -> Vec<String> {
        let days = self.days.keys();
        let gone: Vec<String> = days
            .take_while(|day| day.as_str() < before)
            .cloned()
            .collect();
        self.open.retain(|(day, _)| day.as_str() >= before);
        for day in &gone {
            self.days.remove(day);
            self.checked.remove(day);
        }
        before.clone_into(&mut self.pruned);
        gone
    }

    /// Closes everything.
    pub(super) fn close(&mut self) {
        self.open.clear();
        self.catalog.close();
    }

    /// Whether the file of a day is as it was stored, as far as that was looked at.
    pub(super) fn is_checked(&mut self, day: &str) -> bool {
        if let Some(at) = self.open.iter().position(|(open, _)| open == day) {
            if self.open.get(at).is_some_and(|(_, day)| day.file.is_ours()) {
                return true;
            }
            self.open.remove(at);
        }
        let stamp = Stamp::of(&self.path(day));
        stamp.is_some() && stamp == self.checked.get(day).copied()
    }

    /// The file was as it was stored when it looked like this.
    pub(super) fn set_checked(&mut self, day: &str, stamp: Stamp) {
        self.checked.insert(day.to_owned(), stamp);
    }

    /// The newest day whose file is there and was not checked.
    pub(super) fn unchecked(&mut self) -> Option<String> {
        let days: Vec<String> = self.days.keys().rev().cloned().collect();
        days.into_iter()
            .find(|day| self.path(day).exists() && !self.is_checked(day))
    }

    /// The file of a day, opened or made. Where it is another one than before, the day begins anew.
    pub(super) fn writable(&mut self, day: &str) -> Result<&mut Day, IndexError> {
        let path = self.path(day);
        let at = self.open.iter().position(|(open, _)| open == day);
        let kept = at.map(|at| self.open.remove(at));
        let entry = match kept {
            Some(kept) if kept.1.file.is_ours() => kept,
            kept => {
                // Closed first: a connection takes its write-ahead log with it by name.
                if kept.is_some() {
                    drop(kept);
                    self.lose(day);
                }
                let file = Day::open(&path, day, &self.key)?;
                if let Some(logs) = self.days.get_mut(day) {
                    for (origin, extent) in logs {
                        let next = Day::next(&file.file.connection, origin);
                        extent.next = next.unwrap_or(0);
                    }
                }
                (day.to_owned(), file)
            }
        };
        while self.open.len() >= MAX_OPEN {
            let Some((closed, file)) = self.open.pop() else {
                break;
            };
            let ours = file.file.is_ours();
            drop(file);
            if let Some(stamp) = Stamp::of(&self.path(&closed)).filter(|_| ours) {
                self.checked.insert(closed, stamp);
            }
        }
        self.open.insert(0, entry);
        match self.open.first_mut() {
            Some((_, file)) => Ok(file),
            None => Err(unavailable(&path, &"it was closed")),
        }
    }

    /// Says that leaves were looked at, once they are stored.
    pub(super) fn record(
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

/// Ranges in order, those that touch made one.
fn united(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut united: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match united.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => united.push(range),
        }
    }
    united
}
