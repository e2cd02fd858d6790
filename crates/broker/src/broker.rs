//! The protocol of leases, and who may call it. Issuing is in `issue`, taking away in `end`.

mod end;
mod finish;
mod identity;
mod issue;
mod reconcile;
mod take;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
#[cfg(test)]
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::lease::{Lease, Wanted};
use bailiwick_core::name::{AgentName, BackendName, CredentialName, ServerName};
use bailiwick_core::{Clock, Rng, Secret};
use bailiwick_crypto::fingerprint::{Fingerprint, SecretDigest};
use bailiwick_crypto::seal::Seal;
use bailiwick_store::{Journal, Store};
use tokio::sync::{Mutex, OnceCell};

use crate::backend::{Backend, StaticSecret};
use crate::backends::{Backends, Template};
use crate::desk::Desk;
use crate::held::Held;
use identity::Identity;

use crate::steps::{Side, Step};

pub use reconcile::Differences;
pub use take::Taken;

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
    /// Those that were asked for with a token or a key.
    With(Subject),
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
            Self::Server(server) => lease.server.as_ref() == Some(server),
            Self::Credential(credential) => lease.credential == *credential,
            Self::Lease(id) => lease.id == *id,
            Self::With(subject) => lease.lineage.contains(subject),
            Self::Every => true,
        }
    }
}

/// Leases credentials and takes them away. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

/// What a broker is made from.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Opens sealed values.
    pub seal: Arc<Seal>,
    /// Carries events to the log.
    pub journal: Arc<dyn Journal>,
    /// Where credentials are made that are not sealed values.
    pub backends: Backends,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

struct Inner {
    store: Store,
    seal: Arc<Seal>,
    journal: Arc<dyn Journal>,
    /// Where the values of this node come from.
    values: Arc<dyn Backend>,
    credentials: BTreeMap<CredentialName, Template>,
    desks: BTreeMap<BackendName, Arc<Desk>>,
    /// Who we are elsewhere, once somebody needed to know.
    identity: OnceCell<Identity>,
    /// The store's generation now.
    generation: AtomicU64,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    held: Held,
    making: [Mutex<()>; SHARDS],
    #[cfg(test)]
    hook: OnceLock<crate::steps::Hook>,
}

impl Broker {
    /// The print by which this deployment knows a secret again.
    pub fn print(&self, digest: &SecretDigest) -> Fingerprint {
        self.inner.seal.print(digest)
    }

    /// A broker. Call [`Self::recover`] once before the first lease, and keep [`Self::run`] running.
    pub fn new(parts: Parts) -> Self {
        let values = Arc::new(StaticSecret::new(
            parts.store.clone(),
            Arc::clone(&parts.seal),
        ));
        Self::with_values(parts, values)
    }

    /// A broker whose own values come from elsewhere.
    pub fn with_values(parts: Parts, values: Arc<dyn Backend>) -> Self {
        let desks = parts.backends.remotes.into_iter();
        let desks = desks.map(|(name, backend)| {
            let desk = Arc::new(Desk::new(name.clone(), backend));
            (name, desk)
        });
        let inner = Inner {
            store: parts.store,
            seal: parts.seal,
            journal: parts.journal,
            values,
            credentials: parts.backends.credentials,
            desks: desks.collect(),
            identity: OnceCell::new(),
            generation: AtomicU64::new(0),
            clock: parts.clock,
            rng: parts.rng,
            held: Held::default(),
            making: std::array::from_fn(|_| Mutex::new(())),
            #[cfg(test)]
            hook: OnceLock::new(),
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

    /// Tells the tests where the protocol is.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "in tests the hook is asked")]
    fn at(&self, _: Step, _: Side) {}

    /// Tells the tests where the protocol is.
    #[cfg(test)]
    fn at(&self, step: Step, side: Side) {
        if let Some(hook) = self.inner.hook.get() {
            hook(step, side);
        }
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
