//! What the gateway needs from the rest of the node, as object-safe traits. In one process they are wired to `control` and `broker`;
//! across nodes they are remote. The recorder is [`bailiwick_audit::Recorder`].

use std::sync::Arc;

use bailiwick_audit::Recorder;
pub use bailiwick_core::approval::Question;
pub use bailiwick_core::lease::Wanted;

use bailiwick_core::approval::Approval;
use bailiwick_core::id::{ApprovalId, EventId, LeaseId, TaskId};
use bailiwick_core::item::ItemKey;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{CredentialName, ServerName, ToolName};
use bailiwick_core::{Clock, Digest, Problem, Rng, Secret};
use bailiwick_policy::BundleSource;
use futures_util::future::BoxFuture;

use crate::policies::Policies;

/// Everything outside that the gateway talks to.
#[derive(Clone)]
pub struct Ports {
    /// Asks people.
    pub approver: Arc<dyn Approver>,
    /// Leases credentials.
    pub leaser: Arc<dyn Leaser>,
    /// Takes note of tool definitions.
    pub cataloguer: Arc<dyn Cataloguer>,
    /// Makes labels durable.
    pub labeller: Arc<dyn Labeller>,
    /// The bundle that decides, compiled.
    pub policies: Arc<Policies>,
    /// Puts events on record.
    pub recorder: Arc<dyn Recorder>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

/// Asks people about a call, and uses their answers.
pub trait Approver: Send + Sync {
    /// Asks for approval of exactly this call, or joins the one that is pending or approved for the same digest.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Approval, Problem>>;

    /// Resolves with the approval once it is no longer pending. Dropping the future leaves the approval as it is.
    fn settled(&self, id: ApprovalId) -> BoxFuture<'_, Result<Approval, Problem>>;

    /// Uses an approved approval for its one call, by compare-and-swap. Resolves when that is durable.
    fn consume(
        &self,
        id: ApprovalId,
        call_digest: Digest,
    ) -> BoxFuture<'_, Result<Approval, Problem>>;

    /// Where a person answers it.
    fn url(&self, id: ApprovalId) -> String;
}

/// Leases credentials. The agent never sees what comes back.
pub trait Leaser: Send + Sync {
    /// The credential for one call: an active lease of this task, made or joined.
    fn lease(&self, want: Wanted) -> BoxFuture<'_, Result<Leased, Problem>>;
}

/// A leased credential.
#[derive(Debug, Clone)]
pub struct Leased {
    /// The lease; the call dies with it.
    pub id: LeaseId,
    /// The credential.
    pub credential: CredentialName,
    /// Sent to the upstream as `Authorization: Bearer …`.
    pub bearer: Secret<String>,
}

/// Takes note of the definitions that servers show.
pub trait Cataloguer: Send + Sync {
    /// What one server showed. Resolves when the tools' states are durable and the replica knows them.
    fn seen(&self, listing: Listing) -> BoxFuture<'_, Result<(), Problem>>;
}

/// Tools that one server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The server.
    pub server: ServerName,
    /// Its tools.
    pub tools: Vec<SeenTool>,
    /// Whether these are all of its tools: what is missing is no longer offered.
    pub complete: bool,
}

/// One tool as its server showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTool {
    /// Its name.
    pub name: ToolName,
    /// Digest of its definition ([`crate::catalogue::definition_digest`]).
    pub digest: Digest,
    /// The definition's JSON text as received.
    pub definition: String,
}

/// Makes labels durable, on record, and known to every live enforcement point, in that order; resolves when all of that is so.
pub trait Labeller: Send + Sync {
    /// A task takes labels, and the process that acts in it.
    fn task(
        &self,
        task: TaskId,
        labels: Labels,
        cause: EventId,
    ) -> BoxFuture<'_, Result<(), Problem>>;

    /// Items take the labels of the task that writes into them.
    fn items(
        &self,
        task: TaskId,
        keys: Vec<ItemKey>,
        labels: Labels,
        cause: EventId,
    ) -> BoxFuture<'_, Result<(), Problem>>;
}

/// Gives policy bundles. What it gives is what was published: a text that was altered since is an error.
pub trait PolicySource: Send + Sync {
    /// The bundle of this version, which is the active one.
    fn active(&self, version: Digest) -> BoxFuture<'_, Result<BundleSource, Problem>>;

    /// The bundle of this version, which is tried beside it.
    fn tried(&self, version: Digest) -> BoxFuture<'_, Result<BundleSource, Problem>>;
}
