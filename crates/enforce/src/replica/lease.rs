//! How long a replica in another process than the node may be decided on. In the node's own process there is none: changes are in the
//! replica before their writer is answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Clock;

/// The lease of one replica.
pub(super) struct Lease {
    clock: Arc<dyn Clock>,
    /// On the clock that counts suspend.
    until: Duration,
    /// Since something could have become live; false once everything was cut.
    open: bool,
}

impl Lease {
    /// One that is over.
    pub(super) fn none(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            until: Duration::ZERO,
            open: false,
        }
    }

    /// What is left; zero once it is over.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_sub(self.clock.monotonic())
    }

    /// How long it has been over; none while it lasts.
    pub(super) fn over(&self) -> Option<Duration> {
        self.left()
            .is_zero()
            .then(|| self.clock.monotonic().saturating_sub(self.until))
    }

    /// Whether it is over and nothing was cut for that yet. From then on it counts as cut.
    pub(super) fn lapses(&mut self) -> bool {
        self.over().is_some() && std::mem::take(&mut self.open)
    }

    /// Lasts until then at least. What is over already stays over.
    pub(super) fn hold(&mut self, until: Duration) {
        self.until = self.until.max(until);
        self.open = self.over().is_none();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({:?} left)", self.left())
    }
}
