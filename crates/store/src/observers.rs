//! Those who are told about commits, in the order in which they registered, and how far they have been told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::change::Change;

use crate::Observer;

/// All observers of a store.
#[derive(Default)]
pub(crate) struct Observers {
    all: Mutex<Vec<Arc<dyn Observer>>>,
    head: AtomicU64,
    /// Transactions of this process that were committed and changed something.
    commits: AtomicU64,
    /// When the database was last known to be this process's, in microseconds of the clock that counts suspend.
    claimed: AtomicU64,
    /// Held while changes are told, so that two threads tell them in order and once.
    telling: Mutex<()>,
}

impl Observers {
    pub(crate) fn add(&self, observer: Arc<dyn Observer>) {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(observer);
    }

    /// The newest sequence that was told.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// One more transaction of this process is durable.
    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::AcqRel);
    }

    /// How many transactions of this process changed something.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Where telling begins: what is there when a store is opened is read, not told.
    pub(crate) fn begin(&self, head: u64) {
        self.head.store(head, Ordering::Release);
    }

    /// Tells the changes that follow the newest one told; those that were told before are left out. What leaves a gap is not told: who
    /// looks next begins at the gap.
    pub(crate) fn tell(&self, changes: &[Change]) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.head();
        let known = changes.partition_point(|change| change.seq <= head);
        let Some(news @ ([first, .., last] | [first @ last])) = changes.get(known..) else {
            return;
        };
        if first.seq != head + 1 {
            return;
        }
        self.head.store(last.seq, Ordering::Release);
        self.each(|observer| observer.committed(news));
    }

    /// The database was this process's at `asked`, an instant of the clock that counts suspend.
    pub(crate) fn claimed(&self, asked: Duration) {
        let micros = u64::try_from(asked.as_micros()).unwrap_or(u64::MAX);
        self.claimed.fetch_max(micros, Ordering::AcqRel);
    }

    /// Tells that everything committed until `asked` has been told; for as long as the database is known to be this process's.
    pub(crate) fn told_until(&self, asked: Duration) {
        let claimed = Duration::from_micros(self.claimed.load(Ordering::Acquire));
        let asked = asked.min(claimed);
        self.each(|observer| observer.told_until(asked));
    }

    fn each(&self, tell: impl Fn(&dyn Observer)) {
        let observers = self
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for observer in observers {
            // One broken observer must not stop the store or keep fences from the others. It will see the gap.
            if catch_unwind(AssertUnwindSafe(|| tell(observer.as_ref()))).is_err() {
                tracing::error!("an observer of the store panicked");
            }
        }
    }
}
