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
use bailiwick_core::{Clock, Code, Digest, Fault, Problem, Rng, Secret};
use bailiwick_policy::BundleSource;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::{HeaderMap, StatusCode};

use crate::egress::Connector;
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
    /// Sends requests to upstreams of connectors.
    pub upstreams: Arc<dyn Upstreams>,
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

    /// Ends a lease at once, for this cause (one word on record).
    fn end(&self, lease: LeaseId, cause: &'static str) -> BoxFuture<'_, Result<(), Problem>>;
}

/// Sends requests to the upstreams of connectors: to checked addresses alone, over verified TLS, following no redirect, retrying nothing.
pub trait Upstreams: Send + Sync {
    /// Sends one request and resolves with the head of its answer. Dropping the future, or the body, ends the connection.
    fn send<'a>(
        &'a self,
        connector: &'a Connector,
        outgoing: Outgoing,
    ) -> BoxFuture<'a, Result<Upstream, UpstreamError>>;
}

/// A request as it goes out.
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// Path and query; the query may hold the credential.
    pub target: Secret<String>,
    /// All headers but those of the connection; one may hold the credential.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The answer of an upstream.
pub struct Upstream {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, still to come.
    pub body: UpstreamBody,
}

/// The body of an answer, as it comes.
pub struct UpstreamBody(pub reqwest::Response);

impl UpstreamBody {
    /// The next piece; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let chunk = self.0.chunk().await;
        chunk.map_err(|error| UpstreamError::Broken(error.without_url()))
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Not asked: its name or address leads where nothing is dialled.
    #[error("{0} leads to an address that is not dialled")]
    Address(String),
    /// Not asked: the request is not what the way there would make of it.
    #[error("the path or query would be changed on its way")]
    Target,
    /// Its certificate does not verify.
    #[error("the upstream's TLS certificate does not verify")]
    Tls(#[source] reqwest::Error),
    /// It cannot be reached.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It went away before its answer was whole.
    #[error("the upstream's answer broke off")]
    Broken(#[source] reqwest::Error),
    /// It took too long.
    #[error("the upstream did not answer in time")]
    Timeout,
}

impl Fault for UpstreamError {
    fn code(&self) -> Code {
        match self {
            Self::Address(_) => Code::EgressAddressBlocked,
            Self::Target => Code::EgressBadRequest,
            Self::Tls(_) => Code::EgressUpstreamTls,
            Self::Unreachable(_) | Self::Broken(_) => Code::EgressUpstream,
            Self::Timeout => Code::UpstreamTimeout,
        }
    }

    fn help(&self) -> String {
        let help = match self {
            Self::Address(_) => {
                "an operator looks at the name, or sets allow_private or allow_loopback of the connector"
            }
            Self::Target => "escape what is not a letter, digit or one of -._~",
            Self::Tls(_) => {
                "an operator sets ca_file of the connector, or has the certificate mended"
            }
            Self::Unreachable(_) => "the request did not run; try again later",
            Self::Broken(_) | Self::Timeout => "the request may have run",
        };
        help.to_owned()
    }
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
