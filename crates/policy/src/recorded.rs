//! What one decision depended on beside its bundle, its registry and the arguments: the `/input` that the record keeps sealed.
//! With the arguments it gives the same request again, so that a decision can be replayed exactly, or under another bundle.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bailiwick_core::agent::Agent;
use bailiwick_core::budget::Usage;
use bailiwick_core::chain::{Chain, Link};
use bailiwick_core::decision::Versions;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{AgentName, OwnerName, StageName, ToolRef, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Scope;
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::task::{DEFAULT_LIFE, MAX_DEPTH, Request, RequestSource, Task, TaskState};
use bailiwick_core::{Code, Digest, Effect, Fault, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fixtures;
use crate::input::Input;

/// Every fact of a request that policy sees, but for the arguments, which the record keeps as `/args`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The agent that acted.
    pub agent: AgentName,
    /// Who answered for it.
    pub owner: OwnerName,
    /// Its base risk.
    pub base_risk: Risk,
    /// How far its server was trusted.
    pub trust: Trust,
    /// The tool.
    pub tool: ToolRef,
    /// Digest of its approved definition.
    pub definition: Option<Digest>,
    /// What the tool did, by its registration.
    pub tool_effect: Effect,
    /// What this call did.
    pub effect: Effect,
    /// On whose behalf.
    pub user: UserId,
    /// Agents of the chain, presenter first.
    pub chain: Vec<AgentName>,
    /// How many tasks stood above the task.
    pub depth: usize,
    /// The task.
    pub task: TaskId,
    /// Its workflow.
    pub workflow: WorkflowName,
    /// Its stage.
    pub stage: StageName,
    /// Its risk.
    pub risk: Risk,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// When it was opened.
    pub opened: Timestamp,
    /// Who asked for it.
    pub requested_by: RequestSource,
    /// What it had used.
    pub usage: Usage,
    /// Wall time of the decision.
    pub now: Timestamp,
    /// Tokens that were discharged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discharged: Vec<String>,
    /// Duties that the enforcement point performed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performs: Vec<String>,
}

/// A recorded input that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordedError {
    /// It is not what this version writes.
    #[error("the recorded input cannot be read: {0}")]
    Form(String),
}

impl Fault for RecordedError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        "it was written by another version; such decisions are counted as not replayable".to_owned()
    }
}

impl Recorded {
    /// The facts of a request.
    pub fn of(input: &Input<'_>) -> Self {
        let task = input.task;
        Self {
            agent: input.agent.name.clone(),
            owner: input.agent.owner.clone(),
            base_risk: input.agent.base_risk,
            trust: input.server.trust,
            tool: input.tool.tool.clone(),
            definition: input.tool.approved,
            tool_effect: input.tool.effect,
            effect: input.effect,
            user: input.chain.user.clone(),
            chain: input
                .chain
                .links
                .iter()
                .map(|link| link.agent.clone())
                .collect(),
            depth: task.depth(),
            task: task.id,
            workflow: task.workflow.clone(),
            stage: task.stage.clone(),
            risk: task.risk,
            labels: task.labels.clone(),
            opened: task.created_at,
            requested_by: task.request.source,
            usage: *input.usage,
            now: input.now,
            discharged: input.discharged.to_vec(),
            performs: input
                .performs
                .iter()
                .map(|duty| (*duty).to_owned())
                .collect(),
        }
    }

    /// From its stored form.
    pub fn read(bytes: &[u8]) -> Result<Self, RecordedError> {
        let recorded: Self = serde_json::from_slice(bytes)
            .map_err(|error| RecordedError::Form(error.to_string()))?;
        let deepest = usize::from(MAX_DEPTH);
        if recorded.depth > deepest || recorded.chain.len() > deepest + 1 {
            let message = format!("it is about a task more than {deepest} deep");
            return Err(RecordedError::Form(message));
        }
        Ok(recorded)
    }

    /// Its stored form: JSON.
    pub fn write(&self) -> Vec<u8> {
        // Names, numbers and lists of them always serialise; nothing would be an input that cannot be read again.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Asks about the request once more, with the arguments that were recorded beside it.
    pub fn with<T>(
        &self,
        arguments: &str,
        versions: Versions,
        ask: impl FnOnce(&Input<'_>) -> T,
    ) -> Result<T, RecordedError> {
        let scope = SCOPE.as_ref().map_err(Clone::clone)?;
        let (agent, task) = (self.agent(scope), self.task(scope));
        let chain = Chain {
            user: self.user.clone(),
            root_born: 0,
            links: self.chain.iter().map(|agent| self.link(agent)).collect(),
        };
        let performs: Vec<&str> = self.performs.iter().map(String::as_str).collect();
        Ok(ask(&Input {
            agent: &agent,
            instance: None,
            chain: &chain,
            task: &task,
            server: &self.server(),
            tool: &self.row(),
            effect: self.effect,
            arguments,
            now: self.now,
            discharged: &self.discharged,
            performs: &performs,
            usage: &self.usage,
            versions,
        }))
    }

    fn agent(&self, scope: &Scope) -> Agent {
        Agent {
            name: self.agent.clone(),
            owner: self.owner.clone(),
            selectors: Vec::new(),
            ceiling: scope.clone(),
            base_risk: self.base_risk,
            launch_uids: Vec::new(),
            enabled: true,
            created_at: Timestamp::default(),
            version: 1,
        }
    }

    fn link(&self, agent: &AgentName) -> Link {
        Link {
            agent: agent.clone(),
            owner: self.owner.clone(),
            instance: None,
            instance_born: 0,
            task: self.task,
        }
    }

    fn task(&self, scope: &Scope) -> Task {
        Task {
            id: self.task,
            parent: None,
            ancestors: vec![self.task; self.depth],
            agent: self.agent.clone(),
            instance: None,
            user: self.user.clone(),
            user_pseudonym: String::new(),
            request: Request {
                text: String::new(),
                source: self.requested_by,
            },
            workflow: self.workflow.clone(),
            stage: self.stage.clone(),
            scope: scope.clone(),
            scope_digest: Digest([0; 32]),
            risk: self.risk,
            labels: self.labels.clone(),
            created_at: self.opened,
            expires_at: self.now.plus(DEFAULT_LIFE),
            state: TaskState::Open,
            born_seq: 0,
            version: 1,
        }
    }

    fn server(&self) -> Server {
        Server {
            name: self.tool.server.clone(),
            transport: Transport::Stdio {
                command: Vec::new(),
                env: BTreeMap::new(),
                pass_env: Vec::new(),
            },
            trust: self.trust,
            credential: None,
            created_at: Timestamp::default(),
            version: 1,
        }
    }

    fn row(&self) -> Tool {
        Tool {
            tool: self.tool.clone(),
            state: ToolState::Approved,
            seen: self.definition.unwrap_or(Digest([0; 32])),
            approved: self.definition,
            definition: String::new(),
            candidate: None,
            effect: self.tool_effect,
            decided_by: None,
            seen_at: Timestamp::default(),
            version: 1,
        }
    }
}

/// Scope was checked before policy, which does not look at it.
static SCOPE: LazyLock<Result<Scope, RecordedError>> =
    LazyLock::new(|| fixtures::everything().map_err(RecordedError::Form));
