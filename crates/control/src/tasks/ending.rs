//! The end of a task inside its transaction: its subtree, its approvals, its leases, the events that tell of it. Then what follows the
//! commit.

use bailiwick_broker::LeasesOf;
use bailiwick_core::Timestamp;
use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{EventId, LeaseId, TaskId};
use bailiwick_core::instance::InstanceState;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_store::{StoreError, Tx};

use super::about;
use crate::tools::Refusal;
use crate::{Actor, Control};

/// What the end of a task, or of several, took with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Tasks, the subtree included.
    pub(crate) tasks: Vec<TaskId>,
    /// Pending and unused approvals.
    pub(crate) approvals: u64,
    /// Leases that serve nobody from the commit on.
    pub(crate) leases: Vec<LeaseId>,
}

impl Control {
    /// Ends tasks as something that somebody does, which the leases of these tasks are said to have ended by.
    pub(crate) fn ending(&self, actor: &Actor, op: &'static str) -> Ending {
        Ending {
            control: self.clone(),
            actor: actor.clone(),
            op,
            lease_cause: op,
            cause: None,
            now: self.now(),
        }
    }

    /// What follows the commit that ended tasks: their calls and streams are cut, their credentials taken away. Their authority is gone
    /// already.
    pub(crate) async fn ended(&self, ended: &Ended) {
        self.carry();
        self.cut_streams(&ended.tasks);
        self.finish_leases(&ended.leases).await;
    }

    /// Cuts calls and streams of ended tasks; how many there were.
    pub(crate) fn cut_streams(&self, ids: &[TaskId]) -> usize {
        let subjects: Vec<Subject> = ids.iter().copied().map(Subject::Task).collect();
        self.parts.cutter.cut(&subjects)
    }
}

/// Ends subtrees inside a transaction.
pub(crate) struct Ending {
    control: Control,
    actor: Actor,
    op: &'static str,
    lease_cause: &'static str,
    cause: Option<EventId>,
    now: Timestamp,
}

impl Ending {
    /// Names the event that sets it off, if there is one.
    pub(crate) fn caused_by(self, event: impl Into<Option<EventId>>) -> Self {
        Self {
            cause: event.into(),
            ..self
        }
    }

    /// Names what leases are said to have ended by, where that is not what was done.
    pub(crate) fn leases_by(self, lease_cause: &'static str) -> Self {
        Self {
            lease_cause,
            ..self
        }
    }

    /// Ends every open task at and below `id`, deepest first, with its approvals and leases. Tasks above an ended one stay as they are.
    pub(crate) fn tree(
        &self,
        tx: &mut dyn Tx,
        id: TaskId,
        state: TaskState,
        ended: &mut Ended,
    ) -> Result<(), Refusal> {
        for known in tx.subtree(id)? {
            // What ended below it may have left its labels.
            let Some(mut task) = tx.task(known.id)? else {
                continue;
            };
            if task.state != TaskState::Open {
                continue;
            }
            // A task that a person completes takes what hangs on it along, unfinished.
            let to = match (task.id == id, state) {
                (false, TaskState::Completed) => TaskState::Cancelled,
                _ => state,
            };
            if task.end(to).is_err() {
                continue;
            }
            tx.put_task(&task)?;
            end_client(tx, &task)?;
            self.tell(tx, &task, to)?;
            self.hand_up(tx, &task)?;
            ended.approvals += self.void_approvals(tx, task.id)?;
            let broker = &self.control.parts.broker;
            let of = [LeasesOf::Task(task.id)];
            let leases = broker.revoke_leases(tx, &of, self.lease_cause, self.cause)?;
            ended.leases.extend(leases);
            ended.tasks.push(task.id);
        }
        Ok(())
    }

    fn tell(&self, tx: &mut dyn Tx, task: &Task, to: TaskState) -> Result<(), Refusal> {
        let event = self
            .control
            .event(EventType::TaskEnded, &self.actor, self.op);
        let mut event = about(event, tx, task);
        event.cause = self.cause;
        event.change = Some(ChangeRef {
            kind: "task".to_owned(),
            id: task.id.to_string(),
            before: Some("open".to_owned()),
            after: Some(to.as_str().to_owned()),
        });
        Ok(self.control.parts.journal.push(tx, &event)?)
    }

    /// What a task has read, the one that it worked for may know.
    fn hand_up(&self, tx: &mut dyn Tx, task: &Task) -> Result<(), Refusal> {
        let parent = task.parent.map(|id| tx.task(id)).transpose()?.flatten();
        let Some(mut parent) = parent.filter(|parent| parent.state == TaskState::Open) else {
            return Ok(());
        };
        if parent.labels.join(&task.labels) {
            parent.version += 1;
            tx.put_task(&parent)?;
            let event = self
                .control
                .event(EventType::TaskChanged, &self.actor, "tasks.label");
            let mut event = about(event, tx, &parent);
            event.cause = self.cause;
            self.control.parts.journal.push(tx, &event)?;
        }
        Ok(())
    }

    fn void_approvals(&self, tx: &mut dyn Tx, task: TaskId) -> Result<u64, Refusal> {
        let mut count = 0;
        for mut approval in tx.live_approvals_of_task(task)? {
            // Whatever it is by the clock, it can be used no more.
            if !approval.expire(self.now) && !approval.void() {
                continue;
            }
            tx.put_approval(&approval)?;
            self.control
                .close_approval(tx, &self.actor, &approval, self.cause)?;
            count += 1;
        }
        Ok(count)
    }
}

/// An OAuth client's instance is one consent, for one task: it ends with it.
fn end_client(tx: &mut dyn Tx, task: &Task) -> Result<(), StoreError> {
    let row = task
        .instance
        .map(|id| tx.instance(id))
        .transpose()?
        .flatten();
    let live = row.filter(|row| row.client.is_some() && row.state == InstanceState::Live);
    match live {
        Some(mut instance) => {
            instance.state = InstanceState::Ended;
            tx.put_instance(&instance)
        }
        None => Ok(()),
    }
}
