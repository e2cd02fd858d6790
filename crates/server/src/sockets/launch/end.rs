//! The end of a launch: no process of it is served any more, its task ends with everything below it, its leases are taken away, and what
//! was done in it is counted.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_core::event::EventType;
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::task::TaskState;

use super::protocol::Summary;
use super::{Launchpad, Running};

/// How long an ended launch waits for its leases to be verified dead.
const WAIT_DEAD: Duration = Duration::from_secs(5);
/// How long it waits for the record to be in its index.
const WAIT_COUNT: Duration = Duration::from_secs(2);

impl Launchpad {
    /// From now on no process of the launch has an identity: not for what it does next, and what it does now is cut.
    pub(super) async fn silence(&self, running: &Running) {
        if let Some(way_out) = &running.way_out {
            way_out.close();
        }
        self.end_instance(running.attested.instance.id).await;
    }

    pub(super) async fn end_instance(&self, id: InstanceId) {
        if let Err(error) = self.app.authority.instance_exited(id).await {
            tracing::error!(instance = %id, %error, "a launch could not be ended yet");
        }
        self.app.control.cut_instance(id).await;
    }

    pub(super) async fn end_task(&self, uid: u32, id: TaskId, state: TaskState) {
        match self.app.control.launch_ended(uid, id, state).await {
            Err(problem) if problem.code != Code::TaskEnded => {
                tracing::error!(task = %id, %problem, "a launch's task could not be ended yet");
            }
            _ => {}
        }
    }

    pub(super) async fn end(&self, running: Running, state: TaskState) -> Summary {
        let (instance, task) = (running.attested.instance.id, running.task.id);
        self.silence(&running).await;
        self.end_task(running.peer.uid, task, state).await;
        // Tasks that its processes were bound to beside the launch's own.
        if let Err(problem) = self.app.control.instance_exited(instance).await {
            tracing::error!(%instance, %problem, "the tasks of a launch could not be ended yet");
        }
        // From here on what is left of it is a process like any other.
        drop(running);
        let leases = self.app.control.leases_of_ended(task, WAIT_DEAD).await;
        let leases = leases.unwrap_or_else(|problem| {
            tracing::error!(%task, %problem, "what became of the leases of a launch cannot be read");
            bailiwick_control::launches::LeaseTally::default()
        });
        let counted = tokio::time::timeout(WAIT_COUNT, self.count(task)).await;
        let counted = counted.ok().flatten();
        Summary {
            calls: counted.map(|(calls, _)| calls),
            denials: counted.map(|(_, denials)| denials),
            leases: leases.leases,
            dead: leases.dead,
        }
    }

    /// Calls that were let through and calls that were refused, as the record has them.
    async fn count(&self, task: TaskId) -> Option<(u64, u64)> {
        self.app.index.caught_up().await;
        let index = Arc::clone(&self.app.index);
        let found = tokio::task::spawn_blocking(move || index.trace(task));
        let (found, ..) = found.await.ok()?.ok()?;
        let (mut calls, mut denials) = (0, 0);
        for entry in &found.entries {
            let event = entry.parse().ok()?.event;
            let decided = event.decision.as_ref().map(|decision| decision.effect);
            match event.kind {
                EventType::ToolIntent if decided == Some(Outcome::Allow) => calls += 1,
                EventType::ToolRefused => denials += 1,
                _ => {}
            }
        }
        Some((calls, denials))
    }
}
