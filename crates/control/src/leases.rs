//! Leases: who may take a credential is decided here, by policy; making it is the broker's. Reading them, and ending them with what they
//! depend on. How their backends stand.

use std::time::Duration;

use bailiwick_broker::{Differences, LeasesOf, Standing, Taken};
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::Decision;
use bailiwick_core::event::{DecisionRef, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::lease::{Delivery, Lease, Wanted};
use bailiwick_core::name::{BackendName, CredentialName};
use bailiwick_core::task::Task;
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_policy::Facts;
use bailiwick_policy::act::{self, Told};
use bailiwick_store::{LeaseFilter, StoreError, facts};

use crate::artefacts::known_of;
use crate::reevaluate::CAUSE;
use crate::tasks::{About, unknown};
use crate::{Actor, Control, Operation};

/// Who asks for a credential: a process in its task.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Its task.
    pub task: TaskId,
    /// The process.
    pub instance: InstanceId,
    /// The token that it showed, if it showed one.
    pub token: Option<Shown>,
}

/// What is known of a token that somebody showed.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The token, those it was exchanged from, its key: a fence on one ends the lease.
    pub lineage: Vec<Subject>,
    /// The epoch in which it was issued.
    pub epoch: u64,
    /// Digest of its task's scope then.
    pub scope_digest: Digest,
}

/// A task, its chain, and the newest change when both were read.
struct Held {
    task: Task,
    chain: Chain,
    seq: u64,
    facts: Facts,
}

/// A credential to be taken.
#[derive(Debug, Clone)]
pub struct Take {
    /// Which.
    pub credential: CredentialName,
    /// How it is handed over.
    pub delivery: Delivery,
    /// For how long at most.
    pub ttl: Option<Duration>,
    /// What the asker calls this request.
    pub idempotency_key: Option<String>,
}

impl Control {
    /// Leases a credential to a process that is to hold it itself. What this resolves with is durably on record; a refusal is too.
    pub async fn take_lease(&self, by: Holder, ask: Take) -> Result<Taken, Problem> {
        let held = self.held(&by).await?;
        let mut want = Wanted {
            server: None,
            credential: ask.credential,
            task: held.task.id,
            instance: by.instance,
            agent: held.task.agent.clone(),
            cause: None,
            delivery: ask.delivery,
            ttl: ask.ttl,
            idempotency_key: ask.idempotency_key,
            lineage: by.shown_lineage(),
            decision: None,
        };
        // What nothing makes has nothing that policy could be asked about; the broker says so.
        if let Some(said) = self.said_now(&held, &want).await? {
            want.decision = Some(DecisionRef::of(&said, 0));
            if let Some(problem) = act::refusal(&said) {
                self.parts.broker.refused(&want, problem.code).await;
                return Err(problem);
            }
        }
        match self.parts.broker.take(want.clone()).await {
            Ok(taken) => {
                self.still_leased(&by, &want, held.seq, taken.lease.id)
                    .await?;
                Ok(taken)
            }
            Err(error) => {
                let problem = error.problem();
                self.parts.broker.refused(&want, problem.code).await;
                Err(problem)
            }
        }
    }

    /// Decides once more if something has changed since change `decided`, and ends the lease if it is no longer allowed. What changes from
    /// now on finds the lease in the store.
    pub(crate) async fn still_leased(
        &self,
        by: &Holder,
        want: &Wanted,
        decided: u64,
        lease: LeaseId,
    ) -> Result<(), Problem> {
        let still = async {
            let held = self.held(by).await?;
            if held.seq == decided {
                return Ok(());
            }
            let said = self.said_now(&held, want).await?;
            said.as_ref().and_then(act::refusal).map_or(Ok(()), Err)
        };
        let Err(problem) = still.await else {
            return Ok(());
        };
        self.end_leases(&[LeasesOf::Lease(lease)], CAUSE).await;
        Err(problem)
    }

    async fn held(&self, by: &Holder) -> Result<Held, Problem> {
        let (id, now) = (by.task, self.now());
        let read = self.parts.store.read(move |rows| {
            let task = rows.task(id)?.ok_or_else(|| unknown(id))?;
            let chain = facts::chain(rows, &task).ok_or_else(|| unknown(id))?;
            let held = Held {
                facts: known_of(rows, &task, now)?,
                task,
                chain,
                seq: rows.head(),
            };
            Ok::<_, StoreError>((held, facts::epoch(rows)?))
        });
        let (held, epoch) = read.await.map_err(|error| error.problem())?;
        by.check(&held.task, epoch)?;
        Ok(held)
    }

    async fn said_now(&self, held: &Held, want: &Wanted) -> Result<Option<Decision>, Problem> {
        let policy = self.parts.policy.current().await?;
        let about = About {
            policy: &policy,
            task: &held.task,
            chain: &held.chain,
            now: self.now(),
            seq: held.seq,
            facts: held.facts.clone(),
        };
        Ok(self.lease_said(&about, want))
    }

    /// What policy says to a task having a credential; none if nothing makes such a one for an agent to hold.
    pub(crate) fn lease_said(&self, about: &About<'_>, want: &Wanted) -> Option<Decision> {
        let credential = want.credential.as_str();
        if let Some(server) = &want.server {
            return Some(about.lease(credential, &[("server", Told::Server(server))]));
        }
        let (made, template) = self.parts.broker.described(want)?;
        let class = made.class.when(want.delivery);
        let ttl = want.ttl.map_or(template.ttl, |ttl| ttl.min(template.ttl));
        let input = [
            ("server", Told::NoServer),
            ("kind", Told::Text(made.kind.as_str())),
            ("class", Told::Number(class.as_long().into())),
            ("backend_class", Told::Number(made.class.as_long().into())),
            ("delivery", Told::Text(want.delivery.as_str())),
            ("backstop", Told::Flag(made.native_end)),
            ("ttl_s", Told::Number(ttl.as_secs())),
        ];
        Some(about.lease(credential, &input))
    }

    /// Takes a holder's word that a lease arrived: without it the lease ends after a few seconds.
    pub async fn acknowledge_lease(&self, id: LeaseId, holder: InstanceId) -> Result<(), Problem> {
        let done = self.parts.broker.acknowledge(id, holder).await;
        done.map_err(|error| error.problem())
    }

    /// One lease; never its value.
    pub async fn lease(&self, actor: &Actor, id: LeaseId) -> Result<Lease, Problem> {
        actor.may(Operation::Read)?;
        let missing = move || StoreError::NotFound {
            kind: "lease",
            key: id.to_string(),
        };
        let read = self
            .parts
            .store
            .read(move |rows| rows.lease(id)?.ok_or_else(missing));
        read.await.map_err(|error: StoreError| error.problem())
    }

    /// How each backend stands.
    pub fn backends(&self, actor: &Actor) -> Result<Vec<Standing>, Problem> {
        actor.may(Operation::Read)?;
        Ok(self.parts.broker.backends())
    }

    /// Asks a backend how it stands.
    pub async fn probe_backend(
        &self,
        actor: &Actor,
        name: &BackendName,
    ) -> Result<Standing, Problem> {
        actor.may(Operation::Revoke)?;
        let standing = self.parts.broker.probe(name).await;
        standing.map_err(|error| error.problem())
    }

    /// Compares a backend's accounts with the leases, and mends what differs; only tells it if `dry`.
    pub async fn reconcile_backend(
        &self,
        actor: &Actor,
        name: &BackendName,
        dry: bool,
    ) -> Result<Differences, Problem> {
        actor.may(if dry {
            Operation::Read
        } else {
            Operation::Revoke
        })?;
        let found = self.parts.broker.reconcile(name, dry).await;
        found.map_err(|error| error.problem())
    }

    /// Takes this node's data for the right ones, though a backend has seen newer ones. What newer leases left there is removed.
    pub async fn adopt_backend(
        &self,
        actor: &Actor,
        name: &BackendName,
    ) -> Result<Differences, Problem> {
        actor.may(Operation::WriteSecrets)?;
        let kind = EventType::AdminChanged;
        let event = self.change_event(kind, actor, "backends.adopt", "backend", name);
        let journal = std::sync::Arc::clone(&self.parts.journal);
        let told = self.parts.store.write(move |tx| journal.push(tx, &event));
        told.await.map_err(|error: StoreError| error.problem())?;
        self.settled().await?;
        let found = self.parts.broker.adopt(name).await;
        found.map_err(|error| error.problem())
    }

    /// Leases, newest last; never their values.
    pub async fn leases(
        &self,
        actor: &Actor,
        filter: LeaseFilter,
        after: Option<LeaseId>,
        limit: usize,
    ) -> Result<Vec<Lease>, Problem> {
        actor.may(Operation::Read)?;
        let leases = self
            .parts
            .store
            .read(move |rows| rows.leases(&filter, after, limit))
            .await;
        leases.map_err(|error: StoreError| error.problem())
    }

    /// Ends leases; how many. A failure is logged and mended by the sweeper: their task or fence already stops their use.
    pub(crate) async fn end_leases(&self, which: &[LeasesOf], cause: &str) -> u64 {
        match self.parts.broker.end_leases(which, cause).await {
            Ok(ended) => u64::try_from(ended).unwrap_or(u64::MAX),
            Err(error) => {
                tracing::error!(%error, cause, "leases could not be ended yet");
                0
            }
        }
    }
}

impl Control {
    /// Takes credentials away of leases that serve nobody any more. A failure is logged and mended by the sweeper.
    pub(crate) async fn finish_leases(&self, leases: &[LeaseId]) {
        if let Err(error) = self.parts.broker.finish(leases).await {
            tracing::error!(%error, "leases that ended could not be taken away yet");
        }
    }
}

impl Holder {
    fn shown_lineage(&self) -> Vec<Subject> {
        let token = self.token.as_ref();
        token.map(|token| token.lineage.clone()).unwrap_or_default()
    }

    fn check(&self, task: &Task, epoch: u64) -> Result<(), Problem> {
        let refuse = |code, message: &str, help: &str| Err(Problem::new(code, message, help));
        let Some(token) = &self.token else {
            return Ok(());
        };
        if token.epoch != epoch {
            return refuse(
                Code::EpochOld,
                "the token is from before the store was restored",
                "attest again and ask for a new token",
            );
        }
        if task.instance != Some(self.instance) || task.scope_digest != token.scope_digest {
            return refuse(
                Code::TokenInvalid,
                "the token is for another process or scope than the task has",
                "ask for a new token",
            );
        }
        Ok(())
    }
}
