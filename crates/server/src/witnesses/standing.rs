//! How far a log is witnessed, as the API tells it.

use bailiwick_core::Timestamp;
use serde::Serialize;

/// Whether enough witnesses vouch for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No witness is configured.
    None,
    /// Never yet.
    Unwitnessed,
    /// Within the last five minutes.
    Witnessed,
    /// Longer ago.
    Stale,
}

/// How far a log is witnessed.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Standing {
    /// `none`: no witness is configured; `unwitnessed`; `witnessed`; `stale`: longer than five minutes ago.
    pub state: State,
    /// Witnesses that have to cosign.
    pub quorum: usize,
    /// Events under the newest checkpoint that a quorum cosigned.
    pub size: Option<u64>,
    /// Since when a quorum has vouched for it.
    #[schema(value_type = Option<String>)]
    pub at: Option<Timestamp>,
    /// Each witness.
    pub witnesses: Vec<MemberStanding>,
}

/// What is known of one witness.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct MemberStanding {
    /// Its name.
    pub name: String,
    /// Events under the newest checkpoint that it cosigned since this node started.
    pub size: Option<u64>,
    /// When.
    #[schema(value_type = Option<String>)]
    pub at: Option<Timestamp>,
    /// Why its last answer was no cosignature.
    pub error: Option<String>,
}

impl MemberStanding {
    pub(super) fn cosigned(size: u64, at: Timestamp) -> Self {
        Self {
            size: Some(size),
            at: Some(at),
            ..Self::default()
        }
    }

    pub(super) fn failed(before: Option<Self>, why: String) -> Self {
        Self {
            error: Some(why),
            ..before.unwrap_or_default()
        }
    }
}
