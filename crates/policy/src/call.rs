//! What one decision looks at, whether it comes from the rows of a live call or from the record of an old one.

use std::fmt;

use bailiwick_core::budget::Usage;
use bailiwick_core::decision::Versions;
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{AgentName, ServerName, StageName, ToolRef, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::{RequestSource, Task};
use bailiwick_core::{Digest, Effect, Timestamp};

use crate::facts::Facts;
use crate::input::Input;
use crate::recorded::{Recorded, RecordedTask};

/// One call. Nothing else reaches the evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) agent: &'a AgentName,
    pub(crate) server: &'a ServerName,
    pub(crate) tool: &'a ToolRef,
    pub(crate) definition: Option<Digest>,
    pub(crate) effect: Effect,
    pub(crate) arguments: &'a str,
    pub(crate) user: &'a UserId,
    pub(crate) chain: &'a [&'a AgentName],
    pub(crate) task: TaskFacts<'a>,
    pub(crate) now: Timestamp,
    pub(crate) discharged: &'a [String],
    pub(crate) performs: &'a [&'a str],
    pub(crate) facts: &'a Facts,
    pub(crate) versions: Versions,
}

/// In what a call, or an act, happens: what `context.bw` tells of both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) chain: &'a [&'a AgentName],
    pub(crate) task: TaskFacts<'a>,
    pub(crate) now: Timestamp,
    pub(crate) facts: &'a Facts,
}

/// The task of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskFacts<'a> {
    pub(crate) id: TaskId,
    pub(crate) workflow: &'a WorkflowName,
    pub(crate) stage: &'a StageName,
    pub(crate) risk: Risk,
    pub(crate) labels: &'a Labels,
    pub(crate) created_at: Timestamp,
    pub(crate) depth: u64,
    pub(crate) requested_by: RequestSource,
    pub(crate) usage: &'a Usage,
}

impl<'a> TaskFacts<'a> {
    /// Of a task as it is.
    pub(crate) fn of(task: &'a Task, usage: &'a Usage) -> Self {
        Self {
            id: task.id,
            workflow: &task.workflow,
            stage: &task.stage,
            risk: task.risk,
            labels: &task.labels,
            created_at: task.created_at,
            depth: task.depth() as u64,
            requested_by: task.request.source,
            usage,
        }
    }

    /// Of a task as it was.
    pub(crate) fn of_recorded(task: &'a RecordedTask) -> Self {
        Self {
            id: task.id,
            workflow: &task.workflow,
            stage: &task.stage,
            risk: task.risk,
            labels: &task.labels,
            created_at: task.created_at,
            depth: task.depth,
            requested_by: task.requested_by,
            usage: &task.usage,
        }
    }

    /// Kept apart from what it was read from.
    fn recorded(&self) -> RecordedTask {
        RecordedTask {
            id: self.id,
            workflow: self.workflow.clone(),
            stage: self.stage.clone(),
            risk: self.risk,
            labels: self.labels.clone(),
            created_at: self.created_at,
            depth: self.depth,
            requested_by: self.requested_by,
            usage: *self.usage,
        }
    }
}

/// What is asked, in the words of a refusal.
impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}) to agent {} in stage {}",
            self.tool, self.effect, self.agent, self.task.stage
        )
    }
}

impl<'a> Call<'a> {
    /// In what it happens.
    pub(crate) fn setting(&self) -> Setting<'a> {
        Setting {
            user: self.user,
            chain: self.chain,
            task: self.task,
            now: self.now,
            facts: self.facts,
        }
    }
}

impl Call<'_> {
    /// The call, kept apart from what it was read from.
    pub(crate) fn recorded(&self) -> Recorded {
        Recorded {
            agent: self.agent.clone(),
            tool: self.tool.clone(),
            definition: self.definition,
            effect: self.effect,
            arguments: self.arguments.to_owned(),
            user: self.user.clone(),
            chain: self.chain.iter().map(|agent| (*agent).clone()).collect(),
            task: self.task.recorded(),
            now: self.now,
            discharged: self.discharged.to_vec(),
            performs: self
                .performs
                .iter()
                .map(|kind| (*kind).to_owned())
                .collect(),
            facts: self.facts.clone(),
            versions: self.versions,
        }
    }
}

impl Input<'_> {
    /// Asks something about the call.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&Call<'_>) -> T) -> T {
        let chain: Vec<&AgentName> = self.chain.links.iter().map(|link| &link.agent).collect();
        ask(&Call {
            agent: &self.agent.name,
            server: &self.server.name,
            tool: &self.tool.tool,
            definition: self.tool.approved,
            effect: self.effect,
            arguments: self.arguments,
            user: &self.chain.user,
            chain: &chain,
            task: TaskFacts::of(self.task, self.usage),
            now: self.now,
            discharged: self.discharged,
            performs: self.performs,
            facts: self.facts,
            versions: self.versions,
        })
    }
}
