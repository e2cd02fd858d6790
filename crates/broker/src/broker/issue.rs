//! Issuing a lease (05, lease protocol): INTENT on record → made → ancestry checked again, ACTIVE → durable on the log → delivered.

use std::sync::Arc;

use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::id::{EventId, LeaseId};
use bailiwick_core::lease::{Lease, LeaseState, LeaseStep};
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::task::Task;
use bailiwick_core::{Secret, Timestamp};
use bailiwick_store::Reads;

use bailiwick_core::lease::Wanted;

use super::{Broker, Leased, LeasesOf};
use crate::backend::StaticSecret;
use crate::{LEASE_LIFE, LeaseError, MAX_LIVE_OF_TASK, ancestry};

impl Broker {
    /// The credential for a call: the active lease of this instance, task and credential, or a new one. One such lease serves all
    /// their calls. What this resolves with is durably on record.
    pub async fn lease(&self, want: Wanted) -> Result<Leased, LeaseError> {
        if let Some(leased) = self.active(&want).await? {
            return Ok(leased);
        }
        let making = self.inner.making(&want);
        let _turn = match making {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        // Another call may have made it while this one waited.
        if let Some(leased) = self.active(&want).await? {
            return Ok(leased);
        }
        let lease = self.intend(&want).await?;
        // What follows ends either delivered or revoked, even if the caller goes away: a started lease is never left behind.
        let broker = self.clone();
        let task = tokio::spawn(async move { broker.make(want, lease).await });
        task.await.unwrap_or(Err(LeaseError::Ended))
    }

    /// A static credential for the node itself, to read what tools a server shows; its use is durably on record. No task is behind it,
    /// so it must not leave the node except to that server, and no tool is called with it.
    pub async fn for_the_node(
        &self,
        server: &ServerName,
        credential: &CredentialName,
    ) -> Result<Secret<String>, LeaseError> {
        let mut event = Event::new(
            EventId::new(self.clock(), self.rng()),
            EventType::AdminChanged,
        );
        event.actor = Some("system".to_owned());
        event.action = Some(Action {
            server: Some(server.clone()),
            ..Action::named("credential.use")
        });
        event.change = Some(ChangeRef {
            kind: "secret".to_owned(),
            id: credential.to_string(),
            before: None,
            after: Some("used to read the tools of a server".to_owned()),
        });
        let journal = Arc::clone(&self.inner.journal);
        let write = self.inner.store.write(move |tx| journal.push(tx, &event));
        write.await.map_err(LeaseError::Store)?;
        self.inner
            .journal
            .settled()
            .await
            .map_err(LeaseError::Record)?;
        let backend = StaticSecret::new(self.inner.store.clone(), Arc::clone(&self.inner.seal));
        let value = backend.value(credential).await;
        value.map_err(|source| LeaseError::Backend {
            credential: credential.clone(),
            source,
        })
    }

    /// The lease that serves this call already, if its ancestry still stands.
    async fn active(&self, want: &Wanted) -> Result<Option<Leased>, LeaseError> {
        let (now, asked) = (self.clock().wall(), want.clone());
        let found = self
            .inner
            .store
            .read(move |rows| {
                ancestry::check(rows, &asked, now)?;
                Ok::<_, LeaseError>(live(rows, &asked, now)?.map(|lease| lease.id))
            })
            .await?;
        let leased = |id: LeaseId| {
            self.inner
                .held
                .value(id)
                .map(|bearer| Leased { id, bearer })
        };
        Ok(found.and_then(leased))
    }

    async fn intend(&self, want: &Wanted) -> Result<Lease, LeaseError> {
        let (broker, want) = (self.clone(), want.clone());
        self.inner
            .store
            .write(move |tx| {
                let now = broker.clock().wall();
                let task = ancestry::check(tx, &want, now)?;
                if tx.live_leases_of_task(task.id)?.len() >= MAX_LIVE_OF_TASK {
                    return Err(LeaseError::Quota(task.id));
                }
                let id = LeaseId::new(broker.clock(), broker.rng());
                let lease = new_lease(id, &want, &task, now);
                tx.put_lease(&lease)?;
                let mut event =
                    broker.event(EventType::LeaseIntent, &lease, Some(&task), "pending");
                event.cause = want.cause;
                broker.inner.journal.push(tx, &event)?;
                Ok(lease)
            })
            .await
    }

    async fn make(&self, want: Wanted, lease: Lease) -> Result<Leased, LeaseError> {
        let id = lease.id;
        let outcome = self.activate(want, lease).await;
        if let Err(error) = &outcome {
            let cause = bailiwick_core::Fault::code(error).as_str();
            if let Err(failed) = self.end_leases(&[LeasesOf::Lease(id)], cause).await {
                // The sweep comes back to it; its value was never delivered.
                tracing::warn!(lease = %id, error = %failed, "a failed lease could not be ended yet");
            }
        }
        outcome
    }

    async fn activate(&self, want: Wanted, lease: Lease) -> Result<Leased, LeaseError> {
        let made = self.inner.backend.create(&lease).await;
        let bearer: Secret<String> = made.map_err(|source| LeaseError::Backend {
            credential: lease.credential.clone(),
            source,
        })?;
        let (broker, id) = (self.clone(), lease.id);
        self.inner
            .store
            .write(move |tx| {
                let task = ancestry::check(tx, &want, broker.clock().wall())?;
                let mut lease = tx.lease(id)?.ok_or(LeaseError::Ended)?;
                lease.state = lease
                    .state
                    .step(LeaseStep::Made)
                    .map_err(|_| LeaseError::Ended)?;
                lease.version = lease.version.saturating_add(1);
                tx.put_lease(&lease)?;
                let mut event =
                    broker.event(EventType::LeaseActive, &lease, Some(&task), "confirmed");
                event.cause = want.cause;
                Ok::<_, LeaseError>(broker.inner.journal.push(tx, &event)?)
            })
            .await?;
        self.inner
            .journal
            .settled()
            .await
            .map_err(LeaseError::Record)?;
        self.inner.held.put(id, bearer.clone());
        // A revocation between the commit above and this line has looked for the value before it was there.
        let state = self
            .inner
            .store
            .read(move |rows| rows.lease(id).map_err(LeaseError::Store))
            .await?;
        if state.is_some_and(|lease| lease.state == LeaseState::Active) {
            Ok(Leased { id, bearer })
        } else {
            self.inner.held.forget(id);
            Err(LeaseError::Ended)
        }
    }
}

/// The usable lease of this instance, task and credential.
fn live(rows: &dyn Reads, want: &Wanted, now: Timestamp) -> Result<Option<Lease>, LeaseError> {
    let leases = rows.live_leases_of_task(want.task)?;
    Ok(leases.into_iter().find(|lease| {
        lease.state == LeaseState::Active
            && lease.credential == want.credential
            && lease.server == want.server
            && lease.instance == Some(want.instance)
            && now < lease.not_after
    }))
}

fn new_lease(id: LeaseId, want: &Wanted, task: &Task, now: Timestamp) -> Lease {
    let not_after = now
        .plus(LEASE_LIFE)
        .min(task.expires_at)
        .min(task.scope.deadline());
    Lease {
        id,
        credential: want.credential.clone(),
        server: want.server.clone(),
        task: want.task,
        instance: Some(want.instance),
        agent: want.agent.clone(),
        state: LeaseState::Intent,
        created_at: now,
        not_after,
        cause: None,
        verified_at: None,
        version: 1,
    }
}
