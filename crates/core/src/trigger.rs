//! What a change can take away from what is live already (07, continuous evaluation): a change that is a trigger names what has to be
//! decided again.

use crate::change::ChangeBody;
use crate::id::TaskId;
use crate::name::{AgentName, ServerName, ToolRef};
use crate::task::{Task, TaskState};

/// What has to be decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A task moved to another stage or risk, took labels or was bound: it, and what was delegated from it.
    Task(TaskId),
    /// An agent's record changed: every task in whose chain it stands.
    Agent(AgentName),
    /// A server's registration changed.
    Server(ServerName),
    /// A tool's definition, effect or binding changed.
    Tool(ToolRef),
    /// Policy, its workflows among it, how far it is enforced, or what is known of somebody's code.
    Everything,
}

impl Trigger {
    /// The trigger that a change is; none if it takes nothing away from what is live.
    ///
    /// A task or agent that is new has nothing live. One that ended, a process that ended and a fence cut by themselves. What items carry
    /// counts when they are read.
    pub fn of(body: &ChangeBody) -> Option<Self> {
        match body {
            ChangeBody::Task(task) if task.version > 1 && task.state == TaskState::Open => {
                Some(Self::Task(task.id))
            }
            ChangeBody::Agent(agent) if agent.version > 1 => Some(Self::Agent(agent.name.clone())),
            ChangeBody::AgentRemoved(name) => Some(Self::Agent(name.clone())),
            ChangeBody::Server(server) => Some(Self::Server(server.name.clone())),
            ChangeBody::ServerRemoved(name) => Some(Self::Server(name.clone())),
            ChangeBody::Tool(tool) => Some(Self::Tool(tool.tool.clone())),
            ChangeBody::ToolRemoved(tool) => Some(Self::Tool(tool.clone())),
            ChangeBody::Policy(_) | ChangeBody::Rollout(_) | ChangeBody::Evidence(_) => {
                Some(Self::Everything)
            }
            ChangeBody::Task(_)
            | ChangeBody::Agent(_)
            | ChangeBody::Instance(_)
            | ChangeBody::Item(_)
            | ChangeBody::Fence(_)
            | ChangeBody::TokenKeys(_) => None,
        }
    }

    /// Whether a task has to be looked at, and with it what hangs on it. `agents` are those of its chain.
    pub fn concerns<'a>(
        &self,
        task: &Task,
        mut agents: impl Iterator<Item = &'a AgentName>,
    ) -> bool {
        match self {
            Self::Task(id) => task.id == *id || task.ancestors.contains(id),
            Self::Agent(name) => agents.any(|agent| agent == name),
            // What of a task is at a server only its calls, leases and approvals know.
            Self::Server(_) | Self::Tool(_) | Self::Everything => true,
        }
    }

    /// Whether what goes on at a server, at this tool if it is one, has to be looked at, as far as the place says.
    pub fn reaches(&self, server: &ServerName, tool: Option<&ToolRef>) -> bool {
        match self {
            Self::Server(name) => name == server,
            Self::Tool(changed) => tool == Some(changed),
            Self::Task(_) | Self::Agent(_) | Self::Everything => true,
        }
    }
}

#[cfg(test)]
mod tests;
