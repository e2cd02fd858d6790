//! Findings, and the keyed prints by which a lease's secret is recognised.

use bailiwick_core::finding::{Finding, FindingState};
use bailiwick_core::id::{FindingId, LeaseId};

use crate::StoreError;

/// Which findings to list; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Where it is in its life.
    pub state: Option<FindingState>,
    /// What was scanned when it was seen last.
    pub target: Option<String>,
}

/// Reads of findings.
pub trait Findings {
    /// The finding with this id.
    fn finding(&self, id: FindingId) -> Result<Option<Finding>, StoreError>;

    /// The one finding of a check on a print.
    fn finding_of(&self, check: &str, subject: &str) -> Result<Option<Finding>, StoreError>;

    /// A page of findings, newest first, after the last one of the page before; at most [`crate::MAX_PAGE`].
    fn findings(
        &self,
        filter: &FindingFilter,
        after: Option<FindingId>,
        limit: usize,
    ) -> Result<Vec<Finding>, StoreError>;

    /// The newest leases whose secret has this print, newest first, at most `limit`.
    fn leases_of_print(&self, print: &str, limit: usize) -> Result<Vec<LeaseId>, StoreError>;
}

/// Writes of findings.
pub trait FindingsMut {
    /// Stores the next version of a finding; a second one of the same check and print is [`StoreError::AlreadyExists`].
    fn put_finding(&mut self, finding: &Finding) -> Result<(), StoreError>;

    /// Remembers the print of a lease's secret; said twice is said once.
    fn put_lease_print(&mut self, print: &str, lease: LeaseId) -> Result<(), StoreError>;
}
