//! The effect class of a tool: reading, writing and escalating are separate rights, none implies another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a call does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes data that the same user can change back.
    Write,
    /// Changes who may do what, spends money, or cannot be undone by the same user.
    Escalate,
}

impl Effect {
    /// All three, weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Escalate];

    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Escalate => "escalate",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no effect class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an effect is read, write or escalate")]
pub struct BadEffect;

impl FromStr for Effect {
    type Err = BadEffect;

    fn from_str(text: &str) -> Result<Self, BadEffect> {
        Self::ALL
            .into_iter()
            .find(|effect| effect.as_str() == text)
            .ok_or(BadEffect)
    }
}
