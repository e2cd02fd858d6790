//! A credential for an agent to hold (05, issue): INTENT on record, only then a secret is drawn, made at its backend, ACTIVE on record
//! and durable, handed over once. A holder that does not say that it arrived loses it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::{InstanceId, LeaseId};
use bailiwick_core::lease::{BackendKind, Lease, LeaseState, Remote, Wanted};
use bailiwick_core::{Rng, Secret, Timestamp};
use bailiwick_store::Tx;

use super::issue::new_lease;
use super::{Broker, LeasesOf};
use crate::backend::{Description, Order};
use crate::backends::Template;
use crate::desk::Desk;
use crate::steps::{Side, Step};
use crate::{BACKSTOP, LeaseError, MAX_LIVE_OF_TASK, ancestry};

/// Longest name that an asker gives a request.
pub(crate) const MAX_IDEMPOTENCY_KEY: usize = 128;
/// Letters of a drawn secret: 256 bits.
const SECRET_LEN: usize = 43;
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A credential that its holder has from now on.
#[derive(Debug)]
pub struct Taken {
    /// Its lease.
    pub lease: Lease,
    /// What proves its holder. It is kept nowhere: who loses it takes another one.
    pub secret: Secret<String>,
    /// Where and as whom to use it.
    pub access: BTreeMap<String, String>,
}

impl Broker {
    /// What makes a credential that an agent may hold; none if it is no such one.
    pub fn described(&self, wanted: &Wanted) -> Option<(Description, Template)> {
        let template = self.inner.credentials.get(&wanted.credential)?;
        let desk = self.inner.desks.get(&template.backend)?;
        Some((desk.backend.describe(), template.clone()))
    }

    /// Makes a credential and hands it over, durably on record. It has to be acknowledged ([`Self::acknowledge`]).
    pub async fn take(&self, want: Wanted) -> Result<Taken, LeaseError> {
        let (desk, template) = self.way(&want)?;
        // Nothing is made where nobody has looked since the start: this could be an older copy of the store.
        self.check_once(&desk).await?;
        desk.admits()?;
        let lease = self.intend_remote(&want, &desk, &template).await?;
        // What follows ends either delivered or revoked, even if the caller goes away: a started lease is never left behind.
        let broker = self.clone();
        let task = tokio::spawn(async move { broker.make_remote(want, desk, lease).await });
        task.await.unwrap_or(Err(LeaseError::Ended))
    }

    /// Takes its holder's word that a lease arrived.
    pub async fn acknowledge(&self, id: LeaseId, holder: InstanceId) -> Result<(), LeaseError> {
        let write = self.inner.store.write(move |tx| {
            let mut lease = tx.lease(id)?.ok_or(LeaseError::Ended)?;
            if lease.instance != Some(holder) || lease.state != LeaseState::Active {
                return Err(LeaseError::Ended);
            }
            if lease.acknowledged {
                return Ok(());
            }
            lease.acknowledged = true;
            lease.version = lease.version.saturating_add(1);
            tx.put_lease(&lease)?;
            Ok(())
        });
        write.await
    }

    /// Puts on record that an agent asked in vain.
    pub async fn refused(&self, want: &Wanted, code: bailiwick_core::Code) {
        let mut event = self.about_refusal(want);
        event.outcome = Some(bailiwick_core::event::Outcome {
            status: bailiwick_core::event::Status::Refused,
            code: Some(code.as_str().to_owned()),
            us: 0,
            bytes: 0,
            evidence: bailiwick_core::event::Evidence::Observed,
        });
        let journal = Arc::clone(&self.inner.journal);
        let write = self.inner.store.write(move |tx| journal.push(tx, &event));
        match write.await {
            Ok(()) => drop(self.inner.journal.settled()),
            Err(error) => {
                let error: bailiwick_store::StoreError = error;
                tracing::error!(%error, "a refused lease could not be put on record");
            }
        }
    }

    fn about_refusal(&self, want: &Wanted) -> Event {
        use bailiwick_core::event::{Action, AgentRef, ChangeRef};
        let id = bailiwick_core::id::EventId::new(self.clock(), self.rng());
        let mut event = Event::new(id, EventType::LeaseRefused);
        event.agent = Some(AgentRef {
            id: want.agent.clone(),
            instance: Some(want.instance),
            code_digest: None,
        });
        event.action = Some(Action::named("leases.take"));
        event.change = Some(ChangeRef {
            kind: "credential".to_owned(),
            id: want.credential.to_string(),
            before: None,
            after: Some(want.task.to_string()),
        });
        event.decision.clone_from(&want.decision);
        event
    }

    fn way(&self, want: &Wanted) -> Result<(Arc<Desk>, Template), LeaseError> {
        let template = self.inner.credentials.get(&want.credential);
        let forbidden = |instead: &[_]| LeaseError::Delivery {
            credential: want.credential.clone(),
            delivery: want.delivery,
            instead: instead.to_vec(),
        };
        let template = template.ok_or_else(|| forbidden(&[]))?;
        if !template.delivery.contains(&want.delivery) {
            return Err(forbidden(&template.delivery));
        }
        if want
            .idempotency_key
            .as_ref()
            .is_some_and(|key| key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY)
        {
            return Err(LeaseError::Denied {
                credential: want.credential.clone(),
                why: format!("an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY} bytes"),
            });
        }
        let desk = self.inner.desks.get(&template.backend);
        let desk = desk.ok_or_else(|| LeaseError::NoBackend(template.backend.clone()))?;
        Ok((Arc::clone(desk), template.clone()))
    }

    async fn intend_remote(
        &self,
        want: &Wanted,
        desk: &Arc<Desk>,
        template: &Template,
    ) -> Result<Lease, LeaseError> {
        self.at(Step::Tx1, Side::Before);
        let deployment = self.identity().await?.deployment.clone();
        let (broker, mut want) = (self.clone(), want.clone());
        want.ttl = Some(want.ttl.map_or(template.ttl, |ttl| ttl.min(template.ttl)));
        let (about, backend, most) = (
            desk.backend.describe(),
            desk.name.clone(),
            template.max_live,
        );
        let (lease, replaced) = self
            .inner
            .store
            .write(move |tx| {
                let now = broker.clock().wall();
                let task = ancestry::check(tx, &want, now)?;
                let replaced = broker.replace(tx, &want)?;
                if tx.live_leases_of_task(task.id)?.len() >= MAX_LIVE_OF_TASK {
                    return Err(LeaseError::Quota(task.id));
                }
                if tx.count_live_leases(&want.credential)? >= most {
                    return Err(LeaseError::Busy {
                        credential: want.credential.clone(),
                        most,
                    });
                }
                let id = LeaseId::new(broker.clock(), broker.rng());
                let lease = new_lease(id, &want, &task, now);
                let lease = Lease {
                    class: about.class.when(want.delivery),
                    replaces: replaced.first().copied(),
                    remote: (about.kind != BackendKind::Static).then(|| Remote {
                        backend: backend.clone(),
                        name: deployment.name(id),
                        serial: None,
                        not_after: backstop(lease.not_after),
                    }),
                    ..lease
                };
                tx.put_lease(&lease)?;
                let mut event =
                    broker.event(EventType::LeaseIntent, &lease, Some(&task), "pending");
                event.cause = want.cause;
                event.decision.clone_from(&want.decision);
                broker.inner.journal.push(tx, &event)?;
                Ok((lease, replaced))
            })
            .await?;
        self.at(Step::Tx1, Side::After);
        self.finish(&replaced).await?;
        Ok(lease)
    }

    /// Ends what was answered to the same request before: it is kept nowhere, so it cannot be answered again.
    fn replace(&self, tx: &mut dyn Tx, want: &Wanted) -> Result<Vec<LeaseId>, LeaseError> {
        let Some(key) = &want.idempotency_key else {
            return Ok(Vec::new());
        };
        let same = |lease: &Lease| {
            lease.idempotency_key.as_ref() == Some(key)
                && lease.credential == want.credential
                && lease.instance == Some(want.instance)
                && matches!(lease.state, LeaseState::Intent | LeaseState::Active)
        };
        let live = tx.live_leases_of_task(want.task)?.into_iter();
        let which: Vec<LeasesOf> = live
            .filter(same)
            .map(|lease| LeasesOf::Lease(lease.id))
            .collect();
        Ok(self.revoke_leases(tx, &which, "replaced", None)?)
    }

    async fn make_remote(
        &self,
        want: Wanted,
        desk: Arc<Desk>,
        lease: Lease,
    ) -> Result<Taken, LeaseError> {
        let id = lease.id;
        let outcome = self.hand_over(&want, &desk, &lease).await;
        if let Err(error) = &outcome {
            self.abandon(id, error).await;
            // If it was buried while it was being made, nobody else comes for what was made after that.
            self.remove_unknown(&desk, &lease).await;
        }
        outcome
    }

    async fn hand_over(
        &self,
        want: &Wanted,
        desk: &Desk,
        lease: &Lease,
    ) -> Result<Taken, LeaseError> {
        let remote = lease.remote.as_ref().ok_or(LeaseError::Ended)?;
        let order = Order {
            credential: lease.credential.clone(),
            name: remote.name.clone(),
            secret: draw(self.rng()),
            until: remote.not_after,
            lives: remote.not_after.since(self.clock().wall()),
        };
        let made = self.activate(want, &*desk.backend, order, lease.id).await;
        match &made {
            Ok(_) => desk.succeeded(),
            Err(LeaseError::Backend { source, .. }) => desk.failed(source),
            Err(_) => {}
        }
        let made = made?;
        self.at(Step::Deliver, Side::Before);
        let id = lease.id;
        let read = self.inner.store.read(move |rows| rows.lease(id));
        let lease = read.await.map_err(LeaseError::Store)?;
        let lease = lease.filter(|lease| lease.state == LeaseState::Active);
        Ok(Taken {
            lease: lease.ok_or(LeaseError::Ended)?,
            secret: made.secret,
            access: made.access,
        })
    }
}

/// When an account ends by itself.
fn backstop(not_after: Timestamp) -> Timestamp {
    not_after.plus(BACKSTOP)
}

/// Draws a secret: each letter is one of 62, those of bytes that would favour some are drawn again.
fn draw(rng: &dyn Rng) -> Secret<String> {
    let mut secret = String::with_capacity(SECRET_LEN);
    let mut random = zeroize::Zeroizing::new([0_u8; 64]);
    while secret.len() < SECRET_LEN {
        rng.fill(&mut *random);
        let fair = random.iter().filter(|byte| **byte < 248);
        let letters = fair.filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
        let left = SECRET_LEN - secret.len();
        secret.extend(letters.take(left).map(|letter| char::from(*letter)));
    }
    Secret::new(secret)
}
