//! A tool's definition as its server gave it, pinned by digest, and its review state.

use serde::{Deserialize, Serialize};

use crate::binding::Binding;
use crate::digest::Digest;
use crate::effect::Effect;
use crate::name::ToolRef;
use crate::{Code, Timestamp};

/// Review state of a tool. Only `approved` is listed and callable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolState {
    /// Seen, not reviewed.
    New,
    /// Reviewed and pinned.
    Approved,
    /// Another digest than the approved one was seen; waits for review.
    Changed,
    /// Reviewed and refused.
    Rejected,
    /// No longer offered by its server.
    Retired,
}

impl ToolState {
    /// The refusal a call to a tool in this state gets; none if it is callable.
    pub const fn refusal(self) -> Option<Code> {
        match self {
            Self::Approved => None,
            Self::New => Some(Code::ToolNew),
            Self::Changed => Some(Code::ToolChanged),
            Self::Rejected => Some(Code::ToolRejected),
            Self::Retired => Some(Code::ToolRetired),
        }
    }
}

/// A tool with the definition last seen and the one approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Server and name.
    pub tool: ToolRef,
    /// Review state.
    pub state: ToolState,
    /// Digest of the definition last seen (04 §6: the element without icons, `_meta` and volatile paths, keys sorted).
    pub seen: Digest,
    /// Digest of the approved definition, once there is one.
    pub approved: Option<Digest>,
    /// The approved definition's JSON text, or the seen one while nothing is approved; at most 64 KiB.
    pub definition: String,
    /// The text last seen, where it differs from `definition`.
    pub candidate: Option<String>,
    /// The operator's word on what a call does; `write` until somebody says otherwise.
    pub effect: Effect,
    /// What the operator knows of its arguments and answers.
    #[serde(default, skip_serializing_if = "Binding::is_empty")]
    pub binding: Binding,
    /// The account that reviewed it last.
    pub decided_by: Option<String>,
    /// When it was seen first.
    pub seen_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
}
