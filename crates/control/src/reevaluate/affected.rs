//! What changes concern of what the store keeps: open tasks with their agents and parents, usable leases, live approvals.

use std::collections::HashMap;

use bailiwick_core::Timestamp;
use bailiwick_core::agent::Agent;
use bailiwick_core::approval::Approval;
use bailiwick_core::chain::Chain;
use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::name::AgentName;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::trigger::Trigger;
use bailiwick_policy::Facts;
use bailiwick_store::{Reads, StoreError, facts};

use crate::artefacts::known_of;

use super::Due;

/// What is to be decided again.
#[derive(Debug, Default)]
pub(super) struct Affected {
    pub(super) tasks: Vec<TaskAgain>,
    /// As of this change.
    pub(super) seq: u64,
}

/// The event that made somebody look.
#[derive(Debug, Clone, Copy)]
pub(super) struct By(pub(super) Option<EventId>);

/// One task, with what of it is to be decided again.
#[derive(Debug)]
pub(super) struct TaskAgain {
    pub(super) task: Task,
    /// None if something above it is missing, which is no authority.
    pub(super) chain: Option<Chain>,
    /// What is known of its process.
    pub(super) facts: Facts,
    /// None if its agent was removed.
    pub(super) agent: Option<Agent>,
    pub(super) parent: Option<(Task, Option<Chain>, Facts)>,
    /// The event that has the task itself looked at; none if nothing has.
    pub(super) itself: Option<By>,
    pub(super) leases: Vec<(Lease, Option<EventId>)>,
    pub(super) approvals: Vec<(Approval, Option<EventId>)>,
}

impl Affected {
    /// What these changes concern. Of several the first is the cause.
    pub(super) fn by(rows: &dyn Reads, due: &[Due], now: Timestamp) -> Result<Self, StoreError> {
        let mut affected = Self {
            seq: rows.head(),
            ..Self::default()
        };
        let tasks = tasks(rows, due)?;
        let agents: HashMap<TaskId, AgentName> = tasks
            .iter()
            .map(|task| (task.id, task.agent.clone()))
            .collect();
        for task in tasks {
            let mut chain = vec![task.agent.clone()];
            for id in &task.ancestors {
                match agents.get(id) {
                    Some(agent) => chain.push(agent.clone()),
                    None => chain.extend(rows.task(*id)?.map(|above| above.agent)),
                }
            }
            let of_task: Vec<&Due> = due
                .iter()
                .filter(|(trigger, _)| trigger.concerns(&task, chain.iter()))
                .collect();
            if !of_task.is_empty() {
                affected.tasks.extend(again(rows, task, &of_task, now)?);
            }
        }
        Ok(affected)
    }
}

/// The open tasks that have to be looked at: those named, or all.
fn tasks(rows: &dyn Reads, due: &[Due]) -> Result<Vec<Task>, StoreError> {
    let mut named: Vec<Task> = Vec::new();
    for (trigger, _) in due {
        let Trigger::Task(id) = trigger else {
            return rows.open_tasks();
        };
        for task in rows.subtree(*id)? {
            let known = named.iter().any(|known| known.id == task.id);
            if task.state == TaskState::Open && !known {
                named.push(task);
            }
        }
    }
    Ok(named)
}

fn again(
    rows: &dyn Reads,
    task: Task,
    due: &[&Due],
    now: Timestamp,
) -> Result<Option<TaskAgain>, StoreError> {
    let at = |lease: &Lease| {
        let mut due = due.iter();
        let found = due.find(|(trigger, _)| match (trigger, &lease.server) {
            (Trigger::Server(name), server) => server.as_ref() == Some(name),
            (Trigger::Tool(_), _) => false,
            _ => true,
        });
        found.map(|(_, event)| *event)
    };
    let leases = rows.live_leases_of_task(task.id)?.into_iter();
    let leases =
        leases.filter(|lease| matches!(lease.state, LeaseState::Intent | LeaseState::Active));
    let leases = leases.filter_map(|lease| at(&lease).map(|event| (lease, event)));
    let leases: Vec<_> = leases.collect();
    let approvals = rows.live_approvals_of_task(task.id)?.into_iter();
    let approvals = approvals.filter_map(|approval| {
        let (server, tool) = (&approval.tool.server, Some(&approval.tool));
        let mut due = due.iter();
        let found = due.find(|(trigger, _)| trigger.reaches(server, tool));
        found.map(|(_, event)| (approval, *event))
    });
    let approvals: Vec<_> = approvals.collect();
    let mut due = due.iter();
    let itself = due.find(|(trigger, _)| !matches!(trigger, Trigger::Server(_) | Trigger::Tool(_)));
    let itself = itself.map(|(_, event)| By(*event));
    if itself.is_none() && leases.is_empty() && approvals.is_empty() {
        return Ok(None);
    }
    let parent = match task.parent {
        Some(id) => match rows.task(id)? {
            Some(parent) => {
                let known = known_of(rows, &parent, now)?;
                Some((parent.clone(), facts::chain(rows, &parent), known))
            }
            None => None,
        },
        None => None,
    };
    Ok(Some(TaskAgain {
        facts: known_of(rows, &task, now)?,
        chain: facts::chain(rows, &task),
        agent: rows.agent(&task.agent)?,
        parent,
        itself,
        leases,
        approvals,
        task,
    }))
}
