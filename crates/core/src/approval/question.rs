//! What an enforcement point asks people about: one call, exactly as it would run.

use crate::Digest;
use crate::decision::{Needs, Reason};
use crate::effect::Effect;
use crate::id::{EventId, TaskId};
use crate::name::{AgentName, ToolRef, UserId};
use crate::risk::Risk;

/// A call that needs a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Digest of the canonical call.
    pub call_digest: Digest,
    /// The task.
    pub task: TaskId,
    /// The agent.
    pub agent: AgentName,
    /// The user of the task.
    pub user: UserId,
    /// The tool.
    pub tool: ToolRef,
    /// What the call does.
    pub effect: Effect,
    /// Digest of the approved definition.
    pub definition: Digest,
    /// The arguments as they would be sent.
    pub arguments: String,
    /// Why it was stopped.
    pub reasons: Vec<Reason>,
    /// What policy asks for.
    pub needs: Needs,
    /// Risk of the task.
    pub risk: Risk,
    /// The event of the call that is held.
    pub cause: EventId,
}
