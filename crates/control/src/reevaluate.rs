//! Continuous evaluation of what control keeps (07): when a change takes permission away, leases, approvals and delegated tasks that it
//! concerns are decided again, and what is no longer allowed ends, with the change's event as its cause.
//!
//! The change feed is the queue: it is written with the change, and the place up to which it was worked off is written with what that
//! ended. So a change is worked off once, or once more after a crash, and never not at all.

mod affected;
mod fallen;

use std::time::Duration;

use bailiwick_core::approval::Approval;
use bailiwick_core::change::Change;
use bailiwick_core::id::{ApprovalId, EventId};
use bailiwick_core::task::TaskState;
use bailiwick_core::trigger::Trigger;
use bailiwick_core::{Fault, Problem};
use bailiwick_store::{MAX_PAGE, Reads, StoreError};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::tasks::Ended;
use crate::tools::Refusal;
use crate::{Actor, Control};
use affected::Affected;
use fallen::Fallen;

/// Changes read at once; a node that is further behind decides everything again.
pub const MAX_BEHIND: usize = 8_192;
/// Where the place up to which changes were worked off is kept.
const PLACE: &str = "reevaluated";
/// What leases that end this way are said to have ended by.
pub(crate) const CAUSE: &str = "no_longer_allowed";
/// Wait after a round that failed.
const RETRY: Duration = Duration::from_secs(1);

/// The enforcement point, as far as changes are worked off together with it.
pub trait Judge: Send + Sync {
    /// Whether people would still be asked about the call of an approval, and with their yes it would go on; if not, why.
    fn still_asks<'a>(&'a self, approval: &'a Approval) -> BoxFuture<'a, Result<(), String>>;

    /// Control has worked off everything up to this change.
    fn worked_off(&self, seq: u64);
}

/// What one round ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reevaluated {
    /// The newest change that is worked off.
    pub upto: u64,
    /// Tasks, subtrees included.
    pub tasks: usize,
    /// Leases, those of the tasks included.
    pub leases: usize,
    /// Approvals, those of the tasks not included.
    pub approvals: usize,
}

/// A change to be worked off: what it concerns, and its event.
type Due = (Trigger, Option<EventId>);

impl Control {
    /// Works off changes as they come, until `stop`; those first that nobody worked off before the node stopped.
    pub async fn reevaluate(
        &self,
        judge: &dyn Judge,
        mut changes: watch::Receiver<u64>,
        stop: impl Future<Output = ()>,
    ) {
        tokio::pin!(stop);
        let mut place = None;
        loop {
            changes.mark_unchanged();
            let failed = match self.reevaluate_after(judge, place).await {
                Ok(done) => {
                    place = Some(done.upto);
                    false
                }
                Err(problem) => {
                    tracing::error!(%problem, "what a change concerns could not be decided again; new calls of it are refused");
                    true
                }
            };
            let pause = async {
                if failed {
                    tokio::time::sleep(RETRY).await;
                } else if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = &mut stop => return,
                () = pause => {}
            }
        }
    }

    /// Works off what has changed since the place that is kept, or after a later one.
    pub async fn reevaluate_after(
        &self,
        judge: &dyn Judge,
        place: Option<u64>,
    ) -> Result<Reevaluated, Problem> {
        let now = self.now();
        let read = self.parts.store.read(move |rows| {
            let place = match place {
                Some(place) => place,
                None => kept(rows)?,
            };
            let (upto, due) = due(rows, place)?;
            Ok::<_, StoreError>((upto, Affected::by(rows, &due, now)?, due.is_empty()))
        });
        let (upto, affected, idle) = read.await.map_err(|error| error.problem())?;
        let mut done = Reevaluated {
            upto,
            ..Reevaluated::default()
        };
        if !idle {
            let fallen = self.fallen(judge, affected).await?;
            done = self.fell(upto, fallen).await?;
        }
        judge.worked_off(upto);
        Ok(done)
    }

    /// Ends what has fallen, and keeps the place, in one transaction.
    async fn fell(&self, upto: u64, fallen: Fallen) -> Result<Reevaluated, Problem> {
        let control = self.clone();
        let write = self.parts.store.write(move |tx| {
            let mut ended = Ended::default();
            for (id, event) in &fallen.tasks {
                let ending = control.ending(&Actor::system(), "reevaluate");
                let ending = ending.leases_by(CAUSE).caused_by(*event);
                ending.tree(tx, *id, TaskState::Revoked, &mut ended)?;
            }
            for (id, event) in &fallen.leases {
                if control.parts.broker.revoke_lease(tx, *id, CAUSE, *event)? {
                    ended.leases.push(*id);
                }
            }
            let mut approvals = 0;
            for (id, version, event) in &fallen.approvals {
                approvals += usize::from(control.void_again(tx, *id, *version, *event)?);
            }
            tx.put_meta(PLACE, &upto.to_string())?;
            Ok::<_, Refusal>((ended, approvals))
        });
        let (ended, approvals) = write.await.map_err(Refusal::problem)?;
        let done = Reevaluated {
            upto,
            tasks: ended.tasks.len(),
            leases: ended.leases.len(),
            approvals,
        };
        if done.tasks + done.leases + done.approvals > 0 {
            tracing::info!(?done, "changes took permission from what was live");
        }
        // The next change does not wait for backends.
        self.carry();
        self.cut_streams(&ended.tasks);
        let control = self.clone();
        tokio::spawn(async move { control.finish_leases(&ended.leases).await });
        Ok(done)
    }

    /// Makes an approval void that is still as it was judged; false if it is not.
    fn void_again(
        &self,
        tx: &mut dyn bailiwick_store::Tx,
        id: ApprovalId,
        version: u64,
        event: Option<EventId>,
    ) -> Result<bool, Refusal> {
        let approval = tx.approval(id)?;
        let Some(mut approval) = approval.filter(|approval| approval.version == version) else {
            return Ok(false);
        };
        if !approval.void() {
            return Ok(false);
        }
        tx.put_approval(&approval)?;
        self.close_approval(tx, &Actor::system(), &approval, event)?;
        Ok(true)
    }
}

/// The place that is kept; the beginning if there is none.
fn kept(rows: &dyn Reads) -> Result<u64, StoreError> {
    let place = rows.meta(PLACE)?;
    Ok(place.and_then(|place| place.parse().ok()).unwrap_or(0))
}

/// What is due after a place, and the place after it.
fn due(rows: &dyn Reads, place: u64) -> Result<(u64, Vec<Due>), StoreError> {
    let (head, mut at, mut due) = (rows.head(), place, Vec::new());
    if usize::try_from(head.saturating_sub(place)).unwrap_or(usize::MAX) > MAX_BEHIND {
        return Ok((head, vec![(Trigger::Everything, None)]));
    }
    while at < head {
        let page: Vec<Change> = rows.changes(at, MAX_PAGE)?;
        let Some(last) = page.last() else { break };
        at = last.seq;
        let triggers = page.iter();
        due.extend(triggers.filter_map(|change| Some((Trigger::of(&change.body)?, change.event))));
    }
    Ok((at.max(place), due))
}
