//! The MCP gateway as one object: what it is set up with, and what it shares between all sessions and transports.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::client::ClientId;
use bailiwick_core::name::ServerName;
use bailiwick_core::spiffe_id::TrustDomain;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_crypto::token::task::TaskClaims;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budgets::Budgets;
use crate::caller::Caller;
use crate::decider::LocalDecider;
use crate::egress::{Connectors, MAX_EXCHANGES};
use crate::live::Entered;
use crate::mcp::{Authenticator, Sessions};
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::replica::Replica;
use crate::trial::{Counted, Trial};

/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// How long calls may go on after the gateway was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What the gateway is set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The gateway's public URL without path, such as `http://127.0.0.1:8421`: audiences and DPoP proofs are for it, never for `Host`.
    pub public_url: String,
    /// The address that the listener is bound to; loopback names with its port are taken as `Host`.
    pub listen: SocketAddr,
    /// Browser origins that may call, besides the public URL's own.
    pub origins: Vec<String>,
    /// Issuer of task tokens.
    pub issuer: String,
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The store's epoch: tokens of another one are dead.
    pub epoch: u64,
    /// How long a call waits for a person before its caller is told to ask again.
    pub approval_wait: Duration,
    /// Bound on one call, from forwarding to the end of its answer.
    pub call_timeout: Duration,
    /// Whether callers may show an X.509-SVID in the handshake, and tokens be bound to it.
    pub mutual: bool,
    /// OAuth clients whose tokens may be bound to no key.
    pub unbound_clients: Arc<BTreeSet<ClientId>>,
    /// Upstreams that agents ask through this node.
    pub connectors: Arc<Connectors>,
    /// Directory below which each child process gets a private one; the node's runtime directory.
    pub scratch: PathBuf,
}

impl Settings {
    /// Settings with the documented defaults: approvals wait 120 s, calls take at most 10 minutes.
    pub fn new(
        public_url: impl Into<String>,
        listen: SocketAddr,
        issuer: impl Into<String>,
        trust_domain: TrustDomain,
    ) -> Self {
        Self {
            public_url: public_url.into(),
            listen,
            origins: Vec::new(),
            issuer: issuer.into(),
            trust_domain,
            epoch: 0,
            approval_wait: Duration::from_mins(2),
            call_timeout: Duration::from_mins(10),
            mutual: false,
            unbound_clients: Arc::default(),
            connectors: Arc::default(),
            scratch: std::env::temp_dir(),
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The public URL is not an http or https origin.
    #[error("gateway.public_url `{0}` is not a URL of the form http://host:port, without path")]
    PublicUrl(String),
}

impl Fault for SettingsError {
    fn code(&self) -> Code {
        Code::ConfigInvalid
    }

    fn help(&self) -> String {
        "set [gateway] public_url to the URL under which agents reach the gateway".to_owned()
    }
}

/// The gateway.
pub struct Gateway {
    pub(crate) settings: Settings,
    pub(crate) ports: Ports,
    pub(crate) decider: Arc<LocalDecider>,
    pub(crate) sessions: Sessions,
    pub(crate) authenticator: Authenticator,
    pub(crate) metrics: Metrics,
    pub(crate) trial: Trial,
    pub(crate) http: reqwest::Client,
    /// Room for exchanges through connectors.
    pub(crate) exchanges: Arc<Semaphore>,
    /// Calls and readers that outlive the connection they came on; joined at the end.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Gateway {
    /// Enters a caller in the live index under its task and everything that stands behind it, if that may act now: it is cut as soon as one of
    /// them is revoked or ends.
    pub fn stand(&self, caller: &Caller) -> Result<Entered, Problem> {
        self.decider.stand(caller)
    }

    /// A gateway on this replica. `http` is used for tool servers alone: it must not follow redirects.
    pub fn new(
        settings: Settings,
        replica: Arc<Replica>,
        budgets: Arc<Budgets>,
        ports: Ports,
        http: reqwest::Client,
    ) -> Result<Arc<Self>, SettingsError> {
        let url = &settings.public_url;
        let host = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"))
            .unwrap_or_default();
        let plain = host.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'[' | b']')
        });
        if host.is_empty() || !plain {
            return Err(SettingsError::PublicUrl(url.clone()));
        }
        let policies = Arc::clone(&ports.policies);
        let decider = LocalDecider::new(replica, budgets, policies, Arc::clone(&ports.clock));
        let authenticator = Authenticator::new(&settings, &ports);
        Ok(Arc::new(Self {
            settings,
            ports,
            decider: Arc::new(decider),
            sessions: Sessions::default(),
            authenticator,
            metrics: Metrics::new(),
            trial: Trial::default(),
            http,
            exchanges: Arc::new(Semaphore::new(MAX_EXCHANGES)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Publishes the gateway's metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
        registry.register(
            "bailiwick_reevaluation_waiting",
            "Changes whose calls, leases, approvals and tasks are not all decided again yet",
            self.decider.backlog().gauge(),
        );
    }

    /// What the bundle that is tried beside the active one would have decided otherwise; none if nothing was compared.
    pub fn trial(&self) -> Option<Counted> {
        self.trial.counted()
    }

    /// Whether there is anything behind `/p/`.
    pub fn has_connectors(&self) -> bool {
        !self.settings.connectors.is_empty()
    }

    /// The resource identifier of one server: what a token's `aud` must be, and the URL that a DPoP proof is for.
    pub fn resource(&self, server: &ServerName) -> String {
        format!("{}/mcp/{server}", self.settings.public_url)
    }

    /// What a task token of ours says, if this enforcement point would take it now from its holder, whichever resource it is for
    /// (RFC 7662): the same checks, on the same state, as for a call.
    pub async fn introspect(&self, token: &str) -> Result<TaskClaims, Problem> {
        self.authenticator.introspect(self, token).await
    }

    /// Closes sessions that nobody uses until `stop`; then ends all sessions and waits for what is running, with a bound.
    pub async fn maintain(&self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {
                    self.sessions.sweep(self.ports.clock.monotonic());
                    self.decider.sweep();
                }
            }
            self.metrics.sessions(self.sessions.len());
        }
        self.stop.cancel();
        self.sessions.close_all();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("calls were still running when the gateway stopped");
        }
    }
}
