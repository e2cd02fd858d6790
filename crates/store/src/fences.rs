//! Fences: the durable record of what is revoked, and of what was lifted (02, table of fences).

use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::FenceId;

use crate::StoreError;

/// Reads of fences.
pub trait Fences {
    /// The fence with this id.
    fn fence(&self, id: FenceId) -> Result<Option<Fence>, StoreError>;

    /// All fences, lifted ones too, in the order they were set.
    fn fences(&self) -> Result<Vec<Fence>, StoreError>;

    /// The fences of one subject, lifted ones too, in the order they were set.
    fn fences_of(&self, subject: &Subject) -> Result<Vec<Fence>, StoreError>;
}

/// Writes of fences; each appends to the feed.
pub trait FencesMut {
    /// Sets a fence whose `seq` is `head() + 1`, or lifts one that is set: the same fence with `lifted_seq` = `head() + 1`.
    /// Anything else is [`StoreError::Refused`]: a fence is not changed, moved, lifted twice, or lifted if its kind never lifts.
    fn put_fence(&mut self, fence: &Fence) -> Result<(), StoreError>;
}
