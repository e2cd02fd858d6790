//! Revocations: one order to kill, with all fences it set and what it cut.

use std::collections::BTreeMap;

use bailiwick_core::Timestamp;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{EventId, RevocationId};
use bailiwick_core::receipt::{Leases, Place, Point};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationRow {
    /// Its id.
    pub id: RevocationId,
    /// What it killed.
    pub subjects: Vec<Subject>,
    /// Why.
    pub reason: String,
    /// Who gave the order: an account name, `uid:N` or `system`.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
    /// Feed sequence of its last fence.
    pub seq: u64,
    /// How many things it cut, by kind: `tasks`, `tokens`, `leases`, `streams`, `approvals`, …
    pub cut: BTreeMap<String, u64>,
    /// The event of its first fence.
    #[serde(default)]
    pub event: Option<EventId>,
    /// Where that event stands in the audit log, once it is durable there.
    #[serde(default)]
    pub audit: Option<Place>,
    /// How far it has got; none while the points are being closed.
    #[serde(default)]
    pub reach: Option<Reach>,
    /// The signed receipt, once there is one.
    #[serde(default)]
    pub receipt: Option<String>,
}

/// Where a revocation has got to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// When its fences were durable.
    pub committed_at: Timestamp,
    /// The enforcement points closed to its subjects.
    pub points: Vec<Point>,
    /// What became of the leases below its subjects.
    pub leases: Leases,
}

/// Reads of revocations.
pub trait Revocations {
    /// The revocation with this id.
    fn revocation(&self, id: RevocationId) -> Result<Option<RevocationRow>, StoreError>;

    /// A page of revocations, newest first, after the last one of the page before; at most [`crate::MAX_PAGE`].
    fn revocations(
        &self,
        after: Option<RevocationId>,
        limit: usize,
    ) -> Result<Vec<RevocationRow>, StoreError>;
}

/// Writes of revocations.
pub trait RevocationsMut {
    /// Stores a revocation, or its new counts.
    fn put_revocation(&mut self, revocation: &RevocationRow) -> Result<(), StoreError>;
}
