//! Chains and fences as the store's rows have them, inside one transaction.

use crate::{Reads, StoreError};
use bailiwick_core::chain::{Chain, ChainFacts};
use bailiwick_core::fence::{Fence, FenceSet, Subject};
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::name::{AgentName, OwnerName};
use bailiwick_core::task::Task;

/// The rows of one transaction. A row that cannot be read counts as missing, and a missing fact is no authority.
pub struct Rows<'a>(pub &'a dyn Reads);

impl ChainFacts for Rows<'_> {
    fn task(&self, id: TaskId) -> Option<Task> {
        self.0.task(id).ok().flatten()
    }

    fn owner_of(&self, agent: &AgentName) -> Option<OwnerName> {
        self.0.agent(agent).ok().flatten().map(|agent| agent.owner)
    }

    fn instance_born(&self, instance: InstanceId) -> Option<u64> {
        self.0
            .instance(instance)
            .ok()
            .flatten()
            .map(|instance| instance.born_seq)
    }
}

/// The chain of a task.
pub fn chain(rows: &dyn Reads, task: &Task) -> Option<Chain> {
    Chain::of(task, &Rows(rows))
}

/// The store's epoch: raised when a backup is restored, so that credentials of an older one are dead.
pub fn epoch(rows: &dyn Reads) -> Result<u64, StoreError> {
    let epoch = rows.meta("epoch")?;
    Ok(epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(1))
}

/// The first fence that kills any of `subjects`.
pub fn fenced(rows: &dyn Reads, subjects: &[(Subject, u64)]) -> Result<Option<Fence>, StoreError> {
    let mut set = FenceSet::default();
    for (subject, _) in subjects {
        for fence in rows.fences_of(subject)? {
            set.put(fence);
        }
    }
    Ok(set.any_dead(subjects).cloned())
}
