//! What every route can reach.

use std::collections::HashSet;
use std::sync::Arc;

use bailiwick_audit::Log;
use bailiwick_control::Control;
use bailiwick_control::monitors::Restraint;
use bailiwick_core::name::NodeName;
use bailiwick_core::{Clock, Rng};
use bailiwick_crypto::dpop::Guard;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::pop::{Authorities, Challenges};
use bailiwick_enforce::{Gateway, Replica};
use bailiwick_identity::authority::Authority;
use bailiwick_identity::launches::Launches;
use bailiwick_store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::discovery::Discovery;
use crate::erasures::Waiting;
use crate::feed::Feed;
use crate::indexer::Indexer;
use crate::issuers::Issuers;
use crate::node::LogKeys;
use crate::published_clients::PublishedClients;
use crate::sign_ins::SignIns;
use crate::telemetry::Metrics;
use crate::witnesses::Witnesses;

/// Requests that are worked on at once; the next one is refused as overloaded.
pub const MAX_REQUESTS: usize = 256;
/// Followers of the record at once; each holds a connection for long.
pub const MAX_FOLLOWERS: usize = 64;
/// Exports at once; each reads the log.
pub const MAX_EXPORTS: usize = 4;

/// The parts of one node that routes use.
pub struct App {
    /// Use cases.
    pub control: Control,
    /// Identities and tokens.
    pub authority: Arc<Authority>,
    /// What this enforcement point knows.
    pub replica: Arc<Replica>,
    /// What `bailiwick run` started.
    pub launches: Arc<Launches>,
    /// The change feed, for points in other processes.
    pub feed: Arc<Feed>,
    /// Outside issuers whose tokens are evidence.
    pub issuers: Issuers,
    /// Authorities whose certificates are evidence; none: no certificate is.
    pub pop_authorities: Option<Authorities>,
    /// What their holders sign.
    pub pop_challenges: Challenges,
    /// Decides calls.
    pub gateway: Arc<Gateway>,
    /// Reads the tools of a server.
    pub discovery: Discovery,
    /// The state, for health and for who is an agent.
    pub store: Store,
    /// The record.
    pub log: Arc<Log>,
    /// Its index.
    pub index: Arc<Indexer>,
    /// The keys that sign its checkpoints.
    pub log_keys: Arc<LogKeys>,
    /// Monitors that do less than they could.
    pub monitors: Restraint,
    /// Signs statements over bundles of evidence.
    pub evidence: Arc<NoteSigner>,
    /// The key that others verify them with, in text form.
    pub evidence_vkey: String,
    /// Who cosigns its checkpoints.
    pub witnesses: Arc<Witnesses>,
    /// Erasures that wait for a second admin.
    pub erasures: Waiting,
    /// People who answer clients, if they can sign in.
    pub sign_ins: Option<SignIns>,
    /// Clients of theirs that nobody registered.
    pub published_clients: PublishedClients,
    /// Fresh DPoP proofs.
    pub dpop: Guard,
    /// Metrics.
    pub metrics: Metrics,
    /// Name of the node.
    pub node: NodeName,
    /// URL of API and token endpoint.
    pub console_url: String,
    /// URL of the listener whose clients show their SVID.
    pub mtls_url: Option<String>,
    /// Values of `Host` that mean this node.
    pub hosts: HashSet<String>,
    /// Origins of pages that are this node's own.
    pub origins: HashSet<String>,
    /// User ids that may use the admin socket.
    pub admin_uids: HashSet<u32>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Room for requests.
    pub requests: Semaphore,
    /// Room for followers.
    pub followers: Arc<Semaphore>,
    /// Room for exports.
    pub exports: Arc<Semaphore>,
    /// Cancelled when the node stops.
    pub stop: CancellationToken,
}
