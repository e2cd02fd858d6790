//! A lease: a just-in-time credential and its life cycle. Pure: states and steps; making and removing is the broker's.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{EventId, InstanceId, LeaseId, TaskId};
use crate::name::{AgentName, CredentialName, ServerName};

/// `Intent → Active → Revoking → Tombstone`, `Intent → Revoking`; no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LeaseState {
    /// On record; nothing has been made yet, or it is not known.
    Intent,
    /// Usable.
    Active,
    /// Fenced or ended; being taken away.
    Revoking,
    /// Verified gone.
    Tombstone,
}

/// What happens to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStep {
    /// The backend made it and no ancestor is dead.
    Made,
    /// A fence, an expiry, a failed or unknown creation, or its holder is gone.
    Revoke,
    /// The backend says it is gone and holds no session.
    VerifiedGone,
}

/// A step that a state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lease in state {state:?} cannot take the step {step:?}")]
pub struct BadStep {
    /// The state.
    pub state: LeaseState,
    /// The step.
    pub step: LeaseStep,
}

impl LeaseState {
    /// The state after `step`. Revoking a lease that is on its way out changes nothing.
    pub const fn step(self, step: LeaseStep) -> Result<Self, BadStep> {
        match (self, step) {
            (Self::Intent, LeaseStep::Made) => Ok(Self::Active),
            (Self::Intent | Self::Active | Self::Revoking, LeaseStep::Revoke) => Ok(Self::Revoking),
            (Self::Revoking, LeaseStep::VerifiedGone) | (Self::Tombstone, LeaseStep::Revoke) => {
                Ok(Self::Tombstone)
            }
            (state, step) => Err(BadStep { state, step }),
        }
    }
}

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// The credential it is made from.
    pub credential: CredentialName,
    /// The server whose calls it is injected into.
    pub server: ServerName,
    /// The task it dies with.
    pub task: TaskId,
    /// The instance that may use it.
    pub instance: Option<InstanceId>,
    /// The agent.
    pub agent: AgentName,
    /// Where it is in its life.
    pub state: LeaseState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ends by itself; never after its task.
    pub not_after: Timestamp,
    /// Why it ended: a fence's reason, `expired`, `task_ended` or the backend's error.
    pub cause: Option<String>,
    /// When it was verified gone.
    pub verified_at: Option<Timestamp>,
    /// Grows with each step; a worker that lost its claim cannot write.
    pub version: u64,
}

/// What a lease is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The server whose calls it is injected into.
    pub server: ServerName,
    /// The credential that the server's registration names.
    pub credential: CredentialName,
    /// The task it dies with.
    pub task: TaskId,
    /// The instance that acts.
    pub instance: InstanceId,
    /// The agent.
    pub agent: AgentName,
    /// The event that asks for it, if there is one.
    pub cause: Option<EventId>,
}
