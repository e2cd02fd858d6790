//! The live index: every call, stream and wait is entered under each subject of its chain **before** its fences are checked, so that a
//! fence either is seen by that check or finds the entry here and cuts it (02 §8; nothing slips between index and sweep).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{EventId, FenceId, TaskId};
use bailiwick_core::label::Labels;
use bailiwick_core::trigger::Trigger;
use tokio_util::sync::CancellationToken;

use crate::decider::Standing;

/// Why something live was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The fence, if one fell; none if the task or instance ended.
    pub fence: Option<FenceId>,
    /// The event of the change that took its permission away, if that was it.
    pub event: Option<EventId>,
    /// In words.
    pub reason: String,
}

impl Cut {
    /// By something that ended or changed, without a fence.
    pub(crate) fn by(event: Option<EventId>, reason: &str) -> Self {
        Self {
            fence: None,
            event,
            reason: reason.to_owned(),
        }
    }
}

/// Everything that is going on now.
#[derive(Debug, Default)]
pub struct Live {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    entries: HashMap<u64, Entry>,
    by_subject: HashMap<Subject, HashSet<u64>>,
}

#[derive(Debug)]
struct Entry {
    subjects: Vec<(Subject, u64)>,
    cancel: CancellationToken,
    cause: Arc<OnceLock<Cut>>,
    stood: Arc<OnceLock<Arc<Stood>>>,
}

/// What a live thing was decided on, and what it has brought since.
#[derive(Debug)]
struct Stood {
    standing: Standing,
    brings: Mutex<Labels>,
}

/// A live thing that can be decided again.
#[derive(Debug, Clone)]
pub(crate) struct Stands {
    stood: Arc<Stood>,
    cancel: CancellationToken,
    cause: Arc<OnceLock<Cut>>,
}

/// One live thing; leaves the index when dropped.
#[derive(Debug)]
pub struct Entered {
    live: Arc<Live>,
    key: u64,
    cancel: CancellationToken,
    cause: Arc<OnceLock<Cut>>,
    stood: Arc<OnceLock<Arc<Stood>>>,
}

impl Live {
    /// Enters something under these subjects with their births. Check its fences after this, not before.
    pub fn enter(self: &Arc<Self>, subjects: Vec<(Subject, u64)>) -> Entered {
        let cancel = CancellationToken::new();
        let cause = Arc::new(OnceLock::new());
        let stood = Arc::new(OnceLock::new());
        let mut inner = self.lock();
        let key = inner.next;
        inner.next += 1;
        for (subject, _) in &subjects {
            inner
                .by_subject
                .entry(subject.clone())
                .or_default()
                .insert(key);
        }
        inner.entries.insert(
            key,
            Entry {
                subjects,
                cancel: cancel.clone(),
                cause: Arc::clone(&cause),
                stood: Arc::clone(&stood),
            },
        );
        drop(inner);
        Entered {
            live: Arc::clone(self),
            key,
            cancel,
            cause,
            stood,
        }
    }

    /// Cuts everything this fence kills; gives how many.
    pub fn fence(&self, fence: &Fence) -> usize {
        let cut = Cut {
            fence: Some(fence.id),
            event: None,
            reason: fence.reason.clone(),
        };
        self.cut_where(&fence.subject, &cut, |born| match fence.lifted_seq {
            None => true,
            Some(lifted) => !fence.subject.lifts() || born <= lifted,
        })
    }

    /// Cuts everything under a subject that ended without a fence; gives how many.
    pub fn end(&self, subject: &Subject, reason: &str) -> usize {
        self.cut_where(subject, &Cut::by(None, reason), |_| true)
    }

    /// Cuts everything under a subject that a change took its permission from; gives how many.
    pub fn end_by(&self, subject: &Subject, reason: &str, event: Option<EventId>) -> usize {
        self.cut_where(subject, &Cut::by(event, reason), |_| true)
    }

    /// What can be decided again of what a change concerns, by a number of its own.
    pub(crate) fn standing(&self, trigger: &Trigger) -> Vec<(u64, Stands)> {
        let subject = match trigger {
            Trigger::Task(id) => Some(Subject::Task(*id)),
            Trigger::Agent(name) => Some(Subject::Agent(name.clone())),
            Trigger::Server(name) => Some(Subject::Server(name.clone())),
            Trigger::Tool(tool) => Some(Subject::Tool(tool.clone())),
            Trigger::Everything => None,
        };
        let inner = self.lock();
        let of = |key: &u64| Some((*key, inner.entries.get(key)?.stands()?));
        match subject {
            None => inner.entries.keys().filter_map(of).collect(),
            Some(subject) => {
                let keys = inner.by_subject.get(&subject).into_iter().flatten();
                keys.filter_map(of).collect()
            }
        }
    }

    /// Cuts everything there is: the replica is no longer to be trusted.
    pub fn cut_all(&self, reason: &str) -> usize {
        let inner = self.lock();
        let cut = Cut::by(None, reason);
        inner
            .entries
            .values()
            .filter(|entry| entry.cut(&cut))
            .count()
    }

    /// What was let through and goes on, with the tasks it is in.
    pub(crate) fn going_on(&self) -> Vec<(u64, Vec<TaskId>)> {
        let inner = self.lock();
        let entries = inner.entries.iter();
        let going_on =
            entries.filter(|(_, entry)| entry.stood.get().is_some() && entry.cause.get().is_none());
        let tasks = |entry: &Entry| {
            let tasks = entry
                .subjects
                .iter()
                .filter_map(|(subject, _)| match subject {
                    Subject::Task(id) => Some(*id),
                    _ => None,
                });
            tasks.collect()
        };
        going_on.map(|(key, entry)| (*key, tasks(entry))).collect()
    }

    /// How many things are live.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// True if nothing is going on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cut_where(&self, subject: &Subject, cut: &Cut, dead: impl Fn(u64) -> bool) -> usize {
        let inner = self.lock();
        let keys = inner.by_subject.get(subject).into_iter().flatten();
        let hit = keys
            .filter_map(|key| inner.entries.get(key))
            .filter(|entry| {
                // A subject can stand in a chain twice with different births; the oldest counts.
                entry
                    .subjects
                    .iter()
                    .any(|(own, born)| own == subject && dead(*born))
            });
        hit.filter(|entry| entry.cut(cut)).count()
    }

    fn leave(&self, key: u64) {
        let mut inner = self.lock();
        let Some(entry) = inner.entries.remove(&key) else {
            return;
        };
        for (subject, _) in &entry.subjects {
            if let Some(keys) = inner.by_subject.get_mut(subject) {
                keys.remove(&key);
                if keys.is_empty() {
                    inner.by_subject.remove(subject);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn cut(&self, cut: &Cut) -> bool {
        let first = self.cause.set(cut.clone()).is_ok();
        self.cancel.cancel();
        first
    }

    fn stands(&self) -> Option<Stands> {
        Some(Stands {
            stood: Arc::clone(self.stood.get()?),
            cancel: self.cancel.clone(),
            cause: Arc::clone(&self.cause),
        })
    }
}

impl Stands {
    /// What it was decided on.
    pub(crate) fn standing(&self) -> &Standing {
        &self.stood.standing
    }

    /// Labels that it brings its task itself.
    pub(crate) fn brings(&self) -> Labels {
        let brings = self.stood.brings.lock();
        brings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Cuts it; false if it was cut before.
    pub(crate) fn cut(&self, cut: &Cut) -> bool {
        let first = self.cause.set(cut.clone()).is_ok();
        self.cancel.cancel();
        first
    }
}

impl Entered {
    /// Resolves when this was cut.
    pub async fn cut(&self) -> Cut {
        self.cancel.cancelled().await;
        self.cause()
    }

    /// Why it was cut, if it was.
    pub fn was_cut(&self) -> Option<Cut> {
        self.cause.get().cloned()
    }

    /// Cancelled when this is cut.
    pub fn token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Notes what it was decided on: from now on changes have it decided again. The first note counts.
    pub(crate) fn stands(&self, standing: Standing) -> Stands {
        let stood = self.stood.get_or_init(|| {
            Arc::new(Stood {
                standing,
                brings: Mutex::default(),
            })
        });
        Stands {
            stood: Arc::clone(stood),
            cancel: self.cancel.clone(),
            cause: Arc::clone(&self.cause),
        }
    }

    /// Notes labels that it brings its task itself, before the task takes them: they do not speak against it.
    pub(crate) fn brings(&self, labels: &Labels) {
        if let Some(stood) = self.stood.get() {
            let mut brings = stood.brings.lock().unwrap_or_else(PoisonError::into_inner);
            brings.join(labels);
        }
    }

    fn cause(&self) -> Cut {
        self.was_cut().unwrap_or_else(|| Cut::by(None, "cut"))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.live.leave(self.key);
    }
}

#[cfg(test)]
mod tests;
