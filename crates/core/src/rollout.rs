//! How far the active policy bundle is enforced, and which bundle is tried beside it on live calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Digest, Timestamp};

/// Longest time for which policy is only observed before it has to be said again.
pub const MAX_OBSERVE: Duration = Duration::from_hours(14 * 24);

/// The state of the roll-out of policy on a deployment. Until it is said otherwise, the active bundle is enforced alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rollout {
    /// Observed instead of enforced, if at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Observe>,
    /// Tried beside the active bundle, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// Grows with each change.
    pub version: u64,
}

/// Policy is decided and recorded, and what it refuses goes through all the same. Fences, task state, definitions, scope, stage and
/// budget are enforced as ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observe {
    /// From then on policy is enforced again, whether or not anybody says so.
    pub until: Timestamp,
    /// Since when.
    pub since: Timestamp,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A bundle that is decided with and never enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Digest of its text.
    pub digest: Digest,
    /// Since when.
    pub since: Timestamp,
    /// Who proposed it.
    pub by: String,
}

impl Rollout {
    /// Whether what policy refuses goes through at this moment.
    pub fn observes(&self, now: Timestamp) -> bool {
        self.observe
            .as_ref()
            .is_some_and(|observe| now < observe.until)
    }
}

#[cfg(test)]
mod tests;
