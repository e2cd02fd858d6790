//! What the open log does about values that stand in no leaf: reveals them once that is on record, and erases them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::{Code, Fault, Id};
use tokio::sync::oneshot;

use super::Log;
use crate::erase::{EraseError, Erased, Erasure, Job, Selector, select};
use crate::housekeeping::{Order, Work};
use crate::leaf::Leaf;
use crate::read::{Directory, Entries, Entry, Opener, ReadError};
use crate::record::{Class, RecordError, Recorder};
use crate::seal::{Keks, Revealed};

/// Longest basis or reason on record, in bytes.
const MAX_WORDS: usize = 400;

impl Log {
    /// The leaves whose values a selector would erase. Reads the whole log: call it where blocking is allowed.
    pub fn erasable(&self, selector: &Selector) -> Result<BTreeSet<u64>, EraseError> {
        select(self.read(0), selector, self.hold_from)
    }

    /// Erases keys and kept values. The event comes first; this resolves when nothing of them is left in the log's files.
    pub async fn erase(&self, erasure: Erasure) -> Result<Erased, EraseError> {
        let _one = self.erasing.try_lock().map_err(|_| EraseError::Busy)?;
        let size = self.size();
        let leaves = self.read(0);
        let (selector, hold_from) = (erasure.selector.clone(), self.hold_from);
        let selected = tokio::task::spawn_blocking(move || select(leaves, &selector, hold_from));
        let indexes = selected.await.map_err(|_| EraseError::Interrupted)??;
        let count = indexes.len();
        if count + erasure.besides == 0 {
            return Err(EraseError::Nothing);
        }
        let mut event = self.own_event(EventType::LogErased, &erasure.actor);
        event.change = Some(ChangeRef {
            kind: "erasure".into(),
            id: erasure.selector.digest().to_string(),
            before: None,
            after: Some(said(&erasure, count)),
        });
        if count == 0 {
            let receipt = self.record(event, Class::Narrow).await?;
            return Ok(Erased { count, receipt });
        }
        let job = Job {
            event: event.id,
            size,
            indexes,
        };
        job.write(&*self.disk, &self.dir)?;
        // The event's batch begins a segment, so that those with the values end before it and can go.
        self.roll.order();
        let receipt = match self.record(event, Class::Narrow).await {
            Ok(receipt) => receipt,
            Err(error) => {
                Job::remove(&*self.disk, &self.dir)?;
                return Err(error.into());
            }
        };
        let (done, waiting) = oneshot::channel();
        let done = Some(done);
        let work = Work::Erase(job);
        self.wake.order(Order { work, done });
        waiting.await.map_err(|_| EraseError::Interrupted)?;
        Ok(Erased { count, receipt })
    }

    /// Opens the kept values of an event, once it is on record who saw them and why.
    pub async fn reveal(
        &self,
        index: u64,
        actor: &str,
        reason: &str,
    ) -> Result<Vec<Revealed>, RevealLogError> {
        let directory = self.directory();
        let entry = directory.entry(index)?;
        let entry = entry.ok_or(ReadError::NoSuchIndex { index })?;
        let mut event = self.own_event(EventType::LogRevealed, actor);
        event.cause = Some(entry.parse()?.event.id);
        event.change = Some(ChangeRef {
            kind: "reveal".into(),
            id: index.to_string(),
            before: None,
            after: Some(clip(reason)),
        });
        self.record(event, Class::Grant).await?;
        Ok(directory.reveal(index, &self.encoder.keks.all())?)
    }

    /// Opens the kept values of a stretch of the log, each as it is come to, once it is on record who works through them and why.
    /// `from` and `until` are indexes; what is not durable yet is left out.
    pub async fn work_through(
        &self,
        from: u64,
        until: u64,
        actor: &str,
        reason: &str,
    ) -> Result<Stretch, RevealLogError> {
        let until = until.min(self.size());
        let mut event = self.own_event(EventType::LogRevealed, actor);
        event.change = Some(ChangeRef {
            kind: "stretch".into(),
            id: format!("{from}..{until}"),
            before: None,
            after: Some(clip(reason)),
        });
        self.record(event, Class::Grant).await?;
        Ok(Stretch {
            directory: self.directory(),
            keks: self.encoder.keks.clone(),
            from,
            until,
        })
    }

    pub(super) fn own_event(&self, kind: EventType, actor: &str) -> Event {
        let id = Id::new(&*self.encoder.clock, &*self.encoder.rng);
        let mut event = Event::new(id, kind);
        event.actor = Some(actor.to_owned());
        event.action = Some(Action::named(kind.as_str()));
        event
    }
}

/// A stretch of the log whose kept values may be opened.
#[derive(Debug, Clone)]
pub struct Stretch {
    directory: Directory,
    keks: Arc<Keks>,
    from: u64,
    until: u64,
}

impl Stretch {
    /// Its events, in `parts` pieces that follow each other, so that they can be read side by side.
    pub fn split(&self, parts: usize) -> Vec<Piece> {
        let parts = u64::try_from(parts).unwrap_or(1).max(1);
        let length = self.until.saturating_sub(self.from);
        let start = |part: u64| self.from + (length / parts) * part + (length % parts).min(part);
        (0..parts)
            .map(|part| Piece {
                entries: self.directory.entries(start(part)),
                opener: {
                    let keks = self.keks.clone();
                    self.directory.opener_asking(Box::new(move || keks.all()))
                },
                until: start(part + 1),
            })
            .collect()
    }
}

/// A piece of a stretch.
pub struct Piece {
    entries: Entries,
    opener: Opener,
    until: u64,
}

impl Piece {
    /// The kept values of one of its events, or none if they were erased or do not open. Ask in ascending order for speed.
    pub fn open(&mut self, index: u64, leaf: &Leaf) -> Result<Option<Vec<Revealed>>, ReadError> {
        self.opener.open(index, leaf)
    }
}

impl Iterator for Piece {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.entries.position() >= self.until {
            return None;
        }
        // What was durable when the stretch was taken is there; a gap must not pass for the end.
        self.entries.next().or_else(|| {
            let index = self.entries.position();
            self.until = index;
            Some(Err(ReadError::NoSuchIndex { index }))
        })
    }
}

/// Why values were not revealed.
#[derive(Debug, thiserror::Error)]
pub enum RevealLogError {
    /// That they would be could not be put on record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// They do not open.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Fault for RevealLogError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Read(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Record(error) => error.help(),
            Self::Read(error) => error.help(),
        }
    }
}

/// What the record says of an erasure.
fn said(erasure: &Erasure, count: usize) -> String {
    let besides = match erasure.besides {
        0 => String::new(),
        tasks => format!(", words of {tasks} tasks"),
    };
    let asked = erasure.asked_by.as_ref();
    let asked = asked.map_or_else(String::new, |who| format!("; asked for by {who}"));
    format!("{count} events{besides}{asked}; {}", clip(&erasure.basis))
}

fn clip(words: &str) -> String {
    let end = words
        .char_indices()
        .map(|(at, letter)| at + letter.len_utf8())
        .take_while(|end| *end <= MAX_WORDS)
        .last();
    words.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
