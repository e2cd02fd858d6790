//! What the schema is generated from: the agents, servers and tools that exist.

use bailiwick_core::agent::Agent;
use bailiwick_core::definition::Tool;
use bailiwick_core::server::Server;
use serde::{Deserialize, Serialize};

/// The agents, servers and tools that a bundle is compiled for. When one changes, compile anew.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Registry {
    /// Registered agents.
    pub agents: Vec<Agent>,
    /// Registered tool servers.
    pub servers: Vec<Server>,
    /// Tools of these servers, in any review state.
    pub tools: Vec<Tool>,
}
