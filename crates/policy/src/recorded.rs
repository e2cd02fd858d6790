//! One call as it was decided, kept apart from the rows it was read from: small enough to seal into the audit log
//! (`/input`, 06 of the design), and all that deciding it again takes beside a bundle.

use bailiwick_core::budget::Usage;
use bailiwick_core::decision::Versions;
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{AgentName, StageName, ToolRef, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::RequestSource;
use bailiwick_core::{Code, Digest, Effect, Fault, Timestamp};
use serde::{Deserialize, Serialize};

use crate::call::{Call, TaskFacts};
use crate::facts::{Facts, NO_FACTS};
use crate::input::Input;

/// A call that was decided. Its JSON is what is sealed; members that are not known are refused, since a fact that is passed
/// over would decide another call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The agent that acted.
    pub agent: AgentName,
    /// The tool; its server is the resource.
    pub tool: ToolRef,
    /// Digest of the tool's definition that was in force.
    pub definition: Option<Digest>,
    /// What the call did.
    pub effect: Effect,
    /// The arguments as received. The record keeps them apart, as `/args`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arguments: String,
    /// On whose behalf.
    pub user: UserId,
    /// The agents that acted for one another, presenter first.
    pub chain: Vec<AgentName>,
    /// The task as it was.
    pub task: RecordedTask,
    /// When it was decided.
    pub now: Timestamp,
    /// Tokens that were discharged for exactly this call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discharged: Vec<String>,
    /// Kinds of duty that the enforcement point performed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performs: Vec<String>,
    /// What else was known.
    #[serde(default, skip_serializing_if = "is_none")]
    pub facts: Facts,
    /// What it was decided on.
    pub versions: Versions,
}

/// What a decision looks at of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedTask {
    /// Its id.
    pub id: TaskId,
    /// Its workflow.
    pub workflow: WorkflowName,
    /// The stage it was in.
    pub stage: StageName,
    /// Its risk at the time.
    pub risk: Risk,
    /// Labels that it had picked up.
    pub labels: Labels,
    /// When it was opened.
    pub created_at: Timestamp,
    /// How many tasks are above it.
    pub depth: u64,
    /// Who wrote its request.
    pub requested_by: RequestSource,
    /// What it had used before this call.
    pub usage: Usage,
}

fn is_none(facts: &Facts) -> bool {
    *facts == NO_FACTS
}

/// A sealed input that this version cannot read: such a decision cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[error("the recorded input cannot be read")]
pub struct RecordedError(#[from] serde_json::Error);

impl Fault for RecordedError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        "it was written by another version; the decision itself stands on record as it was"
            .to_owned()
    }
}

impl Recorded {
    /// Of a call that is decided now.
    pub fn of(input: &Input<'_>) -> Self {
        input.ask(|call: &Call<'_>| Call::recorded(call))
    }

    /// What is sealed as `/input`: the JSON of all but the arguments.
    pub fn sealed(&self) -> Vec<u8> {
        let without = Self {
            arguments: String::new(),
            ..self.clone()
        };
        // Names, numbers and lists of them always serialise; nothing would be an input that cannot be opened.
        serde_json::to_vec(&without).unwrap_or_default()
    }

    /// From a sealed `/input` and the `/args` beside it.
    pub fn opened(input: &[u8], arguments: &str) -> Result<Self, RecordedError> {
        let mut recorded: Self = serde_json::from_slice(input)?;
        arguments.clone_into(&mut recorded.arguments);
        Ok(recorded)
    }

    /// Asks something about the call.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&Call<'_>) -> T) -> T {
        let chain: Vec<&AgentName> = self.chain.iter().collect();
        let performs: Vec<&str> = self.performs.iter().map(String::as_str).collect();
        ask(&Call {
            agent: &self.agent,
            server: &self.tool.server,
            tool: &self.tool,
            definition: self.definition,
            effect: self.effect,
            arguments: &self.arguments,
            user: &self.user,
            chain: &chain,
            task: TaskFacts::of_recorded(&self.task),
            now: self.now,
            discharged: &self.discharged,
            performs: &performs,
            facts: &self.facts,
            versions: self.versions,
        })
    }
}
