//! Taking away what was made elsewhere (05, revoke): slices of one backend go through disable → kill → drop → verify, then their
//! tombstones are written in one transaction. All of it can be repeated; what fails is put off, for ever but rarer.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::id::LeaseId;
use bailiwick_core::lease::{Evidence, Lease, LeaseState};

use super::Broker;
use crate::LeaseError;
use crate::backend::{BackendError, Left, Target};
use crate::desk::Desk;
use crate::steps::{Side, Step};

/// Accounts taken away together.
const SLICE: usize = 50;
/// Sessions are looked for until none is found this often in a row: one that logs in while it is forbidden shows up late.
const QUIET: u32 = 2;
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Looks before the slice is put off.
const MAX_LOOKS: u32 = 50;
/// How often a backend's accounts are compared with our leases.
const RECONCILE: Duration = Duration::from_mins(1);
/// How often the generation rises.
const RAISE: Duration = Duration::from_hours(1);

impl Broker {
    /// Takes leases away at their backends, compares what those have with what we know, and raises the generation, until `stop`.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut desks = tokio::task::JoinSet::new();
        for desk in self.inner.desks.values() {
            let (broker, desk) = (self.clone(), Arc::clone(desk));
            desks.spawn(async move { broker.serve(&desk).await });
        }
        let broker = self.clone();
        desks.spawn(async move { broker.grow_older().await });
        stop.await;
        desks.shutdown().await;
    }

    async fn grow_older(&self) {
        loop {
            tokio::time::sleep(RAISE).await;
            if let Err(error) = self.raise_generation(0).await {
                tracing::error!(%error, "the generation of the store could not be raised");
            }
        }
    }

    async fn serve(&self, desk: &Arc<Desk>) {
        let mut compared: Option<Duration> = None;
        loop {
            let now = self.clock().monotonic();
            if compared.is_none_or(|at| now.saturating_sub(at) >= RECONCILE) {
                compared = Some(now);
                if let Err(error) = self.reconcile_desk(desk).await {
                    tracing::warn!(backend = %desk.name, error = ?error, "a backend could not be compared with our leases");
                }
            }
            if let Err(error) = self.take_away(desk).await {
                tracing::error!(backend = %desk.name, %error, "leases could not be taken away yet");
            }
            let now = self.clock().monotonic();
            let until = compared.map_or(now, |at| at.saturating_add(RECONCILE));
            let until = desk.next_due().map_or(until, |due| until.min(due));
            tokio::select! {
                () = desk.wake.notified() => {}
                () = tokio::time::sleep(until.saturating_sub(now)) => {}
            }
        }
    }

    /// Takes away what is on its way out at one backend and due; how many are gone.
    pub(crate) async fn take_away(&self, desk: &Arc<Desk>) -> Result<usize, LeaseError> {
        let _turn = desk.turn.lock().await;
        let mut gone = 0;
        loop {
            if desk.is_read_only() {
                return Ok(gone);
            }
            let slice = self.revoking(desk).await?;
            if slice.is_empty() {
                return Ok(gone);
            }
            gone += self.take_slice(desk, slice).await?;
        }
    }

    async fn revoking(&self, desk: &Desk) -> Result<Vec<Lease>, LeaseError> {
        let read = self.inner.store.read(|rows| rows.live_leases());
        let live = read.await.map_err(LeaseError::Store)?;
        let now = self.clock().monotonic();
        let ours = |lease: &Lease| {
            let remote = lease.remote.as_ref();
            lease.state == LeaseState::Revoking
                && remote.is_some_and(|remote| remote.backend == desk.name)
                && desk.is_due(lease.id, now)
        };
        Ok(live.into_iter().filter(ours).take(SLICE).collect())
    }

    async fn take_slice(&self, desk: &Desk, slice: Vec<Lease>) -> Result<usize, LeaseError> {
        let mut targets: Vec<Target> = slice.iter().filter_map(target).collect();
        let left = match self.end_accounts(desk, &mut targets).await {
            Ok(left) => {
                desk.succeeded();
                left
            }
            Err(error) => {
                tracing::warn!(backend = %desk.name, %error, leases = slice.len(), "revoked leases could not be taken away yet; they are tried again");
                desk.failed(&error);
                Vec::new()
            }
        };
        let now = self.clock().wall();
        let mut dead: Vec<(LeaseId, Evidence)> = Vec::new();
        for (at, lease) in slice.iter().enumerate() {
            match left.get(at) {
                Some(Left {
                    absent: true,
                    sessions: 0,
                }) => {
                    let evidence = Evidence {
                        absent: true,
                        sessions: 0,
                        verified_at: now,
                    };
                    dead.push((lease.id, evidence));
                }
                _ => desk.put_off(lease.id, self.clock().monotonic(), self.rng()),
            }
        }
        self.at(Step::Tx3, Side::Before);
        let (broker, buried) = (self.clone(), dead.clone());
        let write = self.inner.store.write(move |tx| {
            for (id, evidence) in &buried {
                broker.bury(tx, *id, Some(*evidence))?;
            }
            Ok::<_, LeaseError>(())
        });
        write.await?;
        self.at(Step::Tx3, Side::After);
        drop(self.inner.journal.settled());
        for (id, _) in &dead {
            desk.forget(*id);
        }
        Ok(dead.len())
    }

    /// The four steps at the backend. What could not be removed is left, and verified to be so.
    pub(crate) async fn end_accounts(
        &self,
        desk: &Desk,
        targets: &mut [Target],
    ) -> Result<Vec<Left>, BackendError> {
        let backend = &desk.backend;
        self.at(Step::Disable, Side::Before);
        backend.disable(targets).await?;
        self.at(Step::Disable, Side::After);
        self.at(Step::Kill, Side::Before);
        let (mut quiet, mut looks) = (0, 0);
        while quiet < QUIET {
            if looks == MAX_LOOKS {
                let why = "sessions keep coming back".to_owned();
                return Err(BackendError::Transient(why));
            }
            if looks > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            looks += 1;
            quiet = match backend.kill_sessions(targets).await? {
                0 => quiet + 1,
                _ => 0,
            };
        }
        self.at(Step::Kill, Side::After);
        self.at(Step::Drop, Side::Before);
        let removed = backend.remove(targets).await;
        if let Err(error) = &removed {
            tracing::warn!(backend = %desk.name, %error, "an account could not be removed yet; nobody can log in with it");
            desk.failed(error);
        }
        self.at(Step::Drop, Side::After);
        self.at(Step::Verify, Side::Before);
        let left = backend.verify(targets).await?;
        self.at(Step::Verify, Side::After);
        if left.len() != targets.len() {
            let why = "it did not say of each account whether it is gone".to_owned();
            return Err(BackendError::Permanent(why));
        }
        Ok(left)
    }
}

/// What a lease is at its backend.
pub(super) fn target(lease: &Lease) -> Option<Target> {
    let remote = lease.remote.as_ref()?;
    Some(Target {
        name: remote.name.as_str().to_owned(),
        credential: Some(lease.credential.clone()),
        serial: remote.serial,
    })
}
