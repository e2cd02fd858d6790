//! The task: the unit of authority. Opened for one request, it carries everything a decision needs to know about *why*;
//! its end revokes everything below it (07 of the design; `docs/explanation/tasks.md`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fence::Subject;
use crate::id::{InstanceId, TaskId};
use crate::label::Labels;
use crate::name::{AgentName, StageName, UserId, WorkflowName};
use crate::risk::Risk;
use crate::scope::Scope;
use crate::{Code, Digest, Timestamp};

/// A request text has at most this many bytes.
pub const MAX_REQUEST_BYTES: usize = 32 * 1024;
/// A task lives at most this long, whatever is asked for.
pub const MAX_LIFE: Duration = Duration::from_hours(24);
/// Default life of a task.
pub const DEFAULT_LIFE: Duration = Duration::from_hours(8);
/// A chain of delegations is at most this long.
pub const MAX_DEPTH: u8 = 8;

/// Who wrote the request text. Only a person's or an orchestrator's words are evidence of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestSource {
    /// A person, through the API or the command line.
    User,
    /// A service that policy names.
    Orchestrator,
    /// An agent, when it opened or delegated the task, or launched the shim.
    Agent,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The words, at most [`MAX_REQUEST_BYTES`].
    pub text: String,
    /// Who wrote them.
    pub source: RequestSource,
}

/// Where a task is in its life. End states are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Authority exists.
    Open,
    /// Done, as its agent or a person said.
    Completed,
    /// Given up.
    Cancelled,
    /// Past its deadline.
    Expired,
    /// A fence fell on it or above it.
    Revoked,
}

impl TaskState {
    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The task it was delegated from.
    pub parent: Option<TaskId>,
    /// Ancestors, root first, without itself; empty for a root task.
    pub ancestors: Vec<TaskId>,
    /// The agent that may act in it.
    pub agent: AgentName,
    /// The instance it is bound to; none until the first one of its agent asks for a token.
    pub instance: Option<InstanceId>,
    /// On whose behalf.
    pub user: UserId,
    /// Random pseudonym of the user, as the record names them.
    pub user_pseudonym: String,
    /// What was asked for.
    pub request: Request,
    /// The workflow whose stages it goes through.
    pub workflow: WorkflowName,
    /// Where it is in the workflow.
    pub stage: StageName,
    /// What it may do, in normal form.
    pub scope: Scope,
    /// Digest of `scope`.
    pub scope_digest: Digest,
    /// Only rises within the task, unless a person lowers it.
    pub risk: Risk,
    /// What its data has picked up.
    pub labels: Labels,
    /// What an agent delegated it with: the token it showed, the tokens that one was exchanged from, its key. A fence on any of them is
    /// one on the task. Empty if no token took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Subject>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Where it is in its life.
    pub state: TaskState,
    /// Feed sequence at which it was opened; what fences on its user are compared with (root task only).
    pub born_seq: u64,
    /// Grows with each change; part of each decision's record.
    pub version: u64,
}

impl Task {
    /// The root of its tree: itself, or its first ancestor.
    pub fn root(&self) -> TaskId {
        self.ancestors.first().copied().unwrap_or(self.id)
    }

    /// Delegations above it.
    pub fn depth(&self) -> usize {
        self.ancestors.len()
    }

    /// Why there is no authority in it at `now`; none if there is.
    pub fn refusal(&self, now: Timestamp) -> Option<Code> {
        match self.state {
            TaskState::Open if now < self.expires_at => None,
            TaskState::Open | TaskState::Expired => Some(Code::TaskExpired),
            TaskState::Revoked => Some(Code::Revoked),
            TaskState::Completed | TaskState::Cancelled => Some(Code::TaskEnded),
        }
    }

    /// Moves an open task into an end state.
    pub fn end(&mut self, state: TaskState) -> Result<(), EndError> {
        if self.state != TaskState::Open {
            return Err(EndError::Ended(self.state));
        }
        if state == TaskState::Open {
            return Err(EndError::NotAnEnd);
        }
        self.state = state;
        self.version = self.version.saturating_add(1);
        Ok(())
    }
}

/// Why a task cannot be ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// It ended before; end states are final.
    #[error("the task is already {}", .0.as_str())]
    Ended(TaskState),
    /// `open` is no end.
    #[error("open is not an end state")]
    NotAnEnd,
}

impl crate::Fault for EndError {
    fn code(&self) -> Code {
        match self {
            Self::Ended(_) => Code::TaskEnded,
            Self::NotAnEnd => Code::InvalidInput,
        }
    }

    fn help(&self) -> String {
        "end states are final; open a new task".to_owned()
    }
}
