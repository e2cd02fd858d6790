//! A lease: a just-in-time credential and its life cycle. Pure: states and steps; making and removing is the broker's.

mod kind;
mod remote;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::DecisionRef;
use crate::fence::Subject;
use crate::id::{EventId, InstanceId, LeaseId, TaskId};
use crate::name::{AgentName, CredentialName, ServerName};

pub use kind::{BackendKind, Delivery, LeaseClass, UnknownWord};
pub use remote::{BadDeployment, Deployment, Evidence, Remote, RemoteRef};

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
    /// The server whose calls it is injected into; none if the agent itself holds it.
    pub server: Option<ServerName>,
    /// The task it dies with.
    pub task: TaskId,
    /// The instance that may use it.
    pub instance: Option<InstanceId>,
    /// The agent.
    pub agent: AgentName,
    /// How it is handed over.
    #[serde(default)]
    pub delivery: Delivery,
    /// How surely it can be taken away.
    #[serde(default)]
    pub class: LeaseClass,
    /// The account made for it elsewhere; none if there is nothing elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// Tokens and keys that it was asked for with: a fence on one ends it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Subject>,
    /// What its holder called the request: asked again, the first one ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The lease that it came instead of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<LeaseId>,
    /// When it became active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// Whether its holder said that it arrived. What is injected needs no such word.
    #[serde(default)]
    pub acknowledged: bool,
    /// When its end began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// What the backend said when it was verified gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
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
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The server whose calls it is injected into; none if the agent itself is to hold it.
    pub server: Option<ServerName>,
    /// The credential; of a server, the one that its registration names.
    pub credential: CredentialName,
    /// The task it dies with.
    pub task: TaskId,
    /// The instance that acts.
    pub instance: InstanceId,
    /// The agent.
    pub agent: AgentName,
    /// The event that asks for it, if there is one.
    pub cause: Option<EventId>,
    /// How it is handed over.
    pub delivery: Delivery,
    /// How long at most; what the credential says, if none.
    pub ttl: Option<Duration>,
    /// What the asker calls this request.
    pub idempotency_key: Option<String>,
    /// Tokens and keys that it is asked with.
    pub lineage: Vec<Subject>,
    /// What policy said to it, for the record; none if policy was not asked.
    pub decision: Option<DecisionRef>,
}

impl Wanted {
    /// The credential of a server, to be injected into calls.
    pub const fn injected(
        server: ServerName,
        credential: CredentialName,
        task: TaskId,
        instance: InstanceId,
        agent: AgentName,
        cause: Option<EventId>,
    ) -> Self {
        Self {
            server: Some(server),
            credential,
            task,
            instance,
            agent,
            cause,
            delivery: Delivery::Inject,
            ttl: None,
            idempotency_key: None,
            lineage: Vec::new(),
            decision: None,
        }
    }
}

#[cfg(test)]
mod tests;
