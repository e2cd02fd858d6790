//! Tasks that belong to something a unix user started: who may start which agent, and how such a task ends. Used by the stdio shim and by
//! `bailiwick run`.

use std::time::Duration;

use bailiwick_core::id::TaskId;
use bailiwick_core::lease::LeaseState;
use bailiwick_core::name::AgentName;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::{LeaseFilter, StoreError};

use crate::tasks::OpenTask;
use crate::{Actor, Control};

/// How often it is looked whether leases are dead.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Leases of one task that are counted.
const MOST_LEASES: usize = 1_000;

/// What became of the leases of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseTally {
    /// All there ever were.
    pub leases: u64,
    /// Those that are verified dead.
    pub dead: u64,
}

impl Control {
    /// The agent that a unix user starts: the one that was named, or the only one that the user may start.
    pub async fn launchable(
        &self,
        uid: u32,
        named: Option<AgentName>,
    ) -> Result<AgentName, Problem> {
        if let Some(agent) = named {
            return Ok(agent);
        }
        let agents = self.parts.store.read(|rows| rows.agents()).await;
        let agents = agents.map_err(|error: StoreError| error.problem())?;
        let mut may = agents
            .into_iter()
            .filter(|agent| agent.enabled && agent.launch_uids.contains(&uid))
            .map(|agent| agent.name);
        match (may.next(), may.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Problem::new(
                Code::NotPermitted,
                format!("user {uid} may not start any agent"),
                "an operator lists who may: `bailiwick agent add --launch-uid`",
            )),
            (Some(one), Some(two)) => {
                let all: Vec<String> = [one, two]
                    .into_iter()
                    .chain(may)
                    .map(|name| name.to_string())
                    .collect();
                Err(Problem::new(
                    Code::InvalidInput,
                    format!("user {uid} may start several agents: {}", all.join(", ")),
                    "say which: --agent NAME",
                ))
            }
        }
    }

    /// Opens a task for an agent's launcher: a unix user that the agent's registration lets start it.
    pub async fn launch(&self, uid: u32, open: OpenTask) -> Result<Task, Problem> {
        let agent = open.agent.clone();
        let row = self.parts.store.read(move |rows| rows.agent(&agent)).await;
        let row = row.map_err(|error: StoreError| error.problem())?;
        if !row.is_some_and(|agent| agent.launch_uids.contains(&uid)) {
            return Err(Problem::new(
                Code::NotPermitted,
                format!("user {uid} may not start agent {}", open.agent),
                "an operator lists who may: `bailiwick agent add --launch-uid`",
            ));
        }
        self.open(&launcher(uid), open).await
    }

    /// Ends a task that an agent's launcher opened, when that is over.
    pub async fn launch_ended(
        &self,
        uid: u32,
        id: TaskId,
        state: TaskState,
    ) -> Result<Task, Problem> {
        self.end(&launcher(uid), id, state, "launch.ended").await
    }

    /// Waits until every lease of a task is verified dead, at most so long; what became of them.
    pub async fn leases_of_ended(
        &self,
        task: TaskId,
        wait: Duration,
    ) -> Result<LeaseTally, Problem> {
        let until = self.parts.clock.monotonic() + wait;
        loop {
            let filter = LeaseFilter {
                task: Some(task),
                ..LeaseFilter::default()
            };
            let read = self
                .parts
                .store
                .read(move |rows| rows.leases(&filter, None, MOST_LEASES));
            let leases = read.await.map_err(|error: StoreError| error.problem())?;
            let dead = leases
                .iter()
                .filter(|lease| lease.state == LeaseState::Tombstone)
                .count();
            let tally = LeaseTally {
                leases: u64::try_from(leases.len()).unwrap_or(u64::MAX),
                dead: u64::try_from(dead).unwrap_or(u64::MAX),
            };
            if tally.leases == tally.dead || self.parts.clock.monotonic() >= until {
                return Ok(tally);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Somebody who starts agents holds no role by that.
fn launcher(uid: u32) -> Actor {
    Actor {
        roles: Vec::new(),
        ..Actor::unix(uid)
    }
}
