//! The live index: every call, stream and wait is entered under each subject of its chain **before** its fences are checked, so that a
//! fence either is seen by that check or finds the entry here and cuts it (02 §8; nothing slips between index and sweep).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::FenceId;
use tokio_util::sync::CancellationToken;

/// Why something live was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The fence, if one fell; none if the task or instance ended.
    pub fence: Option<FenceId>,
    /// In words.
    pub reason: String,
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
}

/// One live thing; leaves the index when dropped.
#[derive(Debug)]
pub struct Entered {
    live: Arc<Live>,
    key: u64,
    cancel: CancellationToken,
    cause: Arc<OnceLock<Cut>>,
}

impl Live {
    /// Enters something under these subjects with their births. Check its fences after this, not before.
    pub fn enter(self: &Arc<Self>, subjects: Vec<(Subject, u64)>) -> Entered {
        let cancel = CancellationToken::new();
        let cause = Arc::new(OnceLock::new());
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
            },
        );
        drop(inner);
        Entered {
            live: Arc::clone(self),
            key,
            cancel,
            cause,
        }
    }

    /// Cuts everything this fence kills; gives how many.
    pub fn fence(&self, fence: &Fence) -> usize {
        let cut = Cut {
            fence: Some(fence.id),
            reason: fence.reason.clone(),
        };
        self.cut_where(&fence.subject, &cut, |born| match fence.lifted_seq {
            None => true,
            Some(lifted) => !fence.subject.lifts() || born <= lifted,
        })
    }

    /// Cuts everything under a subject that ended without a fence; gives how many.
    pub fn end(&self, subject: &Subject, reason: &str) -> usize {
        self.cut_where(
            subject,
            &Cut {
                fence: None,
                reason: reason.to_owned(),
            },
            |_| true,
        )
    }

    /// Cuts everything there is: the replica is no longer to be trusted.
    pub fn cut_all(&self, reason: &str) -> usize {
        let inner = self.lock();
        let cut = Cut {
            fence: None,
            reason: reason.to_owned(),
        };
        inner
            .entries
            .values()
            .filter(|entry| entry.cut(&cut))
            .count()
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

    fn cause(&self) -> Cut {
        self.was_cut().unwrap_or_else(|| Cut {
            fence: None,
            reason: "cut".to_owned(),
        })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.live.leave(self.key);
    }
}

#[cfg(test)]
mod tests;
