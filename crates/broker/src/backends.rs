//! Which backends there are, and which credentials are made at them. Every other credential is a sealed value of this node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::lease::Delivery;
use bailiwick_core::name::{BackendName, CredentialName};

use crate::backend::Backend;

/// Longest life of a lease that a credential may give.
pub const MAX_TTL: Duration = Duration::from_hours(1);
/// Shortest one.
pub const MIN_TTL: Duration = Duration::from_secs(30);

/// A credential that is made when it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Where it is made.
    pub backend: BackendName,
    /// How long a lease lives; never longer than its task.
    pub ttl: Duration,
    /// Live leases at once.
    pub max_live: usize,
    /// How it may be handed over.
    pub delivery: Vec<Delivery>,
}

/// All of them.
#[derive(Clone, Default)]
pub struct Backends {
    /// By name.
    pub credentials: BTreeMap<CredentialName, Template>,
    /// By name.
    pub remotes: BTreeMap<BackendName, Arc<dyn Backend>>,
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backends")
            .field("credentials", &self.credentials)
            .field("remotes", &self.remotes.keys())
            .finish()
    }
}
