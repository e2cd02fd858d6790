//! One backend as the protocol works with it: how it stands, and when what failed is tried again. A backend that does not answer delays
//! nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::id::LeaseId;
use bailiwick_core::lease::{BackendKind, LeaseClass};
use bailiwick_core::name::BackendName;
use bailiwick_core::{Code, Rng, Timestamp};
use serde::Serialize;
use tokio::sync::{Mutex as Turn, Notify};

use crate::LeaseError;
use crate::backend::{Backend, BackendError};

/// Failures in a row after which no new lease is tried until one attempt succeeded.
const BREAKER: u32 = 5;
/// First wait after a failure; doubles to [`MAX_RETRY`], give or take half of it.
const MIN_RETRY: Duration = Duration::from_millis(200);
/// Longest wait after a failure.
const MAX_RETRY: Duration = Duration::from_mins(1);
/// Clocks further apart than this make no new leases: their ends would mean something else there.
pub const MAX_SKEW: Duration = Duration::from_secs(5);

/// How a backend stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its name.
    pub name: BackendName,
    /// What it is.
    pub kind: BackendKind,
    /// How surely what it makes is taken away.
    pub class: LeaseClass,
    /// Its release, as it said last.
    pub version: Option<String>,
    /// How far its clock is ahead of ours, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Whether its answer to the last question was one.
    pub healthy: bool,
    /// Why nothing is made or removed there.
    pub read_only: Option<String>,
    /// When its accounts were last compared with our leases.
    pub reconciled_at: Option<Timestamp>,
    /// What it said last that was no success.
    pub last_error: Option<String>,
}

pub(crate) struct Desk {
    pub(crate) name: BackendName,
    pub(crate) backend: Arc<dyn Backend>,
    /// Woken when there is something to take away.
    pub(crate) wake: Notify,
    /// Held while accounts are taken away or compared: one hand at a time.
    pub(crate) turn: Turn<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    version: Option<String>,
    skew_ms: Option<i64>,
    read_only: Option<String>,
    /// Whether this run has begun to set its marker.
    marking: bool,
    reconciled_at: Option<Timestamp>,
    last_error: Option<String>,
    failures: u32,
    /// When to try a lease again (monotonic), and how often it failed. Bounded by live leases.
    later: HashMap<LeaseId, (Duration, u32)>,
}

impl Desk {
    pub(crate) fn new(name: BackendName, backend: Arc<dyn Backend>) -> Self {
        Self {
            name,
            backend,
            wake: Notify::new(),
            turn: Turn::new(()),
            state: Mutex::default(),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        let (about, state) = (self.backend.describe(), self.lock());
        Standing {
            name: self.name.clone(),
            kind: about.kind,
            class: about.class,
            version: state.version.clone(),
            skew_ms: state.skew_ms,
            healthy: state.failures == 0,
            read_only: state.read_only.clone(),
            reconciled_at: state.reconciled_at,
            last_error: state.last_error.clone(),
        }
    }

    /// Whether a new lease may be made here now.
    pub(crate) fn admits(&self) -> Result<(), LeaseError> {
        let state = self.lock();
        let refuse = |code, why: String| LeaseError::Unfit {
            backend: self.name.clone(),
            code,
            why,
        };
        if let Some(why) = &state.read_only {
            return Err(refuse(Code::BackendReadOnly, why.clone()));
        }
        let skew = state.skew_ms.unwrap_or(0).unsigned_abs();
        if Duration::from_millis(skew) > MAX_SKEW {
            let why = format!("its clock is {skew} ms away from ours");
            return Err(refuse(Code::BackendClockSkew, why));
        }
        if state.failures >= BREAKER {
            let why = state.last_error.clone().unwrap_or_default();
            return Err(refuse(Code::BackendDown, why));
        }
        Ok(())
    }

    pub(crate) fn is_checked(&self) -> bool {
        self.lock().reconciled_at.is_some()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.lock().read_only.is_some()
    }

    /// From now on a marker that is ahead of what this run found may be its own.
    pub(crate) fn begin_marking(&self) {
        self.lock().marking = true;
    }

    pub(crate) fn is_marking(&self) -> bool {
        self.lock().marking
    }

    pub(crate) fn set_read_only(&self, why: Option<String>) {
        self.lock().read_only = why;
    }

    pub(crate) fn stands(&self, version: String, skew_ms: i64) {
        let mut state = self.lock();
        state.version = Some(version);
        state.skew_ms = Some(skew_ms);
    }

    pub(crate) fn reconciled(&self, at: Timestamp) {
        self.lock().reconciled_at = Some(at);
    }

    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        state.failures = 0;
        state.last_error = None;
    }

    pub(crate) fn failed(&self, error: &BackendError) {
        let mut state = self.lock();
        // What it refuses, it was there to refuse.
        if matches!(error, BackendError::Transient(_)) {
            state.failures = state.failures.saturating_add(1);
        }
        state.last_error = Some(error.to_string());
    }

    /// Puts a lease off; each time for longer.
    pub(crate) fn put_off(&self, lease: LeaseId, now: Duration, rng: &dyn Rng) {
        let mut state = self.lock();
        let tries = state.later.get(&lease).map_or(0, |(_, tries)| *tries);
        let wait = MIN_RETRY.saturating_mul(1 << tries.min(9)).min(MAX_RETRY);
        let mut random = [0_u8; 1];
        rng.fill(&mut random);
        let [random] = random;
        let wait = wait / 2 + wait.saturating_mul(u32::from(random)) / 255;
        state
            .later
            .insert(lease, (now.saturating_add(wait), tries.saturating_add(1)));
    }

    /// Whether its time has come.
    pub(crate) fn is_due(&self, lease: LeaseId, now: Duration) -> bool {
        let state = self.lock();
        state.later.get(&lease).is_none_or(|(at, _)| *at <= now)
    }

    /// When the next one that was put off is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.lock().later.values().map(|(at, _)| *at).min()
    }

    pub(crate) fn forget(&self, lease: LeaseId) {
        self.lock().later.remove(&lease);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
