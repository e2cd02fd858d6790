//! Leases: just-in-time credentials.

use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::name::CredentialName;

use crate::StoreError;

/// Which leases to list; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct LeaseFilter {
    /// The task it dies with.
    pub task: Option<TaskId>,
    /// Where it is in its life.
    pub state: Option<LeaseState>,
    /// The credential it is made from.
    pub credential: Option<CredentialName>,
}

/// Reads of leases. *Live* is anything but a tombstone.
pub trait Leases {
    /// The lease with this id.
    fn lease(&self, id: LeaseId) -> Result<Option<Lease>, StoreError>;

    /// A page of leases, newest first, after the last one of the page before; at most [`crate::MAX_PAGE`].
    fn leases(
        &self,
        filter: &LeaseFilter,
        after: Option<LeaseId>,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError>;

    /// All live leases, oldest first.
    fn live_leases(&self) -> Result<Vec<Lease>, StoreError>;

    /// The live leases of a task, oldest first.
    fn live_leases_of_task(&self, task: TaskId) -> Result<Vec<Lease>, StoreError>;

    /// How many live leases are made from a credential.
    fn count_live_leases(&self, credential: &CredentialName) -> Result<usize, StoreError>;

    /// The live leases of an instance, oldest first.
    fn live_leases_of_instance(&self, instance: InstanceId) -> Result<Vec<Lease>, StoreError>;
}

/// Writes of leases.
pub trait LeasesMut {
    /// Stores the next version of a lease: a worker that lost its claim gets [`StoreError::VersionConflict`]. Its task has to be
    /// there, and a tombstone stays one ([`StoreError::Refused`]).
    fn put_lease(&mut self, lease: &Lease) -> Result<(), StoreError>;
}
