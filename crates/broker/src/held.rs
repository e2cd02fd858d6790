//! The values of active leases, in memory only. A value that is not here is injected nowhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_core::Secret;
use bailiwick_core::id::LeaseId;

/// Values by lease. Bounded by the live leases of the open tasks ([`crate::MAX_LIVE_OF_TASK`] each).
#[derive(Default)]
pub(crate) struct Held {
    values: Mutex<HashMap<LeaseId, Secret<String>>>,
}

impl Held {
    pub(crate) fn put(&self, lease: LeaseId, value: Secret<String>) {
        self.lock().insert(lease, value);
    }

    pub(crate) fn value(&self, lease: LeaseId) -> Option<Secret<String>> {
        self.lock().get(&lease).cloned()
    }

    pub(crate) fn forget(&self, lease: LeaseId) {
        self.lock().remove(&lease);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseId, Secret<String>>> {
        // No code that can panic runs under this lock.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
