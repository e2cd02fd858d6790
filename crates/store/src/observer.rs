//! Who is told about commits.

use std::time::Duration;

use bailiwick_core::change::Change;

/// Told about each commit's changes, in feed order, before the writes' callers go on.
///
/// Must be quick and must not write to the store and wait for it. It must not own a
/// [`crate::Store`]: that would keep the store open for ever. To start without a gap: register, then read a snapshot, then
/// skip changes whose `seq` is not above the snapshot's head.
pub trait Observer: Send + Sync {
    /// `changes` is never empty; the first `seq` follows the last one of the call before.
    fn committed(&self, changes: &[Change]);

    /// Where other nodes commit too: everything that was committed until `asked`, on the monotonic clock, has been told. Comes several
    /// times a second while the database answers. Never called where this process is the only one that commits.
    fn told_until(&self, asked: Duration) {
        let _ = asked;
    }
}
