//! What stands below the subjects of a revocation, as the store has it now.

use std::collections::BTreeSet;

use bailiwick_broker::LeasesOf;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::LeaseId;
use bailiwick_core::task::Task;
use bailiwick_store::{Reads, StoreError};

/// Live leases below the subjects: those of the tasks that end and those that a subject's own fence ends.
pub(super) fn leases(rows: &dyn Reads, subjects: &[Subject]) -> Result<Vec<LeaseId>, StoreError> {
    let mut ending = BTreeSet::new();
    for root in tasks(rows, subjects)? {
        ending.extend(rows.subtree(root.id)?.iter().map(|task| task.id));
    }
    let of: Vec<LeasesOf> = subjects.iter().filter_map(leases_of).collect();
    let live = rows.live_leases()?.into_iter();
    let below = live
        .filter(|lease| ending.contains(&lease.task) || of.iter().any(|which| which.holds(lease)));
    Ok(below.map(|lease| lease.id).collect())
}

/// Open tasks that stand directly under the subjects; what is below them ends with them.
pub(super) fn tasks(rows: &dyn Reads, subjects: &[Subject]) -> Result<Vec<Task>, StoreError> {
    let mut found: Vec<Task> = Vec::new();
    for subject in subjects {
        let more = match subject {
            Subject::TrustDomain => rows.open_tasks()?,
            Subject::Owner(owner) => {
                let mut tasks = Vec::new();
                for agent in rows
                    .agents()?
                    .into_iter()
                    .filter(|agent| agent.owner == *owner)
                {
                    tasks.extend(rows.open_tasks_of_agent(&agent.name)?);
                }
                tasks
            }
            Subject::Agent(agent) => rows.open_tasks_of_agent(agent)?,
            Subject::User(user) => rows.open_tasks_of_user(user)?,
            Subject::Task(id) => rows.task(*id)?.into_iter().collect(),
            Subject::Instance(instance) => rows
                .open_tasks()?
                .into_iter()
                .filter(|task| task.instance == Some(*instance))
                .collect(),
            // What was delegated with a token or key hangs on it.
            Subject::Token(_) | Subject::Key(_) => rows
                .open_tasks()?
                .into_iter()
                .filter(|task| task.lineage.contains(subject))
                .collect(),
            Subject::Server(_) | Subject::Tool(_) | Subject::Credential(_) | Subject::Lease(_) => {
                Vec::new()
            }
        };
        found.extend(more);
    }
    Ok(found)
}

/// Live instances under the subjects.
pub(super) fn instances(rows: &dyn Reads, subjects: &[Subject]) -> Result<u64, StoreError> {
    let mut count = 0;
    for instance in rows.live_instances()? {
        for subject in subjects {
            let dead = match subject {
                Subject::TrustDomain => true,
                Subject::Agent(agent) => instance.agent == *agent,
                Subject::Owner(owner) => rows
                    .agent(&instance.agent)?
                    .is_some_and(|agent| agent.owner == *owner),
                Subject::Instance(id) => instance.id == *id,
                _ => false,
            };
            if dead {
                count += 1;
                break;
            }
        }
    }
    Ok(count)
}

/// The leases that a subject's fence ends, beyond those of ended tasks.
pub(super) fn leases_of(subject: &Subject) -> Option<LeasesOf> {
    match subject {
        Subject::TrustDomain => Some(LeasesOf::Every),
        Subject::Agent(agent) => Some(LeasesOf::Agent(agent.clone())),
        Subject::Instance(instance) => Some(LeasesOf::Instance(*instance)),
        Subject::Task(task) => Some(LeasesOf::Task(*task)),
        Subject::Server(server) => Some(LeasesOf::Server(server.clone())),
        Subject::Credential(credential) => Some(LeasesOf::Credential(credential.clone())),
        Subject::Lease(lease) => Some(LeasesOf::Lease(*lease)),
        Subject::Token(_) | Subject::Key(_) => Some(LeasesOf::With(subject.clone())),
        Subject::Owner(_) | Subject::User(_) | Subject::Tool(_) => None,
    }
}
