//! Approvals in SQL.

use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::id::{ApprovalId, TaskId};
use bailiwick_core::{Digest, Timestamp};

use super::view::{View, encode, page, signed};
use crate::{ApprovalFilter, Approvals, ApprovalsMut, MAX_PAGE, StoreError};

const KIND: &str = "approval";

impl Approvals for View<'_> {
    fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM approval WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn live_approval_of_call(&self, call_digest: Digest) -> Result<Option<Approval>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM approval WHERE call_digest = ?1 AND state IN ('pending', 'approved')",
            [call_digest.to_hex()],
        )
    }

    fn approvals(
        &self,
        filter: &ApprovalFilter,
        after: Option<ApprovalId>,
        limit: usize,
    ) -> Result<Vec<Approval>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM approval
             WHERE (id < ?1 OR ?1 IS NULL) AND (state = ?2 OR ?2 IS NULL) AND (task = ?3 OR ?3 IS NULL)
             ORDER BY id DESC LIMIT ?4",
            (
                after.map(|id| id.to_string()),
                filter.state.map(state),
                filter.task.map(|id| id.to_string()),
                page(limit),
            ),
        )
    }

    fn live_approvals_of_task(&self, task: TaskId) -> Result<Vec<Approval>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM approval WHERE task = ?1 AND state IN ('pending', 'approved') ORDER BY id",
            [task.to_string()],
        )
    }

    fn approvals_due(&self, now: Timestamp) -> Result<Vec<Approval>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM approval WHERE state IN ('pending', 'approved') AND expires_at <= ?1
             ORDER BY expires_at LIMIT ?2",
            (now.as_micros(), page(MAX_PAGE)),
        )
    }
}

impl ApprovalsMut for View<'_> {
    fn put_approval(&mut self, approval: &Approval) -> Result<(), StoreError> {
        let id = approval.id.to_string();
        self.next_version(
            KIND,
            &id,
            "SELECT version FROM approval WHERE id = ?1",
            approval.version,
        )?;
        self.execute(
            KIND,
            &id,
            "INSERT INTO approval (id, call_digest, task, state, expires_at, version, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at,
                 version = excluded.version, body = excluded.body",
            (
                &id,
                approval.call_digest.to_hex(),
                approval.task.to_string(),
                state(approval.state),
                approval.expires_at.as_micros(),
                signed(KIND, approval.version)?,
                encode(KIND, approval)?,
            ),
        )?;
        Ok(())
    }
}

const fn state(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Pending => "pending",
        ApprovalState::Approved => "approved",
        ApprovalState::Consumed => "consumed",
        ApprovalState::Denied => "denied",
        ApprovalState::Expired => "expired",
        ApprovalState::Void => "void",
    }
}
