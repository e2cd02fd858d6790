//! Enforcement points in other processes than the node: who they are. What they say and hear is [`crate::feed`].

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::name::PointName;

/// Prefix of every point's token, so that scanners find it.
pub const PREFIX: &str = "bwp_";
/// Points registered at once; beyond it none is added.
pub const MAX_POINTS: usize = 1_000;

/// A registered point. Its token was shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its name.
    pub name: PointName,
    /// Who added it: `acct_…`, or `uid:N`.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
}
