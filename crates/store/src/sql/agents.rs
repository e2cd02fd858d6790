//! Agents in SQL.

use bailiwick_core::agent::Agent;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::name::AgentName;

use super::view::{View, encode, signed};
use crate::{Agents, AgentsMut, StoreError};

const KIND: &str = "agent";

impl Agents for View<'_> {
    fn agent(&self, name: &AgentName) -> Result<Option<Agent>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM agent WHERE name = ?1",
            [name.as_str()],
        )
    }

    fn agents(&self) -> Result<Vec<Agent>, StoreError> {
        self.many(KIND, "SELECT body FROM agent ORDER BY name", ())
    }
}

impl AgentsMut for View<'_> {
    fn put_agent(&mut self, agent: &Agent) -> Result<(), StoreError> {
        let name = agent.name.as_str();
        self.next_version(
            KIND,
            name,
            "SELECT version FROM agent WHERE name = ?1",
            agent.version,
        )?;
        self.execute(
            KIND,
            name,
            "INSERT INTO agent (name, version, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body",
            (name, signed(KIND, agent.version)?, encode(KIND, agent)?),
        )?;
        self.append(name, ChangeBody::Agent(agent.clone()))
    }

    fn remove_agent(&mut self, name: &AgentName) -> Result<(), StoreError> {
        self.remove(
            KIND,
            name.as_str(),
            "DELETE FROM agent WHERE name = ?1",
            [name.as_str()],
        )?;
        self.append(name.as_str(), ChangeBody::AgentRemoved(name.clone()))
    }
}
