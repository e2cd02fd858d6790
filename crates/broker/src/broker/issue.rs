//! Issuing a lease (05, lease protocol): INTENT on record → made → ancestry checked again, ACTIVE → durable on the log → delivered.

use std::sync::Arc;

use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::id::{EventId, LeaseId};
use bailiwick_core::lease::{Delivery, Lease, LeaseClass, LeaseState, LeaseStep};
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::task::Task;
use bailiwick_core::{Secret, Timestamp};
use bailiwick_crypto::fingerprint::SecretDigest;
use bailiwick_store::Reads;

use bailiwick_core::lease::Wanted;

use super::{Broker, Leased, LeasesOf};
use crate::backend::{Backend, Made, Order, StaticSecret};
use crate::steps::{Side, Step};
use crate::{LEASE_LIFE, LeaseError, MAX_LIVE_OF_TASK, ancestry};

impl Broker {
    /// The credential for a call: the active lease of this instance, task and credential, or a new one. One such lease serves all
    /// their calls. What this resolves with is durably on record.
    pub async fn lease(&self, want: Wanted) -> Result<Leased, LeaseError> {
        if let Some(template) = self.inner.credentials.get(&want.credential) {
            // Nothing that is made elsewhere can stand in a header.
            return Err(LeaseError::Delivery {
                credential: want.credential,
                delivery: Delivery::Inject,
                instead: template.delivery.clone(),
            });
        }
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
                event.decision.clone_from(&want.decision);
                broker.inner.journal.push(tx, &event)?;
                Ok(lease)
            })
            .await
    }

    async fn make(&self, want: Wanted, lease: Lease) -> Result<Leased, LeaseError> {
        let id = lease.id;
        let outcome = self.make_value(want, lease).await;
        if let Err(error) = &outcome {
            self.abandon(id, error).await;
        }
        outcome
    }

    async fn make_value(&self, want: Wanted, lease: Lease) -> Result<Leased, LeaseError> {
        let (id, values) = (lease.id, Arc::clone(&self.inner.values));
        let order = Order {
            credential: lease.credential.clone(),
            name: self.identity().await?.deployment.name(id),
            secret: Secret::new(String::new()),
            until: lease.not_after,
            lives: lease.not_after.since(self.clock().wall()),
        };
        let made = self.activate(&want, &*values, order, id).await?;
        self.hold(id, made.secret).await
    }

    /// Ends a lease that came to nothing. If this fails, the sweep comes back to it: its value was never delivered.
    pub(super) async fn abandon(&self, id: LeaseId, error: &LeaseError) {
        let cause = bailiwick_core::Fault::code(error).as_str();
        if let Err(failed) = self.end_leases(&[LeasesOf::Lease(id)], cause).await {
            tracing::warn!(lease = %id, error = %failed, "a failed lease could not be ended yet");
        }
    }

    /// Makes the credential and puts on record that it is made; resolves once that is durable.
    pub(super) async fn activate(
        &self,
        want: &Wanted,
        backend: &dyn Backend,
        order: Order,
        id: LeaseId,
    ) -> Result<Made, LeaseError> {
        self.at(Step::Create, Side::Before);
        let made = backend.create(&order).await;
        let made = made.map_err(|source| LeaseError::Backend {
            credential: order.credential.clone(),
            source,
        })?;
        self.at(Step::Create, Side::After);
        self.at(Step::Tx2, Side::Before);
        let (broker, want, serial) = (self.clone(), want.clone(), made.serial);
        let digest = SecretDigest::of(made.secret.expose().as_bytes());
        let print = self.print(&digest).to_string();
        self.inner
            .store
            .write(move |tx| {
                let now = broker.clock().wall();
                let task = ancestry::check(tx, &want, now)?;
                let mut lease = tx.lease(id)?.ok_or(LeaseError::Ended)?;
                lease.state = lease
                    .state
                    .step(LeaseStep::Made)
                    .map_err(|_| LeaseError::Ended)?;
                lease.issued_at = Some(now);
                if let Some(remote) = &mut lease.remote {
                    remote.serial = serial;
                }
                lease.version = lease.version.saturating_add(1);
                tx.put_lease(&lease)?;
                // Before anybody can have it: wherever its secret is found, it is known as this lease's.
                tx.put_lease_print(&print, id)?;
                let mut event =
                    broker.event(EventType::LeaseActive, &lease, Some(&task), "confirmed");
                event.cause = want.cause;
                Ok::<_, LeaseError>(broker.inner.journal.push(tx, &event)?)
            })
            .await?;
        self.at(Step::Tx2, Side::After);
        self.inner
            .journal
            .settled()
            .await
            .map_err(LeaseError::Record)?;
        Ok(made)
    }

    /// Keeps a value for the calls to come, if its lease still stands.
    async fn hold(&self, id: LeaseId, bearer: Secret<String>) -> Result<Leased, LeaseError> {
        self.inner.held.put(id, bearer.clone());
        // A revocation between the commit before and this line has looked for the value before it was there.
        if self.is_active(id).await? {
            Ok(Leased { id, bearer })
        } else {
            self.inner.held.forget(id);
            Err(LeaseError::Ended)
        }
    }

    pub(super) async fn is_active(&self, id: LeaseId) -> Result<bool, LeaseError> {
        let state = self
            .inner
            .store
            .read(move |rows| rows.lease(id).map_err(LeaseError::Store))
            .await?;
        Ok(state.is_some_and(|lease| lease.state == LeaseState::Active))
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

pub(super) fn new_lease(id: LeaseId, want: &Wanted, task: &Task, now: Timestamp) -> Lease {
    let not_after = now
        .plus(want.ttl.unwrap_or(LEASE_LIFE))
        .min(task.expires_at)
        .min(task.scope.deadline());
    Lease {
        id,
        credential: want.credential.clone(),
        server: want.server.clone(),
        task: want.task,
        instance: Some(want.instance),
        agent: want.agent.clone(),
        delivery: want.delivery,
        class: LeaseClass::R0,
        remote: None,
        lineage: want.lineage.clone(),
        idempotency_key: want.idempotency_key.clone(),
        replaces: None,
        issued_at: None,
        acknowledged: want.delivery == Delivery::Inject,
        revoked_at: None,
        evidence: None,
        state: LeaseState::Intent,
        created_at: now,
        not_after,
        cause: None,
        verified_at: None,
        version: 1,
    }
}
