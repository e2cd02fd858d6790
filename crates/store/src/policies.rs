//! Published policy bundles. The newest version is the active one; publishing an old bundle again is a new version.

use bailiwick_core::rollout::Rollout;
use bailiwick_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// One publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Digest of the bundle's canonical source.
    pub digest: Digest,
    /// 1, 2, 3, …
    pub number: u64,
    /// When it was published.
    pub published_at: Timestamp,
    /// Who published it.
    pub published_by: String,
    /// The older version whose text it brought back; none if its text came from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The signed note over all of this (C2SP signed-note), by the node's key for policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Reads of policies.
pub trait Policies {
    /// The active version; none before the first publication.
    fn active_policy(&self) -> Result<Option<PolicyVersion>, StoreError>;

    /// The source of a bundle, as JSON, exactly as it was published.
    fn policy_source(&self, digest: Digest) -> Result<Option<String>, StoreError>;

    /// One publication.
    fn policy_version(&self, number: u64) -> Result<Option<PolicyVersion>, StoreError>;

    /// How far policy is enforced, and what is tried beside it.
    fn rollout(&self) -> Result<Rollout, StoreError>;

    /// Publications, newest first; at most [`crate::MAX_PAGE`].
    fn policy_history(&self, limit: usize) -> Result<Vec<PolicyVersion>, StoreError>;
}

/// Writes of policies.
pub trait PoliciesMut {
    /// Makes a bundle the active one and appends it to the feed. `version.number` is the last one + 1. With `expected_active`
    /// given, the active digest (or none) has to be that. Both are [`StoreError::VersionConflict`] otherwise.
    fn publish_policy(
        &mut self,
        version: &PolicyVersion,
        source: &str,
        expected_active: Option<Option<Digest>>,
    ) -> Result<(), StoreError>;

    /// Puts the text of a bundle in the place of one that was altered from outside. Where none is kept, nothing happens.
    fn mend_policy_source(&mut self, digest: Digest, source: &str) -> Result<(), StoreError>;

    /// Replaces the state of the roll-out and appends it to the feed; `version` is the last one + 1, or
    /// [`StoreError::VersionConflict`]. With `source` given, that text is kept under the digest, so that it can be tried.
    fn put_rollout(
        &mut self,
        rollout: &Rollout,
        source: Option<(Digest, &str)>,
    ) -> Result<(), StoreError>;
}
