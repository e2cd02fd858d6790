//! The configuration of a node: one TOML document, `version = 1`. What was written ([`raw`]) and what holds ([`Config`]) are two types;
//! every problem of a document is found at once. Keys, defaults and their reasons: [`keys`], `docs/reference/configuration.md`.

pub mod flaw;
pub mod keys;
pub mod raw;
mod resolve;
pub mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::seal::Payload;
use bailiwick_broker::Template;
use bailiwick_broker::backend::{AccountOf, BackendAt};
use bailiwick_control::monitors::Restraint;
use bailiwick_control::sessions::SessionLives;
use bailiwick_core::Timestamp;
use bailiwick_core::client::ClientId;
use bailiwick_core::name::{AccountName, AgentName, BackendName, CredentialName, NodeName};
use bailiwick_core::spiffe_id::TrustDomain;
use bailiwick_crypto::cosignature::CosignatureVerifier;
use bailiwick_crypto::jwk::Algorithm;
use bailiwick_enforce::egress::Connector;
use bailiwick_identity::remote::oidc::Preset;

pub use flaw::{ConfigError, Flaw, Flaws};
use raw::RawConfig;

use crate::outbound::address::Besides;

/// Longest configuration read.
pub const MAX_BYTES: u64 = 256 << 10;

/// The configuration that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub node: Node,
    /// Where the state is kept, if not in the data directory.
    pub store: Option<StoreAt>,
    /// Identities.
    pub identity: Identity,
    /// Task tokens.
    pub oauth: OAuth,
    /// The API and token endpoint.
    pub console: Listener,
    /// How long people stay signed in at the console.
    pub sessions: SessionLives,
    /// The MCP gateway.
    pub gateway: Gateway,
    /// Where credentials are leased from.
    pub broker: Broker,
    /// Where agents show their X.509-SVID for a token.
    pub mtls: Option<Mtls>,
    /// HTTP upstreams that agents ask through this node.
    pub connectors: Vec<ConnectorAt>,
    /// How long a call waits for a person.
    pub approval_wait: Duration,
    /// Who is told of what people should know of.
    pub webhook: Option<WebhookTo>,
    /// Monitors that do less than they could.
    pub monitors: Restraint,
    /// Whose signatures count on reports about code.
    pub signers: Vec<SignerAt>,
    /// The audit log.
    pub audit: Audit,
    /// User ids that may use the admin socket, besides the node's own and root.
    pub admin_uids: Vec<u32>,
    /// What the node tells about itself on standard error.
    pub log: Log,
}

/// Somebody who signs reports about code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerAt {
    /// Its name.
    pub name: String,
    /// The file of its public key in PEM.
    pub key_file: PathBuf,
    /// The builder that its provenance has to name.
    pub builder: Option<String>,
}

/// This node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Everything it keeps.
    pub data_dir: PathBuf,
    /// Its sockets.
    pub runtime_dir: PathBuf,
}

/// A PostgreSQL server that the state is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAt {
    /// `postgresql://user@host:port/database`, without a password.
    pub url: String,
    /// Where the user's password stands.
    pub password_file: Option<PathBuf>,
    /// Authorities that its certificate may be from, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// Identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// Life of X.509-SVIDs.
    pub x509_ttl: Duration,
    /// Life of JWT-SVIDs.
    pub jwt_ttl: Duration,
    /// Authorities whose certificates count as evidence, in PEM.
    pub x509pop_ca: Option<PathBuf>,
    /// Whose tokens count as evidence.
    pub issuers: Vec<IssuerAt>,
}

/// An outside OIDC issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerAt {
    /// What requests call it.
    pub name: String,
    /// What is known of it.
    pub preset: Preset,
    /// Its `iss`, byte for byte.
    pub url: String,
    /// Agents that may act for its users, if it is one of people; none: what its tokens tell of is workloads.
    pub agents: Option<BTreeSet<AgentName>>,
    /// The one `aud` that its tokens have to have; none: the issuer of task tokens.
    pub audience: Option<String>,
    /// Algorithms of its tokens.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are; none: where its discovery document says.
    pub jwks_uri: Option<String>,
    /// Authorities that its TLS certificate may be from, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// Task tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// Issuer URL; none: the console's URL.
    pub issuer: Option<String>,
    /// Life of task tokens.
    pub task_ttl: Duration,
    /// Life of task tokens at risk high and critical.
    pub high_risk_ttl: Duration,
    /// Most delegations in a row below a root task.
    pub max_depth: usize,
    /// Where people sign in.
    pub login: Option<LoginAt>,
    /// Which agent clients act as that publish themselves at a host (with or without a port, or `*`).
    pub client_hosts: BTreeMap<String, AgentName>,
    /// Clients whose tokens may be bound to no key.
    pub unbound_clients: BTreeSet<ClientId>,
    /// Hosts, with or without a port, whose documents may be at addresses that are not public.
    pub private_hosts: Vec<String>,
}

/// The OpenID provider at which people sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAt {
    /// What its users are called by: `user:<name>:<sub>`.
    pub name: AccountName,
    /// Its issuer identifier.
    pub issuer: String,
    /// This node's client id there.
    pub client_id: String,
    /// Where this node's secret there stands.
    pub secret_file: PathBuf,
}

/// A receiver of Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTo {
    /// Where it listens.
    pub url: String,
    /// Where the secret stands that it knows what is said by.
    pub secret_file: PathBuf,
}

/// One TCP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The URL under which others reach it; none: the address itself.
    pub public_url: Option<String>,
    /// What it shows clients; none: it speaks in the clear.
    pub tls: Option<TlsFiles>,
}

/// The listener whose clients show their X.509-SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mtls {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The URL under which agents reach it; none: the console's host with the port.
    pub public_url: Option<String>,
}

/// Certificate and private key of a listener, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, its intermediates behind it.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// The MCP gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its listener.
    pub listener: Listener,
    /// Browser origins that may call it.
    pub origins: Vec<String>,
}

/// Where credentials are leased from, and what they are like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Broker {
    /// Systems elsewhere.
    pub backends: BTreeMap<BackendName, BackendAt>,
    /// What is common to all credentials.
    pub credentials: BTreeMap<CredentialName, Template>,
    /// What their backends make of them.
    pub accounts: BTreeMap<CredentialName, AccountOf>,
}

/// An HTTP upstream, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorAt {
    /// What is asked of it, and with what.
    pub connector: Arc<Connector>,
    /// Authorities that its TLS certificate may be from, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Addresses that it may have, besides public ones.
    pub besides: Besides,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Bytes of one segment of the write-ahead log.
    pub segment: u64,
    /// Time between checkpoints while the log grows.
    pub publish_every: Duration,
    /// Below this much free space only what narrows authority is recorded.
    pub min_free: u64,
    /// Beyond this much write-ahead log that is not in tiles only what narrows authority is recorded.
    pub max_untiled: u64,
    /// Longest sealed value that is kept.
    pub payload_max: u64,
    /// Which values are kept.
    pub payload: Payload,
    /// How long events are kept.
    pub retention: Duration,
    /// How long kept values are.
    pub payload_retention: Duration,
    /// What was recorded from then on is neither erased nor pruned.
    pub hold_from: Option<Timestamp>,
    /// Who cosigns its checkpoints.
    pub witnesses: Vec<WitnessAt>,
    /// How many of them have to.
    pub quorum: usize,
    /// Where it is shipped to.
    pub ship: Option<ShipTo>,
    /// A collector that gets every event as a log record.
    pub otlp: Option<String>,
    /// A directory that gets the record as Parquet files.
    pub parquet: Option<ParquetTo>,
}

/// Where the log is shipped to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipTo {
    /// `s3://bucket/prefix` or `file:///directory`.
    pub url: String,
    /// Time between rounds.
    pub every: Duration,
}

/// Where Parquet files of the record are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetTo {
    /// The directory.
    pub dir: PathBuf,
    /// Time between files.
    pub every: Duration,
}

/// A witness of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAt {
    /// Its key.
    pub vkey: CosignatureVerifier,
    /// Where it takes and shows checkpoints, without a slash at the end.
    pub url: String,
}

/// What the node tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Form of a line.
    pub format: LogFormat,
    /// Which lines, in the notation of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// Form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// Reads the configuration at `path`; what it leaves out takes its default. `data_dir` is the default of `node.data_dir`.
    pub fn load(path: &Path, data_dir: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_BYTES {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
                length,
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let base = absolute.parent().unwrap_or(Path::new("/"));
        Ok(Self::parse(
            &text,
            &path.display().to_string(),
            base,
            data_dir,
        )?)
    }

    /// Reads a configuration from text. `file` is what messages call it; relative paths in it start at `base`.
    pub fn parse(text: &str, file: &str, base: &Path, data_dir: &Path) -> Result<Self, Flaws> {
        let (raw, mut flaws) = RawConfig::parse(text);
        let config = resolve::resolve(&raw, base, data_dir, &mut flaws);
        match config {
            Some(config) if flaws.is_empty() => Ok(config),
            _ => Err(Flaws::new(file, text, flaws)),
        }
    }

    /// The configuration of a node without a configuration file.
    pub fn defaults(data_dir: &Path) -> Result<Self, Flaws> {
        Self::parse("version = 1\n", "(defaults)", Path::new(""), data_dir)
    }

    /// A commented document with every key at its default: what `init` writes.
    pub fn starter(data_dir: &Path) -> String {
        keys::starter(data_dir)
    }
}

#[cfg(test)]
mod tests;
