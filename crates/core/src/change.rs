//! The change feed: what enforcement points learn about, in commit order, without a gap.

use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::agent::Agent;
use crate::artefact::ArtefactEvidence;
use crate::definition::Tool;
use crate::fence::Fence;
use crate::id::EventId;
use crate::instance::Instance;
use crate::item::Item;
use crate::name::{AgentName, ServerName, ToolRef};
use crate::rollout::Rollout;
use crate::server::Server;
use crate::task::Task;

/// One committed change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its place in the feed: 1, 2, 3, … without a gap.
    pub seq: u64,
    /// What changed.
    pub body: ChangeBody,
    /// The event that tells of it: the first one that its transaction put on record after it. None if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
}

/// What changed: always the whole new state of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum ChangeBody {
    /// An agent was registered or changed.
    Agent(Agent),
    /// An agent was removed.
    AgentRemoved(AgentName),
    /// A process was attested, or ended.
    Instance(Instance),
    /// A task was opened or changed.
    Task(Task),
    /// A tool server was registered or changed.
    Server(Server),
    /// A tool server was removed.
    ServerRemoved(ServerName),
    /// A tool was seen, reviewed or changed.
    Tool(Tool),
    /// A tool was removed with its server.
    ToolRemoved(ToolRef),
    /// Something that tools name took labels, or a person took one off.
    Item(Item),
    /// What is known of the code that agents run changed; where nothing is left, it says nothing.
    Evidence(ArtefactEvidence),
    /// A fence was set or lifted.
    Fence(Fence),
    /// A policy bundle became the active one; its text is fetched by digest.
    Policy(Digest),
    /// How far policy is enforced, or which bundle is tried beside it, changed.
    Rollout(Rollout),
    /// The task-token keys changed: the JWKS document.
    TokenKeys(String),
}
