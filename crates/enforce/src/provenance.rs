//! Where the arguments of a call come from (04 §9 of the design): what each root task was asked for, what its answers said and what people
//! approved, in memory, and the facts that policy gets of it. Equal inputs give equal facts; what was forgotten only makes them weaker.

mod entities;
mod judge;
mod memory;
mod origin;
mod request;
mod seen;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailiwick_core::binding::Binding;
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::task::Task;
use bailiwick_core::{Effect, Timestamp};

pub(crate) use judge::{About, Judged, judge};
pub(crate) use memory::{Doings, Memory};
pub(crate) use origin::Standing;
pub(crate) use request::Requested;
pub(crate) use seen::Answered;

/// Bytes that all memories of one node take together; those that were not used for longest go first.
pub const MAX_BYTES: usize = 256 << 20;

/// Requests that are kept read; beyond, all are read anew.
const MAX_REQUESTS: usize = 1_024;

/// What is remembered of all tasks that call something.
#[derive(Debug, Default)]
pub struct Provenance {
    inner: Mutex<Inner>,
    /// A task's request never changes.
    requests: Mutex<HashMap<TaskId, Option<Arc<Requested>>>>,
}

#[derive(Debug, Default)]
struct Inner {
    memories: HashMap<TaskId, Kept>,
    /// Roots of which something was forgotten; they stay saturated until they end.
    forgotten: HashSet<TaskId>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
struct Kept {
    memory: Arc<Mutex<Memory>>,
    bytes: usize,
    used: u64,
}

impl Provenance {
    /// What is remembered of a root task. `fresh` says that nothing of it has called anything yet: only then is nothing missing from a memory
    /// that begins now.
    pub(crate) fn of(&self, root: TaskId, fresh: impl FnOnce() -> bool) -> Arc<Mutex<Memory>> {
        let mut inner = self.lock();
        inner.tick += 1;
        let tick = inner.tick;
        if let Some(kept) = inner.memories.get_mut(&root) {
            kept.used = tick;
            return Arc::clone(&kept.memory);
        }
        let whole = !inner.forgotten.contains(&root) && fresh();
        let memory = Arc::new(Mutex::new(Memory::new(!whole)));
        let kept = Kept {
            memory: Arc::clone(&memory),
            bytes: 0,
            used: tick,
        };
        inner.memories.insert(root, kept);
        memory
    }

    /// The request of a task as evidence; none if an agent wrote it.
    pub(crate) fn requested(&self, task: &Task) -> Option<Arc<Requested>> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = requests.get(&task.id) {
            return known.clone();
        }
        if requests.len() >= MAX_REQUESTS {
            requests.clear();
        }
        let read = Requested::of(task).map(Arc::new);
        requests.insert(task.id, read.clone());
        read
    }

    /// Takes note of something about a task; `fresh` as for [`Self::of`].
    pub(crate) fn note(
        &self,
        root: TaskId,
        fresh: impl FnOnce() -> bool,
        note: impl FnOnce(&mut Memory),
    ) {
        let memory = self.of(root, fresh);
        let bytes = {
            let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
            note(&mut memory);
            memory.bytes()
        };
        let mut inner = self.lock();
        if let Some(kept) = inner.memories.get_mut(&root) {
            let before = std::mem::replace(&mut kept.bytes, bytes);
            inner.bytes = (inner.bytes + bytes).saturating_sub(before);
        }
        inner.shrink(root);
    }

    /// Forgets tasks that have ended.
    pub fn retain(&self, lives: impl Fn(TaskId) -> bool) {
        let mut inner = self.lock();
        inner.memories.retain(|root, _| lives(*root));
        inner.forgotten.retain(|root| lives(*root));
        inner.bytes = inner.memories.values().map(|kept| kept.bytes).sum();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Forgets what was not used for longest, but not `root`.
    fn shrink(&mut self, root: TaskId) {
        while self.bytes > MAX_BYTES {
            let others = self.memories.iter().filter(|(own, _)| **own != root);
            let Some(oldest) = others
                .min_by_key(|(_, kept)| kept.used)
                .map(|(own, _)| *own)
            else {
                return;
            };
            let gone = self.memories.remove(&oldest).map_or(0, |kept| kept.bytes);
            self.bytes = self.bytes.saturating_sub(gone);
            self.forgotten.insert(oldest);
        }
    }
}

/// What is known of a call when its answer is indexed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) binding: &'a Binding,
    pub(crate) effect: Effect,
    /// What this answer carries.
    pub(crate) labels: &'a Labels,
}

/// When something happened, as far as facts tell.
pub(crate) fn seconds_since(now: Timestamp, then: Timestamp) -> u64 {
    now.since(then).as_secs()
}

#[cfg(test)]
mod tests;
