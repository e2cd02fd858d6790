//! What other threads ask of the housekeeping thread: to look, to carry something out, to end.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::erase::Job;

/// Wakes the thread. Several calls before it looks are one.
#[derive(Debug)]
pub(crate) struct Wake {
    state: Mutex<Woken>,
    changed: Condvar,
    /// None once the thread has ended: who orders then must not wait.
    orders: Mutex<Option<Vec<Order>>>,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            orders: Mutex::new(Some(Vec::new())),
        }
    }
}

/// Something to do to files that the thread alone writes. It is tried at every tick until it is done.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) work: Work,
    /// Told when it is done; dropped where the thread ends first.
    pub(crate) done: Option<oneshot::Sender<()>>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Work {
    /// Destroy values and keys.
    Erase(Job),
    /// Wrap anew all keys of events before `from`, where a segment begins; those before `done` are.
    Rewrap { from: u64, done: u64 },
}

impl Work {
    /// Whether everything concerned has left the write-ahead log, which begins at `base`.
    pub(super) fn is_ready(&self, base: u64) -> bool {
        match self {
            Self::Erase(job) => job.last() < base,
            Self::Rewrap { from, .. } => *from <= base,
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Woken {
    /// Batches were written.
    work: bool,
    /// Somebody waits for the thread.
    urgent: bool,
    stop: bool,
}

impl Wake {
    /// Batches were written; they may gather a little.
    pub(crate) fn notify(&self) {
        let mut state = self.lock();
        let woken = std::mem::replace(&mut state.work, true);
        drop(state);
        if !woken {
            self.changed.notify_one();
        }
    }

    /// Something cannot wait.
    pub(crate) fn urge(&self) {
        self.lock().urgent = true;
        self.changed.notify_one();
    }

    /// Hands over an order; drops it where the thread has ended.
    pub(crate) fn order(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = &mut *orders {
            orders.push(order);
        }
        drop(orders);
        self.urge();
    }

    pub(super) fn take_orders(&self) -> Vec<Order> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The thread has ended: orders not carried out, and all that come, are dropped.
    pub(super) fn end(&self) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Finish what there is and end.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    /// Waits for work or for `at_most`, and lets work gather for `gather`; true if the thread should end.
    pub(super) fn wait(&self, gather: Duration, at_most: Duration) -> bool {
        let wait = |state, at_most, ready: fn(&Woken) -> bool| {
            let waited = self
                .changed
                .wait_timeout_while(state, at_most, |state| !ready(state));
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let state = wait(self.lock(), gather.min(at_most), |state| {
            state.urgent || state.stop
        });
        let mut state = wait(state, at_most.saturating_sub(gather), |state| {
            state.work || state.urgent || state.stop
        });
        state.work = false;
        state.urgent = false;
        state.stop
    }

    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
