//! The change feed: 1, 2, 3, … in commit order without a gap.

use bailiwick_core::change::Change;

use crate::StoreError;

/// Reads of the feed. Rows are appended by the nouns' own writes.
pub trait Feed {
    /// The newest sequence, this transaction's own changes included; 0 before the first. The next change gets `head() + 1`.
    fn head(&self) -> u64;

    /// Changes above `after`, in order; at most [`crate::MAX_PAGE`].
    fn changes(&self, after: u64, limit: usize) -> Result<Vec<Change>, StoreError>;
}
