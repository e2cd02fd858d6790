//! Events that wait to be put on the audit log, in commit order (06: record, then delete; at least once, same bytes).

use bailiwick_core::id::EventId;

use crate::StoreError;

/// One event that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its id; readers of the log drop repeated ids.
    pub event: EventId,
    /// The sealed event.
    pub bytes: Vec<u8>,
}

/// Reads of the outbox.
pub trait Outbox {
    /// The oldest events, in commit order; at most [`crate::MAX_PAGE`].
    fn outbox_pending(&self, limit: usize) -> Result<Vec<Pending>, StoreError>;

    /// How many wait.
    fn outbox_len(&self) -> Result<u64, StoreError>;
}

/// Writes of the outbox. It has no bound of its own, since what narrows never waits for the log: who grants looks at
/// [`Outbox::outbox_len`] first.
pub trait OutboxMut {
    /// Adds an event; [`StoreError::AlreadyExists`] if its id waits already.
    fn outbox_push(&mut self, event: EventId, bytes: &[u8]) -> Result<(), StoreError>;

    /// Removes events that are durable on the log. Unknown ids are no error: a drain may be repeated.
    fn outbox_done(&mut self, events: &[EventId]) -> Result<(), StoreError>;
}
