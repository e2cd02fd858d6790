//! Whether the spare segment is ready. The housekeeping thread makes it; the commit thread uses it up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// State of the spare, shared by the two threads.
#[derive(Debug)]
pub(crate) struct Spare {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// On disk.
    Ready,
    /// To be made, or being made.
    Wanted,
    /// Could not be made; tried again at every tick of the housekeeping.
    Failed,
}

impl Spare {
    pub(crate) fn new(ready: bool) -> Self {
        Self {
            state: Mutex::new(if ready { State::Ready } else { State::Wanted }),
            changed: Condvar::new(),
        }
    }

    /// Waits while the spare is being made; false if it could not be.
    pub(crate) fn wait_ready(&self) -> bool {
        let mut state = self.lock();
        while *state == State::Wanted {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *state == State::Ready
    }

    /// Whether the last attempt to make it failed.
    pub(crate) fn failed(&self) -> bool {
        *self.lock() == State::Failed
    }

    /// Whether it has to be made.
    pub(crate) fn wanted(&self) -> bool {
        *self.lock() != State::Ready
    }

    /// The spare became a segment.
    pub(crate) fn taken(&self) {
        *self.lock() = State::Wanted;
    }

    /// An attempt to make it ended.
    pub(crate) fn made(&self, success: bool) {
        *self.lock() = if success { State::Ready } else { State::Failed };
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
