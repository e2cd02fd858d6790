//! Taking leases away (05, lease protocol): REVOKING in the revoking transaction, then gone at the backend, then TOMBSTONE. Idempotent at
//! every point, so a sweep finishes whatever was interrupted.

use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::{EventId, LeaseId};
use bailiwick_core::lease::{Evidence, Lease, LeaseState, LeaseStep};
use bailiwick_core::name::BackendName;
use bailiwick_core::task::Task;
use bailiwick_store::{StoreError, Tx};

use super::{Broker, LeasesOf};
use crate::backend::Target;
use crate::steps::{Side, Step};
use crate::{ACKNOWLEDGE_LIMIT, CREATION_LIMIT, LeaseError, events};

/// Leases that are noted as gone in one transaction.
const BURIED_AT_ONCE: usize = 256;

impl Broker {
    /// Moves these leases to REVOKING, in the transaction that takes their authority away, with the event of that, if there is one, as
    /// their cause: from its commit on they serve no new call. Gives those that are on their way out; hand them to [`Self::finish`] after the commit. The tasks below a task are the caller's
    /// to name.
    pub fn revoke_leases(
        &self,
        tx: &mut dyn Tx,
        which: &[LeasesOf],
        cause: &str,
        event: Option<EventId>,
    ) -> Result<Vec<LeaseId>, StoreError> {
        let live = match which {
            [] => Vec::new(),
            // The common case has an index.
            [LeasesOf::Task(task)] => tx.live_leases_of_task(*task)?,
            [LeasesOf::Instance(instance)] => tx.live_leases_of_instance(*instance)?,
            _ => tx.live_leases()?,
        };
        let mut ending = Vec::new();
        for lease in live {
            if which.iter().any(|of| of.holds(&lease)) {
                ending.push(lease.id);
                self.revoke_one(tx, lease, cause, event)?;
            }
        }
        Ok(ending)
    }

    /// Moves one lease to REVOKING if it is usable, in the transaction of what takes its permission away, with the event of that as its
    /// cause; false if it is not. As after [`Self::revoke_leases`], [`Self::finish`] is due.
    pub fn revoke_lease(
        &self,
        tx: &mut dyn Tx,
        id: LeaseId,
        cause: &str,
        event: Option<EventId>,
    ) -> Result<bool, StoreError> {
        let lease = tx.lease(id)?;
        let usable = |lease: &Lease| matches!(lease.state, LeaseState::Intent | LeaseState::Active);
        let Some(lease) = lease.filter(usable) else {
            return Ok(false);
        };
        self.revoke_one(tx, lease, cause, event)?;
        Ok(true)
    }

    /// Takes these leases away at their backend and verifies that they are gone; gives how many are. What fails stays REVOKING, serves
    /// nobody, and is tried again by [`Self::sweep`].
    /// What was made elsewhere is taken away by [`Self::run`], which this wakes: a backend that does not answer delays nobody.
    pub async fn finish(&self, leases: &[LeaseId]) -> Result<usize, LeaseError> {
        for id in leases {
            self.inner.held.forget(*id);
        }
        let mut gone = 0;
        for some in leases.chunks(BURIED_AT_ONCE) {
            gone += self.finish_some(some.to_vec()).await?;
        }
        Ok(gone)
    }

    /// [`Self::revoke_leases`] in a transaction of its own, then [`Self::finish`]. Gives how many leases were live.
    pub async fn end_leases(&self, which: &[LeasesOf], cause: &str) -> Result<usize, LeaseError> {
        let (broker, which, cause) = (self.clone(), which.to_vec(), cause.to_owned());
        self.at(Step::Fence, Side::Before);
        let ending = self
            .inner
            .store
            .write(move |tx| {
                broker
                    .revoke_leases(tx, &which, &cause, None)
                    .map_err(LeaseError::from)
            })
            .await?;
        self.at(Step::Fence, Side::After);
        self.finish(&ending).await?;
        Ok(ending.len())
    }

    /// Ends what is past its time and finishes what was interrupted; gives how many are gone now. Call it every few seconds.
    pub async fn sweep(&self) -> Result<usize, LeaseError> {
        let now = self.clock().wall();
        // What was made elsewhere is the work of [`Self::run`] once it is REVOKING.
        let due = move |lease: &Lease| {
            (lease.state == LeaseState::Revoking && lease.remote.is_none())
                || over(lease, now).is_some()
        };
        let read = self.inner.store.read(move |rows| {
            Ok::<_, LeaseError>(rows.live_leases()?.into_iter().any(|lease| due(&lease)))
        });
        if !read.await? {
            return Ok(0);
        }
        let broker = self.clone();
        self.at(Step::Fence, Side::Before);
        let write = self.inner.store.write(move |tx| {
            let mut ending = Vec::new();
            for lease in tx.live_leases()?.into_iter().filter(due) {
                ending.push(lease.id);
                let cause = over(&lease, now).unwrap_or_default();
                broker.revoke_one(tx, lease, cause, None)?;
            }
            Ok::<_, LeaseError>(ending)
        });
        let ending = write.await?;
        self.at(Step::Fence, Side::After);
        self.finish(&ending).await
    }

    /// Ends the leases that an earlier run of the node left: those whose values were in its memory alone, and those that it was making.
    /// What a holder has it keeps.
    pub async fn recover(&self) -> Result<usize, LeaseError> {
        self.identity().await?;
        let broker = self.clone();
        let write = self.inner.store.write(move |tx| {
            let mut ending = Vec::new();
            for lease in tx.live_leases()? {
                let kept = lease.state == LeaseState::Active && lease.remote.is_some();
                if !kept {
                    ending.push(lease.id);
                    broker.revoke_one(tx, lease, "holder_lost", None)?;
                }
            }
            Ok::<_, LeaseError>(ending)
        });
        let ending = write.await?;
        self.finish(&ending).await?;
        Ok(ending.len())
    }

    fn revoke_one(
        &self,
        tx: &mut dyn Tx,
        mut lease: Lease,
        cause: &str,
        by: Option<EventId>,
    ) -> Result<(), StoreError> {
        let Ok(next) = lease.state.step(LeaseStep::Revoke) else {
            return Ok(());
        };
        if next == lease.state {
            return Ok(());
        }
        lease.state = next;
        lease.cause = Some(cause.to_owned());
        lease.revoked_at = Some(self.clock().wall());
        lease.version = lease.version.saturating_add(1);
        tx.put_lease(&lease)?;
        let task = tx.task(lease.task)?;
        let mut event = self.event(EventType::LeaseRevoking, &lease, task.as_ref(), "pending");
        event.cause = by.or(event.cause);
        self.inner.journal.push(tx, &event)
    }

    async fn finish_some(&self, ids: Vec<LeaseId>) -> Result<usize, LeaseError> {
        let read = self.inner.store.read(move |rows| {
            let leases = ids.iter().map(|id| rows.lease(*id));
            leases.collect::<Result<Vec<Option<Lease>>, StoreError>>()
        });
        let leases = read.await.map_err(LeaseError::Store)?;
        let (mut gone, mut ours) = (0, Vec::new());
        for lease in leases.into_iter().flatten() {
            match (lease.state, &lease.remote) {
                (LeaseState::Tombstone, _) => gone += 1,
                (LeaseState::Revoking, Some(remote)) => self.wake(lease.id, &remote.backend),
                (LeaseState::Revoking, None) => ours.push(lease),
                _ => {}
            }
        }
        let dead = self.verified_gone(&ours).await;
        if dead.is_empty() {
            return Ok(gone);
        }
        let broker = self.clone();
        let write = self.inner.store.write(move |tx| {
            let mut buried = 0;
            for id in &dead {
                buried += usize::from(broker.bury(tx, *id, None)?);
            }
            Ok::<_, LeaseError>(buried)
        });
        Ok(gone + write.await?)
    }

    fn wake(&self, lease: LeaseId, backend: &BackendName) {
        match self.inner.desks.get(backend) {
            Some(desk) => desk.wake.notify_one(),
            None => {
                tracing::error!(%lease, %backend, "a revoked lease is at a backend that is not configured any more");
            }
        }
    }

    /// Those of leases on sealed values whose values are gone here.
    async fn verified_gone(&self, leases: &[Lease]) -> Vec<LeaseId> {
        if leases.is_empty() {
            return Vec::new();
        }
        let targets = leases.iter().map(|lease| Target {
            name: String::new(),
            credential: Some(lease.credential.clone()),
            serial: None,
        });
        let targets: Vec<Target> = targets.collect();
        let left = match self.inner.values.verify(&targets).await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(leases = leases.len(), %error, "revoked leases could not be taken away yet; it is tried again");
                return Vec::new();
            }
        };
        let mut dead = Vec::with_capacity(leases.len());
        for (lease, left) in leases.iter().zip(left) {
            if left.absent && left.sessions == 0 {
                dead.push(lease.id);
            } else {
                tracing::warn!(lease = %lease.id, "the backend still knows a revoked lease; it is tried again");
            }
        }
        dead
    }

    pub(super) fn bury(
        &self,
        tx: &mut dyn Tx,
        id: LeaseId,
        evidence: Option<Evidence>,
    ) -> Result<bool, LeaseError> {
        let Some(mut lease) = tx.lease(id)? else {
            return Ok(false);
        };
        if lease.state == LeaseState::Tombstone {
            return Ok(true);
        }
        lease.state = lease
            .state
            .step(LeaseStep::VerifiedGone)
            .map_err(|_| LeaseError::Ended)?;
        lease.verified_at = Some(self.clock().wall());
        lease.evidence = evidence;
        lease.version = lease.version.saturating_add(1);
        tx.put_lease(&lease)?;
        let task = tx.task(lease.task)?;
        let event = self.event(EventType::LeaseDead, &lease, task.as_ref(), "confirmed");
        self.inner.journal.push(tx, &event)?;
        Ok(true)
    }

    pub(super) fn event(
        &self,
        kind: EventType,
        lease: &Lease,
        task: Option<&Task>,
        remote: &str,
    ) -> Event {
        events::event(kind, lease, task, remote, self.clock(), self.rng())
    }
}

/// Why a lease is over at `now` by itself.
fn over(lease: &Lease, now: Timestamp) -> Option<&'static str> {
    match lease.state {
        LeaseState::Intent if now >= lease.created_at.plus(CREATION_LIMIT) => {
            Some("creation_unknown")
        }
        LeaseState::Intent | LeaseState::Active if now >= lease.not_after => Some("expired"),
        LeaseState::Active if is_unheard_of(lease, now) => Some("undelivered"),
        _ => None,
    }
}

/// Whether nobody said that a lease arrived, though it is time.
fn is_unheard_of(lease: &Lease, now: Timestamp) -> bool {
    let issued = lease.issued_at.unwrap_or(lease.created_at);
    lease.remote.is_some() && !lease.acknowledged && now >= issued.plus(ACKNOWLEDGE_LIMIT)
}
