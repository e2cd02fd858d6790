//! Evidence that is good for one use: its digest, until it is good for none anyway.

use bailiwick_core::{Digest, Timestamp};

use crate::StoreError;

/// Writes of used evidence.
pub trait SpentMut {
    /// Remembers evidence until `expires_at`; [`StoreError::AlreadyExists`] if it was used.
    fn spend(&mut self, sha256: Digest, expires_at: Timestamp) -> Result<(), StoreError>;

    /// Forgets what has expired at `now`; how many.
    fn prune_spent(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
