//! The protocol of leases, and who may call it. Issuing is in `issue`, taking away in `end`.

mod end;
mod issue;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::lease::{Lease, Wanted};
use bailiwick_core::name::{AgentName, CredentialName, ServerName};
use bailiwick_core::{Clock, Rng, Secret};
use bailiwick_crypto::seal::Seal;
use bailiwick_store::{Journal, Store};
use tokio::sync::Mutex;

use crate::backend::{Backend, StaticSecret};
use crate::held::Held;

/// Locks that keep two calls from making the same lease at once; calls that share one only wait for each other.
const SHARDS: usize = 64;

/// A leased credential.
#[derive(Debug, Clone)]
pub struct Leased {
    /// The lease.
    pub id: LeaseId,
    /// Its value: for the one place that injects it.
    pub bearer: Secret<String>,
}

/// Which leases end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeasesOf {
    /// Those of a task; not of the tasks below it.
    Task(TaskId),
    /// Those of a process.
    Instance(InstanceId),
    /// Those of all processes of an agent.
    Agent(AgentName),
    /// Those for a server.
    Server(ServerName),
    /// Those made from a credential.
    Credential(CredentialName),
    /// This one.
    Lease(LeaseId),
    /// All.
    Every,
}

impl LeasesOf {
    /// Whether a lease is one of these.
    pub fn holds(&self, lease: &Lease) -> bool {
        match self {
            Self::Task(task) => lease.task == *task,
            Self::Instance(instance) => lease.instance == Some(*instance),
            Self::Agent(agent) => lease.agent == *agent,
            Self::Server(server) => lease.server == *server,
            Self::Credential(credential) => lease.credential == *credential,
            Self::Lease(id) => lease.id == *id,
            Self::Every => true,
        }
    }
}

/// Leases credentials and takes them away. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    seal: Arc<Seal>,
    journal: Arc<dyn Journal>,
    backend: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    held: Held,
    making: [Mutex<()>; SHARDS],
}

impl Broker {
    /// A broker of static secrets. Call [`Self::recover`] once before the first lease.
    pub fn new(
        store: Store,
        seal: Arc<Seal>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let backend = Arc::new(StaticSecret::new(store.clone(), Arc::clone(&seal)));
        Self::with_backend(store, seal, journal, backend, clock, rng)
    }

    /// A broker with this backend.
    pub fn with_backend(
        store: Store,
        seal: Arc<Seal>,
        journal: Arc<dyn Journal>,
        backend: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let held = Held::default();
        let making = std::array::from_fn(|_| Mutex::new(()));
        let inner = Inner {
            store,
            seal,
            journal,
            backend,
            clock,
            rng,
            held,
            making,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn seal(&self) -> &Seal {
        &self.inner.seal
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.inner.rng
    }
}

impl Inner {
    /// The lock of whoever makes this lease.
    fn making(&self, want: &Wanted) -> Option<&Mutex<()>> {
        let mut hasher = DefaultHasher::new();
        (want.instance, want.task, &want.credential).hash(&mut hasher);
        let shard = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0);
        self.making.get(shard)
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broker")
    }
}

#[cfg(test)]
mod tests;
