//! Risk of a task: it rises by itself and is lowered only by a person with the right to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Four grades, ordered.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nothing unusual.
    #[default]
    Low,
    /// Worth a look.
    Medium,
    /// Tokens live 60 s; unbound tokens are refused.
    High,
    /// Only what policy names for it.
    Critical,
}

impl Risk {
    /// All grades, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// 0 to 3: how policy compares grades (Cedar has no ordered enums).
    pub const fn as_long(self) -> i64 {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::High => 2,
            Self::Critical => 3,
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no risk grade.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a risk is low, medium, high or critical")]
pub struct BadRisk;

impl FromStr for Risk {
    type Err = BadRisk;

    fn from_str(text: &str) -> Result<Self, BadRisk> {
        Self::ALL
            .into_iter()
            .find(|risk| risk.as_str() == text)
            .ok_or(BadRisk)
    }
}
