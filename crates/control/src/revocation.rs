//! Revocation without delay (02 §9): the fence holds in this process first, then in one transaction with everything it ends;
//! then live calls are cut and credentials taken away. Nothing here waits for the audit log.

mod fences;
mod plan;
mod reach;
mod receipt;
mod subtree;

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use bailiwick_broker::LeasesOf;
use bailiwick_core::event::{ChangeRef, EventType, Sealed, SealedClass};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{EventId, LeaseId, RevocationId, TaskId, TokenId};
use bailiwick_core::receipt::Point;
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_store::{RevocationRow, StoreError, facts};

use crate::tasks::Ended;
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};
use plan::{instances, leases, leases_of, tasks};
pub use receipt::Receipts;
pub use subtree::{Branch, MAX_BRANCHES, Subtree};

/// One order names at most this many subjects.
pub const MAX_SUBJECTS: usize = 64;
/// Orders that wait to be stored.
const MAX_UNSETTLED: usize = 256;
/// What leases that end this way are said to have ended by.
const CAUSE: &str = "revoked";
/// A reason has at most this many bytes.
const MAX_REASON: usize = 1_024;

/// What an order waits for before it is answered. The fence holds in all cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// Nothing but the commit.
    None,
    /// Every enforcement point being closed to the subjects.
    #[default]
    All,
    /// That, and each lease below them being verified dead, for a minute at most.
    Dead,
}

/// What a revocation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationReport {
    /// Its id.
    pub id: RevocationId,
    /// The fences it set.
    pub fences: Vec<Fence>,
    /// Feed sequence of the last fence.
    pub seq: u64,
    /// What ended with it.
    pub cut: Cut,
    /// Leases whose credential may still live where it was issued. No point uses them any more.
    pub pending: Vec<LeaseId>,
    /// The enforcement points, each closed to the subjects; none are named if nothing was waited for.
    pub points: Vec<Point>,
    /// The signed receipt; none yet if nothing was waited for, or while the audit log is down.
    pub receipt: Option<String>,
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
    /// What revoking subjects would end now.
    pub async fn revocation_preview(
        &self,
        actor: &Actor,
        subjects: Vec<Subject>,
    ) -> Result<Subtree, Problem> {
        actor.may(Operation::Revoke)?;
        check(&subjects, "")?;
        let subtree = self
            .parts
            .store
            .read(move |rows| subtree::below(rows, &subjects))
            .await;
        subtree.map_err(|error: StoreError| error.problem())
    }

    /// Revokes subjects and everything below them.
    pub async fn revoke(
        &self,
        actor: &Actor,
        subjects: Vec<Subject>,
        reason: String,
        wait: Wait,
    ) -> Result<RevocationReport, Problem> {
        actor.may(Operation::Revoke)?;
        check(&subjects, &reason)?;
        let order = self.order(actor, subjects, reason);
        self.carry_out(order, wait).await
    }

    /// Fences a token for its own holder (RFC 7009), and with it what was exchanged from it or delegated with it. One that is fenced
    /// already stays as it is.
    pub async fn surrender(&self, holder: &SpiffeId, token: TokenId) -> Result<(), Problem> {
        let subject = Subject::Token(token);
        let known = self
            .parts
            .store
            .read({
                let subjects = [(subject.clone(), 0)];
                move |rows| facts::fenced(rows, &subjects)
            })
            .await;
        if known
            .map_err(|error: StoreError| error.problem())?
            .is_some()
        {
            return Ok(());
        }
        let (actor, reason) = (Actor::agent(holder), "its holder gave it back".to_owned());
        let order = self.order(&actor, vec![subject], reason);
        self.carry_out(order, Wait::None).await.map(drop)
    }

    pub(crate) async fn carry_out(
        &self,
        order: Order,
        wait: Wait,
    ) -> Result<RevocationReport, Problem> {
        // From here on every decision in this process says no, whatever happens to the commit.
        let mut streams = self.parts.cutter.fence(&order.fences);
        let committed = self.commit(order.clone()).await;
        streams += self.parts.cutter.cut(&order.subjects());
        let committed = committed.map_err(|problem| {
            tracing::error!(%problem, revocation = %order.id, "a fence holds in this process but is not durable");
            self.retry_later(order.clone());
            Problem::new(
                Code::FenceNotDurable,
                format!("the fence holds on this node but could not be stored: {problem}"),
                "free space on the node's data disk: the node tries again every second. Do not restart it before",
            )
        })?;
        let report = committed.report(order.id, streams);
        if wait == Wait::None {
            let (control, told) = (self.clone(), report.clone());
            tokio::spawn(async move { control.close(order, committed, told, wait).await });
            return Ok(report);
        }
        let mut report = self.close(order, committed, report, wait).await;
        report.receipt = self.receipt_soon(report.id).await;
        Ok(report)
    }

    pub(crate) fn order(&self, actor: &Actor, subjects: Vec<Subject>, reason: String) -> Order {
        let (id, now) = (self.id(), self.now());
        let fences = subjects.into_iter().map(|subject| Fence {
            id: self.id(),
            subject,
            seq: 0,
            lifted_seq: None,
            revocation: id,
            reason: reason.clone(),
            actor: actor.name.clone(),
            set_at: now,
        });
        Order {
            id,
            event: self.id(),
            actor: actor.clone(),
            fences: fences.collect(),
            reason,
        }
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
                Ok(committed) => {
                    let report = committed.report(order.id, 0);
                    self.close(order.clone(), committed, report, Wait::All)
                        .await;
                    tracing::info!(revocation = %order.id, "a fence is durable now");
                }
                Err(_) => self.retry_later(order),
            }
        }
    }

    /// Fences, ended tasks, void approvals and their events, in one transaction.
    async fn commit(&self, order: Order) -> Result<Committed, Problem> {
        let ending = self.ending(&order.actor, "revoke").leases_by(CAUSE);
        let ending = ending.caused_by(order.event);
        let (control, created_at) = (self.clone(), self.now());
        let mut committed = self
            .parts
            .store
            .write(move |tx| {
                let subjects = order.subjects();
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
                let leases = leases(tx, &subjects)?;
                let mut ended = Ended::default();
                for task in tasks(tx, &subjects)? {
                    ending.tree(tx, task.id, TaskState::Revoked, &mut ended)?;
                }
                let own: Vec<LeasesOf> = subjects.iter().filter_map(leases_of).collect();
                let broker = &control.parts.broker;
                broker.revoke_leases(tx, &own, CAUSE, Some(order.event))?;
                cut.tasks = ended.tasks.len() as u64;
                cut.approvals = ended.approvals;
                tx.put_revocation(&RevocationRow {
                    id: order.id,
                    subjects,
                    reason: order.reason.clone(),
                    actor: order.actor.name.clone(),
                    created_at,
                    seq: last_seq(&fences),
                    cut: BTreeMap::new(),
                    event: Some(order.event),
                    audit: None,
                    reach: None,
                    receipt: None,
                })?;
                Ok::<_, Refusal>(Committed {
                    fences,
                    tasks: ended.tasks,
                    leases,
                    cut,
                    at: created_at,
                    since: Duration::ZERO,
                })
            })
            .await
            .map_err(Refusal::problem)?;
        // Only now are the fences durable, and with every point that follows the feed.
        committed.at = self.now();
        committed.since = self.parts.clock.monotonic();
        Ok(committed)
    }

    /// One revocation.
    pub async fn revocation(
        &self,
        actor: &Actor,
        id: RevocationId,
    ) -> Result<RevocationRow, Problem> {
        actor.may(Operation::Read)?;
        self.revocation_row(id).await
    }

    async fn revocation_row(&self, id: RevocationId) -> Result<RevocationRow, Problem> {
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

/// What an order has done once its fences are durable.
struct Committed {
    fences: Vec<Fence>,
    /// Tasks that ended with it.
    tasks: Vec<TaskId>,
    /// Leases that were live below its subjects.
    leases: Vec<LeaseId>,
    cut: Cut,
    at: Timestamp,
    /// The same on the clock that never steps.
    since: Duration,
}

impl Committed {
    /// What there is to say before anything else is cut than `streams`.
    fn report(&self, id: RevocationId, streams: usize) -> RevocationReport {
        RevocationReport {
            id,
            seq: last_seq(&self.fences),
            fences: self.fences.clone(),
            cut: Cut {
                streams: u64::try_from(streams).unwrap_or(u64::MAX),
                ..self.cut
            },
            pending: self.leases.clone(),
            points: Vec::new(),
            receipt: None,
        }
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

impl Order {
    fn subjects(&self) -> Vec<Subject> {
        let subjects = self.fences.iter().map(|fence| fence.subject.clone());
        subjects.collect()
    }
}

fn last_seq(fences: &[Fence]) -> u64 {
    fences.iter().map(|fence| fence.seq).max().unwrap_or(0)
}

fn check(subjects: &[Subject], reason: &str) -> Result<(), Problem> {
    let refused = |why: String| Err(Problem::new(Code::InvalidInput, why, ""));
    if subjects.is_empty() || subjects.len() > MAX_SUBJECTS {
        return refused(format!("name 1 to {MAX_SUBJECTS} subjects"));
    }
    if reason.len() > MAX_REASON {
        return refused("a reason has at most 1,024 bytes".to_owned());
    }
    Ok(())
}

fn reason_of(reason: &str) -> Sealed {
    Sealed {
        path: "/reason",
        class: SealedClass::Content,
        value: reason.as_bytes().to_vec(),
        keep: true,
    }
}
