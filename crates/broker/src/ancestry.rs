//! Whether a lease may live: its task is open, it leads to the acting instance, and no fence stands on anything above it (02, fences).

use bailiwick_core::Timestamp;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::instance::InstanceState;
use bailiwick_core::task::Task;
use bailiwick_store::{Reads, StoreError, facts};

use bailiwick_core::lease::Wanted;

use crate::LeaseError;

/// The task that the lease dies with, if nothing above the lease is dead at `now`.
pub(crate) fn check(rows: &dyn Reads, want: &Wanted, now: Timestamp) -> Result<Task, LeaseError> {
    let denied = |why: String| LeaseError::Denied {
        credential: want.credential.clone(),
        why,
    };
    let task = rows
        .task(want.task)?
        .ok_or_else(|| denied(format!("there is no task {}", want.task)))?;
    if let Some(code) = task
        .refusal(now)
        .or_else(|| (now >= task.scope.deadline()).then_some(bailiwick_core::Code::TaskExpired))
    {
        return Err(LeaseError::Task {
            task: task.id,
            code,
        });
    }
    if task.agent != want.agent || task.instance != Some(want.instance) {
        return Err(denied(format!(
            "{} of agent {} does not act in task {}",
            want.instance, want.agent, task.id
        )));
    }
    let live = rows
        .instance(want.instance)?
        .is_some_and(|instance| instance.state == InstanceState::Live);
    if !live {
        return Err(denied(format!("{} is not running", want.instance)));
    }
    if let Some(name) = &want.server {
        let server = rows
            .server(name)?
            .ok_or_else(|| denied(format!("there is no server {name}")))?;
        if server.credential.as_ref() != Some(&want.credential) {
            return Err(denied(format!(
                "server {} is not registered with it",
                server.name
            )));
        }
    }
    if let Some(fence) = fenced(rows, want, &task)? {
        return Err(LeaseError::Revoked {
            subject: fence.subject,
            reason: fence.reason,
        });
    }
    Ok(task)
}

fn fenced(rows: &dyn Reads, want: &Wanted, task: &Task) -> Result<Option<Fence>, LeaseError> {
    let chain = facts::chain(rows, task).ok_or_else(|| LeaseError::Denied {
        credential: want.credential.clone(),
        why: "its chain of tasks is not complete".to_owned(),
    })?;
    let mut subjects = chain.subjects();
    // What is asked for now is born now: a lifted fence on server or credential does not reach it.
    let born = rows.head().saturating_add(1);
    subjects.extend(
        want.server
            .iter()
            .map(|server| (Subject::Server(server.clone()), born)),
    );
    // What is dead of these stays dead.
    subjects.extend(want.lineage.iter().cloned().map(|subject| (subject, 0)));
    subjects.push((Subject::Credential(want.credential.clone()), born));
    Ok(facts::fenced(rows, &subjects)?)
}

impl From<StoreError> for LeaseError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
