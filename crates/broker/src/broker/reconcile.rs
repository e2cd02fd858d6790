//! What a backend has is compared with what we know (05, reconcile), from the backend's own catalogue. Nothing is touched whose name is
//! not ours, and nothing at all where a marker tells that this store is an old copy.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::event::{ChangeRef, Event, EventType, LeaseRef};
use bailiwick_core::id::{EventId, LeaseId};
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::name::{BackendName, CredentialName};
use bailiwick_store::{LeaseFilter, MAX_PAGE, StoreError};
use serde::Serialize;

use super::finish::target;
use super::{Broker, LeasesOf};
use crate::LeaseError;
use crate::backend::{BackendError, Left, Object, Stray, Target};
use crate::desk::{Desk, Standing};

/// An account without a live lease is an orphan only when it is older than this: its lease may be on its way.
const YOUNG: Duration = Duration::from_mins(1);

/// What a backend has and we do not know, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Accounts of ours that no live lease knows.
    pub orphans: Vec<String>,
    /// Active leases whose account is gone.
    pub lost: Vec<LeaseId>,
    /// Accounts that are gone and have sessions, by name, or by their number where nothing else is left of them.
    pub strays: Vec<String>,
    /// Why nothing is done about it, if so.
    pub read_only: Option<String>,
}

impl Broker {
    /// How each backend stands.
    pub fn backends(&self) -> Vec<Standing> {
        self.inner
            .desks
            .values()
            .map(|desk| desk.standing())
            .collect()
    }

    /// Asks a backend how it stands.
    pub async fn probe(&self, name: &BackendName) -> Result<Standing, LeaseError> {
        let desk = self.desk(name)?;
        // A backend that does not answer is an answer: it stands in `last_error`.
        let _ = self.look(&desk).await;
        Ok(desk.standing())
    }

    /// Compares a backend with our leases and mends what differs; only tells it if `dry`.
    pub async fn reconcile(
        &self,
        name: &BackendName,
        dry: bool,
    ) -> Result<Differences, LeaseError> {
        let desk = self.desk(name)?;
        if !dry {
            return self.reconcile_desk(&desk).await;
        }
        self.look(&desk).await?;
        let (mut found, _) = self.differences(&desk).await?;
        found.read_only = desk.standing().read_only;
        Ok(found)
    }

    /// Takes this store for the right one, whatever a marker at the backend says, and mends what differs.
    pub async fn adopt(&self, name: &BackendName) -> Result<Differences, LeaseError> {
        let desk = self.desk(name)?;
        let ours = &self.identity().await?.deployment;
        let probe = desk.backend.probe(ours).await;
        let probe = probe.map_err(|error| unfit(&desk, &error))?;
        self.raise_generation(probe.generation.unwrap_or(0)).await?;
        desk.begin_marking();
        desk.set_read_only(None);
        self.reconcile_desk(&desk).await
    }

    fn desk(&self, name: &BackendName) -> Result<Arc<Desk>, LeaseError> {
        let desk = self.inner.desks.get(name);
        desk.cloned()
            .ok_or_else(|| LeaseError::NoBackend(name.clone()))
    }

    /// Compares a backend with our leases if nobody has done so since the start; all who ask at once wait for one comparison.
    pub(super) async fn check_once(&self, desk: &Arc<Desk>) -> Result<(), LeaseError> {
        if desk.is_checked() {
            return Ok(());
        }
        let _turn = desk.turn.lock().await;
        if desk.is_checked() {
            return Ok(());
        }
        self.compare(desk).await.map(drop)
    }

    pub(crate) async fn reconcile_desk(&self, desk: &Arc<Desk>) -> Result<Differences, LeaseError> {
        let _turn = desk.turn.lock().await;
        self.compare(desk).await
    }

    /// For whoever has the desk's turn: two that set a marker at once would be in each other's way.
    async fn compare(&self, desk: &Arc<Desk>) -> Result<Differences, LeaseError> {
        let identity = self.identity().await?;
        self.look(desk).await?;
        let mut found = Differences {
            read_only: desk.standing().read_only,
            ..Differences::default()
        };
        if found.read_only.is_some() {
            desk.reconciled(self.clock().wall());
            return Ok(found);
        }
        desk.begin_marking();
        let marked = desk.backend.mark(&identity.deployment, self.generation());
        marked.await.map_err(|error| unfit(desk, &error))?;
        let (differs, strays) = self.differences(desk).await?;
        found = differs;
        let lost: Vec<LeasesOf> = found.lost.iter().copied().map(LeasesOf::Lease).collect();
        if !lost.is_empty() {
            tracing::error!(backend = %desk.name, leases = ?found.lost, "accounts of active leases are gone; somebody else removed them");
            let broker = self.clone();
            let write = self.inner.store.write(move |tx| {
                let ended = broker.revoke_leases(tx, &lost, "lost", None)?;
                Ok::<_, StoreError>(ended)
            });
            write.await.map_err(LeaseError::Store)?;
            desk.wake.notify_one();
        }
        self.end_orphans(desk, &found.orphans).await?;
        self.end_strays(desk, &strays).await?;
        desk.reconciled(self.clock().wall());
        Ok(found)
    }

    /// Version, clock and marker; a marker that is ahead of this store closes the desk.
    async fn look(&self, desk: &Desk) -> Result<(), LeaseError> {
        let identity = self.identity().await?;
        let probe = desk.backend.probe(&identity.deployment).await;
        let probe = probe.map_err(|error| unfit(desk, &error))?;
        desk.succeeded();
        let now = self.clock().wall().as_micros();
        let skew_ms = probe.clock.as_micros().saturating_sub(now) / 1_000;
        desk.stands(probe.version, skew_ms);
        let known = if desk.is_marking() {
            self.generation()
        } else {
            identity.found
        };
        if let Some(marker) = probe.generation
            && marker > known
        {
            let why = format!(
                "it was used with generation {marker} of the store, and this one is of generation {known}: an older copy"
            );
            tracing::error!(backend = %desk.name, why, "nothing is made or removed there until an admin adopts it");
            desk.set_read_only(Some(why));
        }
        Ok(())
    }

    async fn differences(&self, desk: &Desk) -> Result<(Differences, Vec<Target>), LeaseError> {
        let identity = self.identity().await?;
        // First ours, then theirs: what is active here now was there before, and has to be there now.
        let read = self.inner.store.read(|rows| rows.live_leases());
        let before = read.await.map_err(LeaseError::Store)?;
        let listed = desk.backend.list(&identity.deployment).await;
        let listed = listed.map_err(|error| unfit(desk, &error))?;
        let there: HashSet<LeaseId> = listed.iter().map(|object| object.lease).collect();
        let here = |lease: &&Lease| {
            lease.state == LeaseState::Active
                && lease
                    .remote
                    .as_ref()
                    .is_some_and(|remote| remote.backend == desk.name)
        };
        let lost = before.iter().filter(here).map(|lease| lease.id);
        let lost: Vec<LeaseId> = lost.filter(|id| !there.contains(id)).collect();
        let strays = desk.backend.strays(&identity.deployment).await;
        let strays = strays.map_err(|error| unfit(desk, &error))?;
        let strays = self.known_strays(desk, strays).await?;
        let told = |stray: &Target| match stray.serial {
            Some(serial) => serial.to_string(),
            None => stray.name.clone(),
        };
        let found = Differences {
            orphans: self.orphans(listed).await?,
            lost,
            strays: strays.iter().map(told).collect(),
            read_only: None,
        };
        Ok((found, strays))
    }

    async fn orphans(&self, listed: Vec<Object>) -> Result<Vec<String>, LeaseError> {
        let now = self.clock().wall();
        let read = self.inner.store.read(move |rows| {
            let mut orphans = Vec::new();
            for object in &listed {
                let known = rows.lease(object.lease)?;
                let live = known.is_some_and(|lease| lease.state != LeaseState::Tombstone);
                if !live && now.since(object.lease.created_at()) > YOUNG {
                    orphans.push(object.name.clone());
                }
            }
            Ok::<_, StoreError>(orphans)
        });
        read.await.map_err(LeaseError::Store)
    }

    /// Those that were accounts of ours: others' sessions are others' matter.
    async fn known_strays(
        &self,
        desk: &Desk,
        found: Vec<Stray>,
    ) -> Result<Vec<Target>, LeaseError> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let name = desk.name.clone();
        let read = self.inner.store.read(move |rows| {
            let newest = rows.leases(&LeaseFilter::default(), None, MAX_PAGE)?;
            let ours: HashSet<u64> = newest
                .iter()
                .filter_map(|lease| lease.remote.as_ref())
                .filter(|remote| remote.backend == name)
                .filter_map(|remote| remote.serial)
                .collect();
            let stray = |stray| {
                let (name, serial) = match stray {
                    Stray::Name(name) => (name, None),
                    Stray::Number(serial) => (String::new(), Some(serial)),
                };
                Target {
                    name,
                    credential: None,
                    serial,
                }
            };
            let known = |target: &Target| target.serial.is_none_or(|serial| ours.contains(&serial));
            Ok::<_, StoreError>(found.into_iter().map(stray).filter(known).collect())
        });
        read.await.map_err(LeaseError::Store)
    }

    async fn end_orphans(&self, desk: &Desk, names: &[String]) -> Result<(), LeaseError> {
        if names.is_empty() {
            return Ok(());
        }
        let credentials = self.credentials_of(names).await?;
        let mut targets: Vec<Target> = names
            .iter()
            .map(|name| Target {
                name: name.clone(),
                credential: credentials.get(name).cloned(),
                serial: None,
            })
            .collect();
        tracing::warn!(backend = %desk.name, accounts = ?names, "accounts of ours that no live lease knows are removed");
        let left = self.end_accounts(desk, &mut targets).await;
        let left = left.map_err(|error| unfit(desk, &error))?;
        let gone = targets.iter().zip(&left).filter(|(_, left)| left.absent);
        let gone: Vec<String> = gone.map(|(target, _)| target.name.clone()).collect();
        self.tell_orphans(desk, gone).await
    }

    /// What known leases behind these names were made from.
    async fn credentials_of(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, CredentialName>, LeaseError> {
        let ours = self.identity().await?.deployment.clone();
        let names = names.to_vec();
        let read = self.inner.store.read(move |rows| {
            let mut found = BTreeMap::new();
            for name in &names {
                if let Some(id) = ours.lease(name)
                    && let Some(lease) = rows.lease(id)?
                {
                    found.insert(name.clone(), lease.credential);
                }
            }
            Ok::<_, StoreError>(found)
        });
        read.await.map_err(LeaseError::Store)
    }

    async fn tell_orphans(&self, desk: &Desk, names: Vec<String>) -> Result<(), LeaseError> {
        let ours = self.identity().await?.deployment.clone();
        let (broker, backend) = (self.clone(), desk.name.clone());
        let write = self.inner.store.write(move |tx| {
            for name in &names {
                let mut event = Event::new(
                    EventId::new(broker.clock(), broker.rng()),
                    EventType::LeaseOrphaned,
                );
                event.actor = Some("system".to_owned());
                event.change = Some(ChangeRef {
                    kind: "backend".to_owned(),
                    id: backend.to_string(),
                    before: Some(name.clone()),
                    after: None,
                });
                if let Some(id) = ours.lease(name)
                    && let Some(lease) = tx.lease(id)?
                {
                    event.lease = Some(LeaseRef {
                        id,
                        credential: lease.credential,
                        remote: "confirmed".to_owned(),
                    });
                }
                broker.inner.journal.push(tx, &event)?;
            }
            Ok::<_, StoreError>(())
        });
        write.await.map_err(LeaseError::Store)?;
        drop(self.inner.journal.settled());
        Ok(())
    }

    async fn end_strays(&self, desk: &Desk, strays: &[Target]) -> Result<(), LeaseError> {
        if strays.is_empty() {
            return Ok(());
        }
        tracing::error!(backend = %desk.name, accounts = ?strays, "sessions outlived their accounts; they are ended");
        let ended = desk.backend.kill_sessions(strays).await;
        ended.map(drop).map_err(|error| unfit(desk, &error))
    }

    /// Takes away what a creation left whose lease was buried while it ran. A failure is the next comparison's.
    pub(super) async fn remove_unknown(&self, desk: &Desk, lease: &Lease) {
        let id = lease.id;
        let read = self.inner.store.read(move |rows| rows.lease(id));
        let buried = read.await.map_err(LeaseError::Store).ok().flatten();
        if buried.is_none_or(|lease| lease.state != LeaseState::Tombstone) {
            return;
        }
        let Some(mut target) = target(lease) else {
            return;
        };
        let left = self
            .end_accounts(desk, std::slice::from_mut(&mut target))
            .await;
        if !matches!(left.as_deref(), Ok([Left { absent: true, .. }])) {
            tracing::warn!(lease = %id, "an account without a lease is left to the next comparison");
        }
    }
}

fn unfit(desk: &Desk, error: &BackendError) -> LeaseError {
    desk.failed(error);
    LeaseError::Unfit {
        backend: desk.name.clone(),
        code: bailiwick_core::Fault::code(error),
        why: error.to_string(),
    }
}
