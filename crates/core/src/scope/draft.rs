//! A scope as people write it, where budget, deadline and depth may be left out. What then holds is never implied: whoever
//! reads the draft gives [`Bounds`], and each number that is missing takes theirs.

use serde::{Deserialize, Serialize};

use super::grant::Grant;
use super::{MAX_DEPTH, Scope, ScopeError};
use crate::budget::Budget;
use crate::json::{JsonError, Limits, check};
use crate::{Code, Fault, Timestamp};

/// A scope in the making. In TOML the grants are `[[grant]]` tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// At least one.
    #[serde(alias = "grant")]
    pub grants: Vec<Grant>,
    /// Each number that is missing takes that of the bounds.
    #[serde(default)]
    pub budget: Budget,
    /// Missing: that of the bounds. An RFC 3339 text, quoted in TOML too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Missing: that of the bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u8>,
}

/// What stands in for what a draft leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For each missing number of the budget.
    pub budget: Budget,
    /// For a missing deadline.
    pub deadline: Timestamp,
    /// For a missing depth.
    pub depth: u8,
}

impl Bounds {
    /// For ceilings and caps, which bound only what they name: no budget, the last deadline there is, all delegations.
    pub const WIDEST: Self = Self {
        budget: Budget::UNLIMITED,
        deadline: LAST,
        depth: MAX_DEPTH,
    };

    /// For a delegation request: what the parent has, and one delegation less.
    pub fn below(parent: &Scope) -> Self {
        Self {
            budget: *parent.budget(),
            deadline: parent.deadline(),
            depth: parent.depth().saturating_sub(1),
        }
    }
}

impl Draft {
    /// Reads a draft from JSON that may be hostile: at most 256 KiB, no duplicate keys.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DraftError> {
        let text = check(bytes, &DRAFT).map_err(DraftError::Json)?;
        serde_json::from_str(text.as_str()).map_err(|error| DraftError::Form(error.to_string()))
    }

    /// The scope, with `bounds` for what is missing. Numbers that are there count as written, also where they are wider.
    pub fn fill(self, bounds: &Bounds) -> Result<Scope, ScopeError> {
        let Budget {
            calls,
            writes,
            escalations,
            egress_bytes,
            spend,
            wall_time,
        } = self.budget;
        let budget = Budget {
            calls: calls.or(bounds.budget.calls),
            writes: writes.or(bounds.budget.writes),
            escalations: escalations.or(bounds.budget.escalations),
            egress_bytes: egress_bytes.or(bounds.budget.egress_bytes),
            spend: spend.or(bounds.budget.spend),
            wall_time: wall_time.or(bounds.budget.wall_time),
        };
        Scope::new(
            self.grants,
            budget,
            self.deadline.unwrap_or(bounds.deadline),
            self.depth.unwrap_or(bounds.depth),
        )
    }
}

/// Why bytes are no draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Not JSON that every parser reads alike.
    #[error("the scope is not acceptable JSON")]
    Json(#[source] JsonError),
    /// Not a scope.
    #[error("not a scope: {0}")]
    Form(String),
}

impl Fault for DraftError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        "a scope has `grants`, each with server, tool and effects; see docs/reference/scope.md"
            .to_owned()
    }
}

const DRAFT: Limits = Limits {
    bytes: 256 << 10,
    depth: 8,
    members: 20_000,
    caseless: true,
};

/// The last whole second that RFC 3339 text can name everywhere: 9999-12-30T22:00:00Z.
const LAST: Timestamp = Timestamp::from_secs(253_402_207_200);
