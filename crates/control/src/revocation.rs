//! Revocation without delay (02 §9): the fence holds in this process first, then in one transaction with everything it ends;
//! then live calls are cut and credentials taken away. Nothing here waits for the audit log.

mod plan;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bailiwick_broker::LeasesOf;
use bailiwick_core::event::{ChangeRef, EventType, Sealed, SealedClass};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{EventId, FenceId, RevocationId, TaskId};
use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::{RevocationRow, StoreError};

use crate::tasks::Ended;
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};
use plan::{instances, leases_of, plan, tasks};

/// One order names at most this many subjects.
pub const MAX_SUBJECTS: usize = 64;
/// Orders that wait to be stored.
const MAX_UNSETTLED: usize = 256;
/// A reason has at most this many bytes.
const MAX_REASON: usize = 1_024;

/// What a revocation did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationReport {
    /// Its id; none for a dry run.
    pub id: Option<RevocationId>,
    /// The fences it set.
    pub fences: Vec<Fence>,
    /// Feed sequence of the last fence.
    pub seq: u64,
    /// What ended with it.
    pub cut: Cut,
}

/// What ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Open tasks, subtrees included.
    pub tasks: u64,
    /// Pending and unused approvals.
    pub approvals: u64,
    /// Live instances.
    pub instances: u64,
    /// Live leases; after the order: those verified gone.
    pub leases: u64,
    /// Calls and streams that were cut; 0 for a dry run.
    pub streams: u64,
}

impl Control {
    /// Revokes subjects and everything below them. With `dry_run` only says what would end.
    pub async fn revoke(
        &self,
        actor: &Actor,
        subjects: Vec<Subject>,
        reason: String,
        dry_run: bool,
    ) -> Result<RevocationReport, Problem> {
        actor.may(Operation::Revoke)?;
        if subjects.is_empty() || subjects.len() > MAX_SUBJECTS {
            return Err(Problem::new(
                Code::InvalidInput,
                format!("name 1 to {MAX_SUBJECTS} subjects"),
                "",
            ));
        }
        if reason.len() > MAX_REASON {
            return Err(Problem::new(
                Code::InvalidInput,
                "a reason has at most 1,024 bytes",
                "",
            ));
        }
        if dry_run {
            let plan = self
                .parts
                .store
                .read(move |rows| plan(rows, &subjects))
                .await;
            let cut = plan.map_err(|error: StoreError| error.problem())?;
            return Ok(RevocationReport {
                id: None,
                fences: Vec::new(),
                seq: 0,
                cut,
            });
        }
        let (id, now) = (self.id(), self.now());
        let fences: Vec<Fence> = subjects
            .into_iter()
            .map(|subject| Fence {
                id: self.id(),
                subject,
                seq: 0,
                lifted_seq: None,
                revocation: id,
                reason: reason.clone(),
                actor: actor.name.clone(),
                set_at: now,
            })
            .collect();
        // From here on every decision in this process says no, whatever happens to the commit.
        let mut streams = self.parts.cutter.fence(&fences);
        let order = Order {
            id,
            event: self.id(),
            actor: actor.clone(),
            reason,
            fences,
        };
        let committed = self.commit(order.clone()).await;
        let subjects: Vec<Subject> = order
            .fences
            .iter()
            .map(|fence| fence.subject.clone())
            .collect();
        streams += self.parts.cutter.cut(&subjects);
        let (fences, tasks, mut cut) = committed.map_err(|problem| {
            tracing::error!(%problem, revocation = %id, "a fence holds in this process but is not durable");
            self.retry_later(order.clone());
            Problem::new(
                Code::FenceNotDurable,
                format!("the fence holds on this node but could not be stored: {problem}"),
                "free space on the node's data disk: the node tries again every second. Do not restart it before",
            )
        })?;
        let (task_streams, task_leases) = self.cut_tasks(&tasks, "revoked").await;
        streams += task_streams;
        let of: Vec<LeasesOf> = subjects.iter().filter_map(leases_of).collect();
        cut.leases = task_leases + self.end_leases(&of, "revoked").await;
        cut.streams = u64::try_from(streams).unwrap_or(u64::MAX);
        let seq = fences.iter().map(|fence| fence.seq).max().unwrap_or(0);
        self.finish(&order, seq, cut).await;
        Ok(RevocationReport {
            id: Some(id),
            fences,
            seq,
            cut,
        })
    }

    /// Keeps an order for the sweeper. Beyond the bound it is lost with this process; its fences hold here all the same.
    fn retry_later(&self, order: Order) {
        let mut unsettled = self
            .unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if unsettled.len() < MAX_UNSETTLED {
            unsettled.push(order);
        }
    }

    /// Stores fences that could not be stored when they were ordered. Those that still cannot stay for the next time.
    pub(crate) async fn retry_fences(&self) {
        let orders = std::mem::take(
            &mut *self
                .unsettled
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for order in orders {
            match self.commit(order.clone()).await {
                Ok((_, tasks, _)) => {
                    self.cut_tasks(&tasks, "revoked").await;
                    tracing::info!(revocation = %order.id, "a fence is durable now");
                }
                Err(_) => self.retry_later(order),
            }
        }
    }

    /// Fences, ended tasks, void approvals and their events, in one transaction.
    async fn commit(&self, order: Order) -> Result<(Vec<Fence>, Vec<TaskId>, Cut), Problem> {
        let ending = self.ending(&order.actor, "revoke").caused_by(order.event);
        let control = self.clone();
        self.parts
            .store
            .write(move |tx| {
                let subjects: Vec<Subject> = order
                    .fences
                    .iter()
                    .map(|fence| fence.subject.clone())
                    .collect();
                let mut cut = Cut {
                    instances: instances(tx, &subjects)?,
                    ..Cut::default()
                };
                let mut fences = Vec::with_capacity(order.fences.len());
                for (at, fence) in order.fences.iter().enumerate() {
                    let fence = Fence {
                        seq: tx.head() + 1,
                        ..fence.clone()
                    };
                    tx.put_fence(&fence)?;
                    let mut event = control.fence_event(EventType::FenceSet, &order.actor, &fence);
                    if at == 0 {
                        event.id = order.event;
                    } else {
                        event.cause = Some(order.event);
                    }
                    control.parts.journal.push(tx, &event)?;
                    fences.push(fence);
                }
                let mut ended_ids = Vec::new();
                for task in tasks(tx, &subjects)? {
                    let (ids, ended): (_, Ended) = ending.tree(tx, task.id, TaskState::Revoked)?;
                    ended_ids.extend(ids);
                    cut.tasks += ended.tasks;
                    cut.approvals += ended.approvals;
                }
                tx.put_revocation(&RevocationRow {
                    id: order.id,
                    subjects,
                    reason: order.reason.clone(),
                    actor: order.actor.name.clone(),
                    created_at: control.now(),
                    seq: tx.head(),
                    cut: BTreeMap::new(),
                })?;
                Ok::<_, Refusal>((fences, ended_ids, cut))
            })
            .await
            .map_err(Refusal::problem)
    }

    /// Keeps what was cut with the order. A failure loses the counts, not the fence.
    async fn finish(&self, order: &Order, seq: u64, cut: Cut) {
        let counts = [
            ("tasks", cut.tasks),
            ("approvals", cut.approvals),
            ("instances", cut.instances),
            ("leases", cut.leases),
            ("streams", cut.streams),
        ];
        let row = RevocationRow {
            id: order.id,
            subjects: order
                .fences
                .iter()
                .map(|fence| fence.subject.clone())
                .collect(),
            reason: order.reason.clone(),
            actor: order.actor.name.clone(),
            created_at: self.now(),
            seq,
            cut: counts
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
        };
        let mut event = self.change_event(
            EventType::FenceReached,
            &order.actor,
            "revoke",
            "revocation",
            &order.id,
        );
        event.cause = Some(order.event);
        if let Some(change) = &mut event.change {
            change.after = Some(
                counts
                    .map(|(name, count)| format!("{name}={count}"))
                    .join(" "),
            );
        }
        let journal = Arc::clone(&self.parts.journal);
        let kept = self
            .parts
            .store
            .write(move |tx| {
                tx.put_revocation(&row)?;
                journal.push(tx, &event)
            })
            .await;
        if let Err(error) = kept {
            let error: StoreError = error;
            tracing::error!(%error, revocation = %order.id, "what a revocation cut could not be kept");
        }
        self.carry();
    }

    /// All fences, oldest first.
    pub async fn fences(&self, actor: &Actor) -> Result<Vec<Fence>, Problem> {
        actor.may(Operation::Read)?;
        self.parts
            .store
            .read(|rows| rows.fences())
            .await
            .map_err(|error: StoreError| error.problem())
    }

    /// One revocation.
    pub async fn revocation(
        &self,
        actor: &Actor,
        id: RevocationId,
    ) -> Result<RevocationRow, Problem> {
        actor.may(Operation::Read)?;
        let unknown = move || StoreError::NotFound {
            kind: "revocation",
            key: id.to_string(),
        };
        let row = self
            .parts
            .store
            .read(move |rows| rows.revocation(id)?.ok_or_else(unknown))
            .await;
        row.map_err(|error: StoreError| error.problem())
    }

    /// Lifts a fence. What it killed stays dead: only what is born later lives.
    pub async fn lift(&self, actor: &Actor, id: FenceId, reason: String) -> Result<Fence, Problem> {
        actor.may(Operation::LiftFences)?;
        if reason.trim().is_empty() || reason.len() > MAX_REASON {
            return Err(Problem::new(
                Code::InvalidInput,
                "lifting a fence needs a reason of at most 1,024 bytes",
                "",
            ));
        }
        let (control, actor) = (self.clone(), actor.clone());
        let fence = self
            .parts
            .store
            .write(move |tx| {
                let mut fence = tx.fence(id)?.ok_or_else(|| StoreError::NotFound {
                    kind: "fence",
                    key: id.to_string(),
                })?;
                if !fence.subject.lifts() || fence.lifted_seq.is_some() {
                    let message =
                        format!("the fence on {} is final or lifted already", fence.subject);
                    return Err(Refusal::Problem(Problem::new(
                        Code::Conflict,
                        message,
                        "register or open anew",
                    )));
                }
                fence.lifted_seq = Some(tx.head() + 1);
                tx.put_fence(&fence)?;
                let mut event = control.fence_event(EventType::FenceLifted, &actor, &fence);
                event.sealed = vec![reason_of(&reason)];
                control.parts.journal.push(tx, &event)?;
                Ok::<_, Refusal>(fence)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(fence)
    }

    fn fence_event(
        &self,
        kind: EventType,
        actor: &Actor,
        fence: &Fence,
    ) -> bailiwick_core::event::Event {
        let mut event = self.event(kind, actor, "revoke");
        // A user's name is no part of a leaf; the fence's id leads to it.
        let subject = match &fence.subject {
            Subject::User(_) => "user".to_owned(),
            subject => subject.to_string(),
        };
        event.change = Some(ChangeRef {
            kind: "fence".to_owned(),
            id: fence.id.to_string(),
            before: None,
            after: Some(subject),
        });
        event.sealed = vec![reason_of(&fence.reason)];
        event
    }
}

/// An order on its way into the store.
#[derive(Clone)]
pub(crate) struct Order {
    id: RevocationId,
    /// The event of its first fence: what everything that falls with it names as its cause.
    event: EventId,
    actor: Actor,
    reason: String,
    fences: Vec<Fence>,
}

fn reason_of(reason: &str) -> Sealed {
    Sealed {
        path: "/reason",
        class: SealedClass::Content,
        value: reason.as_bytes().to_vec(),
        keep: true,
    }
}
