//! The end of a task inside its transaction: its subtree, its approvals, the events that tell of it.

use bailiwick_core::Timestamp;
use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::instance::InstanceState;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_store::{StoreError, Tx};

use super::about;
use crate::tools::Refusal;
use crate::{Actor, Control};

/// What the end of a task, or of several, took with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Tasks, the subtree included.
    pub tasks: u64,
    /// Pending and unused approvals.
    pub approvals: u64,
}

impl Control {
    pub(crate) fn ending(&self, actor: &Actor, op: &'static str) -> Ending {
        Ending {
            control: self.clone(),
            actor: actor.clone(),
            op,
            cause: None,
            now: self.now(),
        }
    }
}

/// Ends subtrees inside a transaction.
pub(crate) struct Ending {
    control: Control,
    actor: Actor,
    op: &'static str,
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

    /// Ends every open task at and below `id`, deepest first, with its approvals. Tasks above an ended one stay as they are.
    pub(crate) fn tree(
        &self,
        tx: &mut dyn Tx,
        id: TaskId,
        state: TaskState,
    ) -> Result<(Vec<TaskId>, Ended), Refusal> {
        let mut ids = Vec::new();
        let mut ended = Ended::default();
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
            self.hand_up(tx, &task)?;
            ended.tasks += 1;
            ids.push(task.id);
            ended.approvals += self.void_approvals(tx, task.id)?;
            end_client(tx, &task)?;
            let mut event = about(
                self.control
                    .event(EventType::TaskEnded, &self.actor, self.op),
                tx,
                &task,
            );
            event.cause = self.cause;
            event.change = Some(ChangeRef {
                kind: "task".to_owned(),
                id: task.id.to_string(),
                before: Some("open".to_owned()),
                after: Some(to.as_str().to_owned()),
            });
            self.control.parts.journal.push(tx, &event)?;
        }
        Ok((ids, ended))
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
