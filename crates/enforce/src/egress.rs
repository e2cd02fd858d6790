//! Egress (05 of the design): requests that agents send through this node to HTTP upstreams, decided one by one, with a credential that the
//! agent never holds. Pure parts: [`path`], [`rules`], [`slot`], [`heads`], [`redactor`]. An exchange goes through [`exchange`].

mod approval;
mod asked;
mod door;
mod events;
mod exchange;
pub mod heads;
mod lease;
pub mod path;
mod pump;
pub mod redactor;
pub mod rules;
pub mod run;
pub mod slot;

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::Digest;
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::server::Server;
use reqwest::Url;

use rules::Rule;
use slot::Slot;

pub use run::{Run, RunToken};

/// Exchanges at once whose answer has not begun; the next one is refused as overloaded. Each may hold a request's whole body.
pub const MAX_EXCHANGES: usize = 256;

/// A named HTTP upstream with its credential and what may be asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// As policies and records see it: its name, its credential, the labels of its answers.
    pub row: Arc<Server>,
    /// Scheme, host and port; no path.
    pub upstream: Url,
    /// The sealed value that goes into the slot.
    pub credential: CredentialName,
    /// Where it goes.
    pub slot: Slot,
    /// What may be asked; nothing else may.
    pub allow: Vec<Rule>,
    /// What happens when the upstream sends the secret back.
    pub on_reflection: OnReflection,
    /// Most bytes of a request's body.
    pub max_request: u64,
    /// Most bytes of an answer's body.
    pub max_response: u64,
    /// Digest of all that: an approval holds for the connector as it was.
    pub digest: Digest,
}

/// What happens when an upstream sends the secret back. In either case it is taken out, and on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnReflection {
    /// The rest of the answer goes on.
    #[default]
    Redact,
    /// The answer is cut, and the lease ends.
    Revoke,
}

impl Connector {
    /// Its name.
    pub fn name(&self) -> &ServerName {
        &self.row.name
    }

    /// The upstream's host, as a name or an address; of IPv6 in brackets.
    pub fn host(&self) -> &str {
        self.upstream.host_str().unwrap_or_default()
    }

    /// The upstream's port.
    pub fn port(&self) -> u16 {
        self.upstream.port_or_known_default().unwrap_or_default()
    }
}

/// Connectors by name.
pub type Connectors = BTreeMap<ServerName, Arc<Connector>>;
