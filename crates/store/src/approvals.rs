//! Approvals: people's answers to step-ups.

use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::id::{ApprovalId, TaskId};
use bailiwick_core::{Digest, Timestamp};

use crate::StoreError;

/// Which approvals to list; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Where it is in its life.
    pub state: Option<ApprovalState>,
    /// The task that asks.
    pub task: Option<TaskId>,
}

/// Reads of approvals. *Live* is pending or approved.
pub trait Approvals {
    /// The approval with this id.
    fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError>;

    /// The live approval of a call; there is at most one.
    fn live_approval_of_call(&self, call_digest: Digest) -> Result<Option<Approval>, StoreError>;

    /// A page of approvals, newest first, after the last one of the page before; at most [`crate::MAX_PAGE`].
    fn approvals(
        &self,
        filter: &ApprovalFilter,
        after: Option<ApprovalId>,
        limit: usize,
    ) -> Result<Vec<Approval>, StoreError>;

    /// The live approvals of a task, oldest first.
    fn live_approvals_of_task(&self, task: TaskId) -> Result<Vec<Approval>, StoreError>;

    /// Live approvals whose `expires_at` is not after `now`, earliest first; at most [`crate::MAX_PAGE`].
    fn approvals_due(&self, now: Timestamp) -> Result<Vec<Approval>, StoreError>;
}

/// Writes of approvals.
pub trait ApprovalsMut {
    /// Stores the next version of an approval. A second live one of the same call is [`StoreError::AlreadyExists`].
    fn put_approval(&mut self, approval: &Approval) -> Result<(), StoreError>;
}
