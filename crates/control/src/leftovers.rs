//! What an ended task must not have any more (07, T3): a usable lease, a live approval, an open child, something that runs. Nothing of it
//! should ever be found. What is, outlived a crash or is a defect: it ends, on record.

use std::time::Duration;

use bailiwick_core::approval::ApprovalState;
use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{ApprovalId, LeaseId, TaskId};
use bailiwick_core::lease::LeaseState;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Fault, Problem};
use bailiwick_store::{ApprovalFilter, MAX_PAGE, Reads, StoreError, Tx};

use crate::tasks::{Ended, about};
use crate::tools::Refusal;
use crate::{Actor, Control};

/// What is found counts if it is found again after this long: the end of a task reaches its leases and streams a moment after its commit.
const GRACE: Duration = Duration::from_secs(2);

/// Something that outlived its task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leftover {
    /// What it is.
    pub(crate) what: Left,
    /// The task that has ended.
    pub(crate) task: TaskId,
}

/// What can outlive a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Left {
    /// A lease that can be used.
    Lease(LeaseId),
    /// An approval that waits or was not used.
    Approval(ApprovalId),
    /// A task that was delegated from it, directly or not, and is open.
    Child(TaskId),
    /// A call or stream, by the enforcement point's number for it.
    Stream(u64),
}

impl Left {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Lease(_) => "lease",
            Self::Approval(_) => "approval",
            Self::Child(_) => "task",
            Self::Stream(_) => "stream",
        }
    }

    fn id(&self) -> String {
        match self {
            Self::Lease(id) => id.to_string(),
            Self::Approval(id) => id.to_string(),
            Self::Child(id) => id.to_string(),
            Self::Stream(number) => number.to_string(),
        }
    }
}

impl Control {
    /// Ends what has outlived its task, and says what that was. Takes two seconds if there seems to be something.
    pub(crate) async fn end_leftovers(&self, actor: &Actor) -> Result<Vec<Leftover>, Problem> {
        let mut found = self.look().await?;
        if found.is_empty() {
            return Ok(found);
        }
        tokio::time::sleep(GRACE).await;
        let again = self.look().await?;
        found.retain(|one| again.contains(one));
        if found.is_empty() {
            return Ok(found);
        }
        tracing::error!(?found, "ended tasks still had something; it is ended now");
        let (control, actor, all) = (self.clone(), actor.clone(), found.clone());
        let write = self.parts.store.write(move |tx| {
            let mut leases = Vec::new();
            for one in &all {
                control.end_leftover(tx, &actor, one, &mut leases)?;
            }
            Ok::<_, Refusal>(leases)
        });
        let leases = write.await.map_err(Refusal::problem)?;
        self.carry();
        let tasks: Vec<Subject> = found.iter().map(|one| Subject::Task(one.task)).collect();
        self.parts.cutter.cut(&tasks);
        self.finish_leases(&leases).await;
        Ok(found)
    }

    async fn look(&self) -> Result<Vec<Leftover>, Problem> {
        let read = self.parts.store.read(left);
        let mut found = read.await.map_err(|error: StoreError| error.problem())?;
        let running = self.parts.cutter.outlived().into_iter();
        found.extend(running.map(|(number, task)| Leftover {
            what: Left::Stream(number),
            task,
        }));
        found.sort();
        Ok(found)
    }

    /// Ends one thing with its event; a lease is added to those to be finished.
    fn end_leftover(
        &self,
        tx: &mut dyn Tx,
        actor: &Actor,
        one: &Leftover,
        leases: &mut Vec<LeaseId>,
    ) -> Result<(), Refusal> {
        let task = tx.task(one.task)?;
        let event = self.event(EventType::TaskOutlived, actor, "leftovers.end");
        let mut event = match &task {
            Some(task) => about(event, tx, task),
            None => event,
        };
        event.change = Some(ChangeRef {
            kind: one.what.kind().to_owned(),
            id: one.what.id(),
            before: None,
            after: Some("ended".to_owned()),
        });
        let cause = event.id;
        self.parts.journal.push(tx, &event)?;
        match &one.what {
            Left::Lease(id) => {
                let broker = &self.parts.broker;
                if broker.revoke_lease(tx, *id, "task_ended", Some(cause))? {
                    leases.push(*id);
                }
            }
            Left::Approval(id) => {
                if let Some(mut approval) = tx.approval(*id)?
                    && approval.void()
                {
                    tx.put_approval(&approval)?;
                    self.close_approval(tx, actor, &approval, Some(cause))?;
                }
            }
            Left::Child(id) => {
                let ending = self.ending(actor, "leftovers.end").leases_by("task_ended");
                let mut ended = Ended::default();
                let ending = ending.caused_by(cause);
                ending.tree(tx, *id, TaskState::Revoked, &mut ended)?;
                leases.extend(ended.leases);
            }
            // Cut after the commit.
            Left::Stream(_) => {}
        }
        Ok(())
    }
}

/// What the store has of ended tasks.
fn left(rows: &dyn Reads) -> Result<Vec<Leftover>, StoreError> {
    let mut found = Vec::new();
    let over = |id: TaskId| -> Result<bool, StoreError> {
        Ok(rows
            .task(id)?
            .is_none_or(|task: Task| task.state != TaskState::Open))
    };
    for lease in rows.live_leases()? {
        let usable = matches!(lease.state, LeaseState::Intent | LeaseState::Active);
        if usable && over(lease.task)? {
            found.push(Leftover {
                what: Left::Lease(lease.id),
                task: lease.task,
            });
        }
    }
    for state in [ApprovalState::Pending, ApprovalState::Approved] {
        let filter = ApprovalFilter {
            state: Some(state),
            task: None,
        };
        let mut after = None;
        loop {
            let page = rows.approvals(&filter, after, MAX_PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for approval in page {
                if over(approval.task)? {
                    found.push(Leftover {
                        what: Left::Approval(approval.id),
                        task: approval.task,
                    });
                }
            }
        }
    }
    for task in rows.open_tasks()? {
        for above in &task.ancestors {
            if over(*above)? {
                found.push(Leftover {
                    what: Left::Child(task.id),
                    task: *above,
                });
                break;
            }
        }
    }
    Ok(found)
}
