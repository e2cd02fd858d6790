//! Join tokens: an operator's word that whoever shows the token first is an instance of one agent. Only the digest of a token is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{InstanceId, JoinTokenId};
use crate::name::AgentName;

/// Prefix of every join token, so that scanners find it.
pub const PREFIX: &str = "bwj_";
/// A join token lives at most this long.
pub const MAX_LIFE: Duration = Duration::from_hours(1);
/// Join tokens kept at once; beyond it none is made.
pub const MAX_KEPT: usize = 1_000;

/// What is known of a join token. The token itself was shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Its id; tells nothing about the token.
    pub id: JoinTokenId,
    /// The agent that it makes its bearer an instance of.
    pub agent: AgentName,
    /// Who made it: `acct_…`, or `uid:N`.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
    /// Its one use.
    pub used: Option<JoinUse>,
}

/// The use of a join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinUse {
    /// When.
    pub at: Timestamp,
    /// The instance that it made.
    pub instance: InstanceId,
}
