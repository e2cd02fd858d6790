//! A registered agent: who answers for it, which processes are it, and the widest scope it may ever get.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::name::{AgentName, OwnerName};
use crate::risk::Risk;
use crate::scope::Scope;
use crate::selector::Selector;

/// An agent is matched by at most this many selectors.
pub const MAX_SELECTORS: usize = 16;

/// One registered agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name; unique in the trust domain.
    pub name: AgentName,
    /// Who answers for it.
    pub owner: OwnerName,
    /// A process is this agent if **all** of these were found on it (1 to [`MAX_SELECTORS`]).
    pub selectors: Vec<Selector>,
    /// The widest scope any of its tasks can have.
    pub ceiling: Scope,
    /// Risk that each of its tasks starts with at least.
    pub base_risk: Risk,
    /// Unix user ids that may start it through `bailiwick mcp`, which opens a task for them.
    pub launch_uids: Vec<u32>,
    /// A disabled agent attests to nothing and gets no task.
    pub enabled: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
}
