//! Use cases that join store, log, policy, identity and broker: agents, servers, tasks, approvals, revocation, policy,
//! accounts. Each takes who asks first, checks their roles, changes the store in one transaction together with the event that
//! tells of it, and returns a grant only once that event is durable.

pub mod access;
pub mod accounts;
pub mod agents;
pub mod approvals;
pub mod artefacts;
pub mod audit;
pub mod binding;
pub mod clients;
pub mod consents;
pub mod delegation;
pub mod evidence;
pub mod findings;
pub mod join_tokens;
pub mod labels;
pub mod launches;
pub mod leases;
mod leftovers;
pub mod monitors;
pub mod outbox;
pub mod points;
pub mod policies;
pub mod reevaluate;
pub mod revocation;
pub mod secrets;
pub mod servers;
pub mod sessions;
pub mod sweeper;
pub mod tasks;
pub mod tools;
pub mod vouchers;

use std::sync::{Arc, Mutex};

use bailiwick_audit::blobs::Blobs;
use bailiwick_broker::Broker;
use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{ApprovalId, Id, Kind, TaskId};
use bailiwick_core::{Clock, Problem, Rng, Timestamp};
use bailiwick_policy::Bundle;
use bailiwick_posture::artefact::Signer;
use bailiwick_store::{Journal, Store};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, broadcast};

pub use access::{Actor, Operation};
use policies::Publications;
use sessions::SessionLives;

/// Approval changes remembered for waiters that are slow; one that falls behind reads the store again.
const APPROVAL_NEWS: usize = 1_024;

/// Applies fences at the enforcement points of this process.
pub trait Cutter: Send + Sync {
    /// Adds fences before they are durable, so that the next decision already sees them; how many live calls and streams they cut.
    fn fence(&self, fences: &[Fence]) -> usize;

    /// Cuts every live call and stream under these subjects; how many there were.
    fn cut(&self, subjects: &[Subject]) -> usize;

    /// What goes on although a task above it has ended, by the point's own number for it. There should be nothing.
    fn outlived(&self) -> Vec<(u64, TaskId)>;
}

/// The bundle that decides now, compiled for the registry as it is: the one that calls are decided by.
pub trait ActivePolicy: Send + Sync {
    /// While nothing is published, one that permits no tool.
    fn current(&self) -> BoxFuture<'_, Result<Arc<Bundle>, Problem>>;
}

/// What the control plane is made from.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Carries events to the log.
    pub journal: Arc<dyn Journal>,
    /// Takes credentials away.
    pub broker: Broker,
    /// Keeps what events name by digest: definitions, bundles.
    pub blobs: Blobs,
    /// Signs and checks what is published.
    pub publications: Publications,
    /// What decides now, compiled.
    pub policy: Arc<dyn ActivePolicy>,
    /// Applies fences in this process.
    pub cutter: Arc<dyn Cutter>,
    /// The enforcement point of this process, as receipts name it: `<trust domain>/<node>`.
    pub point: String,
    /// The enforcement points in other processes.
    pub points: Arc<dyn points::Points>,
    /// Signs receipts of revocations.
    pub receipts: Arc<dyn revocation::Receipts>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Most delegations in a row below a root task; 4 unless configured.
    pub max_depth: usize,
    /// How long people stay signed in at the console.
    pub sessions: SessionLives,
    /// Who signs reports about code.
    pub signers: Vec<Signer>,
}

/// The control plane of one node. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    parts: Arc<Parts>,
    approval_news: broadcast::Sender<ApprovalId>,
    /// Orders whose fences hold here but could not be stored yet.
    unsettled: Arc<Mutex<Vec<revocation::Order>>>,
    /// Room for the one replay of recorded decisions that may run.
    replaying: Arc<Semaphore>,
}

impl Control {
    /// A control plane over these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            approval_news: broadcast::Sender::new(APPROVAL_NEWS),
            unsettled: Arc::default(),
            replaying: Arc::new(Semaphore::new(1)),
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.wall()
    }

    fn id<K: Kind>(&self) -> Id<K> {
        Id::new(&*self.parts.clock, &*self.parts.rng)
    }

    /// An event of a person's or the node's own doing.
    fn event(&self, kind: EventType, actor: &Actor, op: &str) -> Event {
        let mut event = Event::new(self.id(), kind);
        event.actor = Some(actor.on_record());
        event.action = Some(Action::named(op));
        event
    }

    /// An event that tells of a change to one thing.
    fn change_event(
        &self,
        kind: EventType,
        actor: &Actor,
        op: &str,
        thing: &str,
        id: &impl ToString,
    ) -> Event {
        let mut event = self.event(kind, actor, op);
        event.change = Some(ChangeRef {
            kind: thing.to_owned(),
            id: id.to_string(),
            before: None,
            after: None,
        });
        event
    }

    /// Sends what was put on record on its way, without waiting: what narrows authority waits for no log.
    fn carry(&self) {
        drop(self.parts.journal.settled());
    }

    /// Resolves when everything this use case put on record is durable.
    async fn settled(&self) -> Result<(), Problem> {
        self.parts.journal.settled().await
    }
}

#[cfg(test)]
mod tests;
