//! Attested processes.

use bailiwick_core::Timestamp;
use bailiwick_core::id::InstanceId;
use bailiwick_core::instance::Instance;
use bailiwick_core::name::AgentName;

use crate::StoreError;

/// Reads of instances.
pub trait Instances {
    /// The instance with this id, live or ended.
    fn instance(&self, id: InstanceId) -> Result<Option<Instance>, StoreError>;

    /// The live instance of a process; there is at most one. `start` is the process's start time in clock ticks since boot, so
    /// rows of an earlier boot have to be ended before this is asked.
    fn instance_of_process(&self, pid: u32, start: u64) -> Result<Option<Instance>, StoreError>;

    /// All live instances, oldest first.
    fn live_instances(&self) -> Result<Vec<Instance>, StoreError>;

    /// How many instances elsewhere live.
    fn live_remote_instances(&self) -> Result<u64, StoreError>;

    /// The live instances elsewhere whose time has run out at `now`.
    fn instances_due(&self, now: Timestamp) -> Result<Vec<Instance>, StoreError>;

    /// The live instances of an agent, oldest first.
    fn live_instances_of_agent(&self, agent: &AgentName) -> Result<Vec<Instance>, StoreError>;
}

/// Writes of instances; each appends to the feed.
pub trait InstancesMut {
    /// Stores an instance. A new one has `born_seq` at most `head() + 1`; later it may only end, never live again, and its birth
    /// never changes ([`StoreError::Refused`]). A second live one of the same process is [`StoreError::AlreadyExists`].
    fn put_instance(&mut self, instance: &Instance) -> Result<(), StoreError>;
}
