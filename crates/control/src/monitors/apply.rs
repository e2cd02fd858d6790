//! What follows from a signal: risk rises, a process is fenced, the owner is told. Each is on record with the detector's words.

use std::sync::Arc;

use bailiwick_core::event::{ChangeRef, Event, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::risk::Risk;
use bailiwick_core::{Fault, Problem};
use bailiwick_store::{StoreError, facts};

use super::{Effect, Signal};
use crate::revocation::Wait;
use crate::tasks::about;
use crate::tools::Refusal;
use crate::{Actor, Control};

impl Control {
    /// Carries a signal out.
    pub(super) async fn signalled(&self, signal: &Signal) -> Result<(), Problem> {
        let heeded = match signal.effect {
            Effect::Raise(task, risk) => self.raise(task, risk, signal).await?,
            Effect::Suspend(task, instance) => {
                if let Some(task) = task {
                    self.raise(task, Risk::Critical, signal).await?;
                }
                self.suspend(instance, signal).await?
            }
            Effect::Tell => true,
        };
        if heeded {
            tracing::warn!(detector = signal.detector, event = %signal.event, "a monitor fired");
            self.tell_owner(signal).await?;
        }
        Ok(())
    }

    /// Whether the risk rose: not if it is as high already, or the task is over.
    async fn raise(&self, id: TaskId, risk: Risk, signal: &Signal) -> Result<bool, Problem> {
        let mut event = self.event(EventType::TaskChanged, &Actor::system(), "monitors.raise");
        event.cause = Some(signal.event);
        let words = format!("{} by {}: {}", risk.as_str(), signal.detector, signal.why);
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        let rose = self
            .parts
            .store
            .write(move |tx| {
                let Some(mut task) = tx.task(id)? else {
                    return Ok(false);
                };
                if task.refusal(now).is_some() || task.risk >= risk {
                    return Ok(false);
                }
                let before = task.risk;
                task.risk = risk;
                task.version += 1;
                tx.put_task(&task)?;
                let mut event = about(event.clone(), tx, &task);
                event.change = Some(ChangeRef {
                    kind: "risk".to_owned(),
                    id: id.to_string(),
                    before: Some(before.as_str().to_owned()),
                    after: Some(words.clone()),
                });
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(true)
            })
            .await
            .map_err(Refusal::problem)?;
        // What narrows waits for no log.
        self.carry();
        Ok(rose)
    }

    /// Whether the process was fenced now: not if it was already.
    async fn suspend(&self, instance: InstanceId, signal: &Signal) -> Result<bool, Problem> {
        let subject = Subject::Instance(instance);
        let asked = [(subject.clone(), 0)];
        let read = self
            .parts
            .store
            .read(move |rows| facts::fenced(rows, &asked));
        let fenced = read.await.map_err(|error: StoreError| error.problem())?;
        if fenced.is_some() {
            return Ok(false);
        }
        let reason = format!("monitor {}: {}", signal.detector, signal.why);
        let order = self.order(&Actor::system(), vec![subject], reason);
        self.carry_out(order, Wait::None).await?;
        Ok(true)
    }

    /// An event for whoever answers for the agent; who follows the record, or ships it, learns of it.
    async fn tell_owner(&self, signal: &Signal) -> Result<(), Problem> {
        let mut event: Event =
            self.event(EventType::NoticeGiven, &Actor::system(), "monitors.tell");
        event.cause = Some(signal.event);
        event.owner.clone_from(&signal.owner);
        let whom = signal.owner.as_ref();
        event.change = Some(ChangeRef {
            kind: "notice".to_owned(),
            id: whom.map_or_else(|| "operators".to_owned(), |owner| format!("owner:{owner}")),
            before: None,
            after: Some(format!("{}: {}", signal.detector, signal.why)),
        });
        let journal = Arc::clone(&self.parts.journal);
        let pushed = self
            .parts
            .store
            .write(move |tx| journal.push(tx, &event).map_err(Refusal::from))
            .await;
        pushed.map_err(Refusal::problem)?;
        self.carry();
        Ok(())
    }
}
