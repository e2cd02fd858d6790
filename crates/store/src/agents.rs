//! Registered agents.

use bailiwick_core::agent::Agent;
use bailiwick_core::name::AgentName;

use crate::StoreError;

/// Reads of agents.
pub trait Agents {
    /// The agent of this name.
    fn agent(&self, name: &AgentName) -> Result<Option<Agent>, StoreError>;

    /// All agents, by name.
    fn agents(&self) -> Result<Vec<Agent>, StoreError>;
}

/// Writes of agents; each appends to the feed.
pub trait AgentsMut {
    /// Stores the next version of an agent.
    fn put_agent(&mut self, agent: &Agent) -> Result<(), StoreError>;

    /// Removes an agent; [`StoreError::NotFound`] if there is none. Its name may be registered again, from version 1.
    fn remove_agent(&mut self, name: &AgentName) -> Result<(), StoreError>;
}
