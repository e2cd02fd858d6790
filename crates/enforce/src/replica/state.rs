//! The replica's state by noun, and the one look-up that a decision needs: everything about one caller and one server at one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bailiwick_core::agent::Agent;
use bailiwick_core::artefact::ArtefactEvidence;
use bailiwick_core::budget::Budget;
use bailiwick_core::chain::{Chain, Link};
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::fence::{Fence, FenceSet, Subject};
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::instance::{Instance, InstanceState};
use bailiwick_core::name::{AgentName, ServerName, ToolName, ToolRef};
use bailiwick_core::rollout::Rollout;
use bailiwick_core::server::Server;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Code, Digest, Problem};
use bailiwick_crypto::jwk::Jwk;
use bailiwick_crypto::token::{KeySet, TaskKeys};
use bailiwick_policy::Registry;

use super::Items;
use crate::live::Live;

/// One moment of everything.
#[derive(Debug, Default)]
pub struct State {
    /// Newest change in it.
    pub seq: u64,
    agents: HashMap<AgentName, Arc<Agent>>,
    instances: HashMap<InstanceId, Arc<Instance>>,
    tasks: HashMap<TaskId, Arc<Task>>,
    servers: HashMap<ServerName, Arc<Server>>,
    tools: HashMap<ServerName, BTreeMap<ToolName, Arc<Tool>>>,
    items: Items,
    evidence: HashMap<Digest, ArtefactEvidence>,
    fences: FenceSet,
    policy: Option<Digest>,
    rollout: Arc<Rollout>,
    keys: Option<KeySet<TaskKeys>>,
    /// Grows when agents, servers, tools or the policy change: what a compiled bundle depends on.
    registry: u64,
}

/// What a decision about one caller rests on.
#[derive(Debug, Clone)]
pub struct View {
    /// The acting agent.
    pub agent: Arc<Agent>,
    /// Its process.
    pub instance: Arc<Instance>,
    /// The task.
    pub task: Arc<Task>,
    /// The tasks above it, nearest first.
    pub above: Vec<Arc<Task>>,
    /// Who acts for whom.
    pub chain: Chain,
    /// The task's budget and its ancestors'.
    pub budgets: Vec<(TaskId, Budget)>,
    /// What is known of the code that the process runs; none if it was not attested by its code.
    pub evidence: Option<ArtefactEvidence>,
}

impl State {
    /// An empty one that nothing compiled for this one fits.
    pub(super) fn anew(&self) -> Self {
        Self {
            registry: self.registry + 1,
            ..Self::default()
        }
    }

    /// Takes over the new state of one thing.
    pub(super) fn put(&mut self, seq: u64, body: ChangeBody) {
        self.seq = seq;
        match body {
            ChangeBody::Agent(agent) => {
                self.registry += 1;
                self.agents.insert(agent.name.clone(), Arc::new(agent));
            }
            ChangeBody::AgentRemoved(name) => {
                self.registry += 1;
                self.agents.remove(&name);
            }
            ChangeBody::Instance(instance) => {
                self.instances.insert(instance.id, Arc::new(instance));
            }
            ChangeBody::Task(task) => {
                self.tasks.insert(task.id, Arc::new(task));
            }
            ChangeBody::Server(server) => {
                self.registry += 1;
                self.servers.insert(server.name.clone(), Arc::new(server));
            }
            ChangeBody::ServerRemoved(name) => {
                self.registry += 1;
                self.servers.remove(&name);
                self.tools.remove(&name);
            }
            ChangeBody::Tool(tool) => {
                self.registry += 1;
                self.tools
                    .entry(tool.tool.server.clone())
                    .or_default()
                    .insert(tool.tool.tool.clone(), Arc::new(tool));
            }
            ChangeBody::ToolRemoved(tool) => {
                self.registry += 1;
                if let Some(tools) = self.tools.get_mut(&tool.server) {
                    tools.remove(&tool.tool);
                }
            }
            ChangeBody::Item(item) => self.items.put(item),
            ChangeBody::Evidence(evidence) => {
                if evidence.is_empty() {
                    self.evidence.remove(&evidence.code);
                } else {
                    self.evidence.insert(evidence.code, evidence);
                }
            }
            ChangeBody::Fence(fence) => self.put_fence(fence),
            ChangeBody::Policy(version) => {
                self.registry += 1;
                self.policy = Some(version);
            }
            ChangeBody::Rollout(rollout) => self.rollout = Arc::new(rollout),
            ChangeBody::TokenKeys(jwks) => self.keys = parse_keys(&jwks),
        }
    }

    /// Adds a fence, durable or not yet.
    pub(super) fn put_fence(&mut self, fence: Fence) {
        self.fences.put(fence);
    }

    /// The fences.
    pub fn fences(&self) -> &FenceSet {
        &self.fences
    }

    /// What is known of items.
    pub fn items(&self) -> &Items {
        &self.items
    }

    /// The keys that task tokens are verified with.
    pub fn keys(&self) -> Option<&KeySet<TaskKeys>> {
        self.keys.as_ref()
    }

    /// A server.
    pub fn server(&self, name: &ServerName) -> Option<&Arc<Server>> {
        self.servers.get(name)
    }

    /// A tool.
    pub fn tool(&self, server: &ServerName, tool: &ToolName) -> Option<&Arc<Tool>> {
        self.tools.get(server)?.get(tool)
    }

    /// A server's tools by name.
    pub fn tools(&self, server: &ServerName) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools
            .get(server)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// A task.
    pub fn task(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.tasks.get(&id)
    }

    /// The active policy, and the generation of all that a compiled bundle depends on.
    pub fn policy(&self) -> (Option<Digest>, u64) {
        (self.policy, self.registry)
    }

    /// How far policy is enforced, and what is tried beside it.
    pub fn rollout(&self) -> &Arc<Rollout> {
        &self.rollout
    }

    /// Agents, servers and tools, as the policy crate takes them.
    pub fn registry(&self) -> Registry {
        let mut agents: Vec<Agent> = self
            .agents
            .values()
            .map(|agent| Agent::clone(agent))
            .collect();
        let mut servers: Vec<Server> = self
            .servers
            .values()
            .map(|server| Server::clone(server))
            .collect();
        agents.sort_by(|a, b| a.name.cmp(&b.name));
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        let mut tools: Vec<Tool> = self
            .tools
            .values()
            .flat_map(BTreeMap::values)
            // Prompts are reviewed as tools are; policy knows them by the input of its action `prompt`.
            .filter(|tool| !tool.tool.tool.is_prompt())
            .map(|tool| Tool::clone(tool))
            .collect();
        tools.sort_by(|a, b| a.tool.cmp(&b.tool));
        Registry {
            agents,
            servers,
            tools,
        }
    }

    /// Everything about a caller, if task, instance, agent and every ancestor are known here and agree with each other.
    pub fn caller(&self, task: TaskId, instance: InstanceId) -> Result<View, Problem> {
        let unknown = |what: &str| {
            let message = format!("this node knows no {what} for the caller's task");
            Problem::new(
                Code::TokenInvalid,
                message,
                "open a new task and ask the token endpoint for a token",
            )
        };
        let row = self.tasks.get(&task).ok_or_else(|| unknown("task"))?;
        if row.instance != Some(instance) {
            return Err(unknown("such instance"));
        }
        let process = self
            .instances
            .get(&instance)
            .ok_or_else(|| unknown("instance"))?;
        let agent = self
            .agents
            .get(&row.agent)
            .ok_or_else(|| unknown("agent"))?;
        if process.agent != row.agent {
            return Err(unknown("instance of its agent"));
        }
        if process.state != InstanceState::Live {
            return Err(Problem::new(
                Code::Revoked,
                "the process of this agent has ended",
                "attest again and open a new task",
            ));
        }
        if !agent.enabled {
            return Err(Problem::new(
                Code::Revoked,
                "the agent is disabled",
                "ask its owner to enable it",
            ));
        }
        let evidence = process.code().map(|code| self.known_of(code));
        let mut links = vec![self.link(row).ok_or_else(|| unknown("owner"))?];
        let mut budgets = vec![(row.id, *row.scope.budget())];
        let mut root = row;
        let mut above = Vec::new();
        for ancestor in row.ancestors.iter().rev() {
            root = self
                .tasks
                .get(ancestor)
                .ok_or_else(|| unknown("ancestor"))?;
            links.push(self.link(root).ok_or_else(|| unknown("ancestor's owner"))?);
            budgets.push((root.id, *root.scope.budget()));
            above.push(Arc::clone(root));
        }
        let chain = Chain {
            user: row.user.clone(),
            root_born: root.born_seq,
            links,
        };
        Ok(View {
            agent: Arc::clone(agent),
            instance: Arc::clone(process),
            task: Arc::clone(row),
            above,
            chain,
            budgets,
            evidence,
        })
    }

    /// What is known of an executable, which may be nothing.
    fn known_of(&self, code: Digest) -> ArtefactEvidence {
        let known = self.evidence.get(&code).cloned();
        known.unwrap_or_else(|| ArtefactEvidence::nothing(code))
    }

    fn link(&self, task: &Task) -> Option<Link> {
        let owner = self.agents.get(&task.agent)?.owner.clone();
        let born = task
            .instance
            .and_then(|id| self.instances.get(&id))
            .map_or(task.born_seq, |instance| instance.born_seq);
        Some(Link {
            agent: task.agent.clone(),
            owner,
            instance: task.instance,
            instance_born: born,
            task: task.id,
            lineage: task.lineage.clone(),
        })
    }
}

/// Cuts what a change ends, whether or not a fence came with it.
pub(super) fn cut(live: &Live, change: &Change) {
    let (subject, reason) = match &change.body {
        ChangeBody::Fence(fence) => {
            live.fence(fence);
            return;
        }
        ChangeBody::Task(task) if task.state != TaskState::Open => (
            Subject::Task(task.id),
            format!("the task is {}", task.state.as_str()),
        ),
        ChangeBody::Instance(instance) if instance.state == InstanceState::Ended => (
            Subject::Instance(instance.id),
            "the agent's process ended".to_owned(),
        ),
        ChangeBody::Agent(agent) if !agent.enabled => (
            Subject::Agent(agent.name.clone()),
            "the agent was disabled".to_owned(),
        ),
        ChangeBody::AgentRemoved(name) => (
            Subject::Agent(name.clone()),
            "the agent was removed".to_owned(),
        ),
        ChangeBody::ServerRemoved(name) => (
            Subject::Server(name.clone()),
            "the server was removed".to_owned(),
        ),
        ChangeBody::Tool(tool) if tool.state == ToolState::Rejected => (
            Subject::Tool(tool.tool.clone()),
            "the tool was rejected".to_owned(),
        ),
        ChangeBody::ToolRemoved(tool) => (
            Subject::Tool(ToolRef::clone(tool)),
            "the tool was removed".to_owned(),
        ),
        _ => return,
    };
    live.end_by(&subject, &reason, change.event);
}

/// Reads a JWKS document. Keys that cannot be used make the whole document unusable: no token is accepted until that is repaired.
fn parse_keys(jwks: &str) -> Option<KeySet<TaskKeys>> {
    let document: serde_json::Value = serde_json::from_str(jwks).ok()?;
    let keys = document.get("keys")?.as_array()?;
    let keys: Option<Vec<Jwk>> = keys
        .iter()
        .map(|key| Jwk::parse(key.as_object()?).ok())
        .collect();
    match KeySet::new(keys?) {
        Ok(keys) => Some(keys),
        Err(error) => {
            tracing::error!(%error, "the task-token keys of the feed cannot be used");
            None
        }
    }
}
