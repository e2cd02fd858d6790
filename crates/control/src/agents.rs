//! Registering agents: who answers for them, which processes they are, the widest scope they may get.

use std::sync::Arc;

use bailiwick_core::agent::{Agent, MAX_SELECTORS};
use bailiwick_core::event::EventType;
use bailiwick_core::name::{AgentName, OwnerName};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft};
use bailiwick_core::selector::{Selector, check_registration};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::StoreError;

use crate::{Actor, Control, Operation};

/// An agent to register.
#[derive(Debug, Clone)]
pub struct NewAgent {
    /// Its name.
    pub name: AgentName,
    /// Who answers for it.
    pub owner: OwnerName,
    /// What its processes look like: 1 to [`MAX_SELECTORS`].
    pub selectors: Vec<Selector>,
    /// The widest scope of its tasks. Without one the agent gets no task.
    pub ceiling: Draft,
    /// Risk its tasks start with at least.
    pub base_risk: Risk,
    /// Unix users that may start it through `bailiwick mcp`.
    pub launch_uids: Vec<u32>,
}

impl Control {
    /// Registers an agent.
    pub async fn register(&self, actor: &Actor, new: NewAgent) -> Result<Agent, Problem> {
        actor.may(Operation::WriteAgents)?;
        let mut selectors = new.selectors;
        selectors.sort();
        selectors.dedup();
        if selectors.is_empty() || selectors.len() > MAX_SELECTORS {
            return Err(Problem::new(
                Code::InvalidInput,
                format!(
                    "an agent needs 1 to {MAX_SELECTORS} selectors, not {}",
                    selectors.len()
                ),
                "for example --selector unix:path=/usr/bin/my-agent",
            ));
        }
        check_registration(&selectors).map_err(|error| error.problem())?;
        let ceiling = new
            .ceiling
            .fill(&Bounds::WIDEST)
            .map_err(|error| error.problem())?;
        let agent = Agent {
            name: new.name,
            owner: new.owner,
            selectors,
            ceiling,
            base_risk: new.base_risk,
            launch_uids: new.launch_uids,
            enabled: true,
            created_at: self.now(),
            version: 1,
        };
        let mut event = self.change_event(
            EventType::AgentRegistered,
            actor,
            "agents.add",
            "agent",
            &agent.name,
        );
        event.owner = Some(agent.owner.clone());
        let (journal, row) = (Arc::clone(&self.parts.journal), agent.clone());
        self.parts
            .store
            .write(move |tx| {
                if tx.agent(&row.name)?.is_some() {
                    return Err(StoreError::AlreadyExists {
                        kind: "agent",
                        key: row.name.to_string(),
                    });
                }
                tx.put_agent(&row)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await?;
        Ok(agent)
    }

    /// Lets an agent attest and get tasks, or not.
    pub async fn set_agent_enabled(
        &self,
        actor: &Actor,
        name: AgentName,
        enabled: bool,
    ) -> Result<Agent, Problem> {
        actor.may(Operation::WriteAgents)?;
        let op = if enabled {
            "agents.enable"
        } else {
            "agents.disable"
        };
        let mut event = self.change_event(EventType::AgentChanged, actor, op, "agent", &name);
        if let Some(change) = &mut event.change {
            change.after = Some(if enabled { "enabled" } else { "disabled" }.to_owned());
        }
        let journal = Arc::clone(&self.parts.journal);
        let agent = self
            .parts
            .store
            .write(move |tx| {
                let mut agent = tx.agent(&name)?.ok_or_else(|| unknown(&name))?;
                agent.enabled = enabled;
                agent.version += 1;
                tx.put_agent(&agent)?;
                journal.push(tx, &event)?;
                Ok::<_, StoreError>(agent)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await?;
        Ok(agent)
    }

    /// All agents, by name.
    pub async fn agents(&self, actor: &Actor) -> Result<Vec<Agent>, Problem> {
        actor.may(Operation::Read)?;
        self.parts
            .store
            .read(|rows| rows.agents())
            .await
            .map_err(|error: StoreError| error.problem())
    }

    /// One agent.
    pub async fn agent(&self, actor: &Actor, name: AgentName) -> Result<Agent, Problem> {
        actor.may(Operation::Read)?;
        let agent = self
            .parts
            .store
            .read(move |rows| rows.agent(&name)?.ok_or_else(|| unknown(&name)))
            .await;
        agent.map_err(|error: StoreError| error.problem())
    }
}

pub(crate) fn unknown(name: &AgentName) -> StoreError {
    StoreError::NotFound {
        kind: "agent",
        key: name.to_string(),
    }
}
