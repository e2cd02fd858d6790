//! What stands below the subjects of a revocation, branch by branch: shown before anything is cut.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::name::AgentName;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_store::{Reads, StoreError};

use super::Cut;
use super::plan::{instances, leases, tasks};

/// Most tasks that are shown one by one; the counts are of all.
pub const MAX_BRANCHES: usize = 1_000;

/// What an order would end now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtree {
    /// Open tasks, each after its parent.
    pub tasks: Vec<Branch>,
    /// All that would end, counted.
    pub cut: Cut,
}

/// One open task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The task.
    pub task: TaskId,
    /// How far below the subject's own task, from 0.
    pub depth: usize,
    /// Whose it is.
    pub agent: AgentName,
    /// Which process works on it.
    pub instance: Option<InstanceId>,
    /// Pending and unused approvals.
    pub approvals: u64,
    /// Its live leases.
    pub leases: Vec<LeaseId>,
}

/// What an order on these subjects would end now.
pub(super) fn below(rows: &dyn Reads, subjects: &[Subject]) -> Result<Subtree, StoreError> {
    let mut cut = Cut {
        instances: instances(rows, subjects)?,
        leases: leases(rows, subjects)?.len() as u64,
        ..Cut::default()
    };
    let mut branches = Vec::new();
    let mut seen = BTreeSet::new();
    for root in tasks(rows, subjects)? {
        let mut children: BTreeMap<TaskId, Vec<Task>> = BTreeMap::new();
        for task in rows.subtree(root.id)? {
            if let Some(parent) = task.parent.filter(|_| task.id != root.id) {
                children.entry(parent).or_default().push(task);
            }
        }
        let mut next = vec![(root, 0)];
        while let Some((task, depth)) = next.pop() {
            let below = children.remove(&task.id).unwrap_or_default();
            next.extend(below.into_iter().rev().map(|child| (child, depth + 1)));
            if task.state != TaskState::Open || !seen.insert(task.id) {
                continue;
            }
            let approvals = rows.live_approvals_of_task(task.id)?.len() as u64;
            cut.tasks += 1;
            cut.approvals += approvals;
            if branches.len() < MAX_BRANCHES {
                let leases = rows.live_leases_of_task(task.id)?;
                branches.push(Branch {
                    task: task.id,
                    depth,
                    agent: task.agent,
                    instance: task.instance,
                    approvals,
                    leases: leases.into_iter().map(|lease| lease.id).collect(),
                });
            }
        }
    }
    Ok(Subtree {
        tasks: branches,
        cut,
    })
}
