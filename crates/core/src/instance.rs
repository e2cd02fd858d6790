//! One attested running process of an agent.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::InstanceId;
use crate::name::AgentName;
use crate::selector::Selector;

/// An attested process. Its id is never reused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id; the last segment of its SPIFFE ID.
    pub id: InstanceId,
    /// The agent it is an instance of.
    pub agent: AgentName,
    /// What attestation found on it.
    pub selectors: Vec<Selector>,
    /// Process id on this node.
    pub pid: u32,
    /// Start time of the process in clock ticks since boot (`/proc/PID/stat` field 22); with `pid` it names one process.
    pub pid_start: u64,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Feed sequence at which it was born; what fences on its agent are compared with.
    pub born_seq: u64,
    /// When it was attested first.
    pub attested_at: Timestamp,
}

/// Life of an instance. End states are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Running, as far as the node knows.
    Live,
    /// Its process exited.
    Ended,
}
