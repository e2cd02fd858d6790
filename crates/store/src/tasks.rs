//! Tasks and their trees.

use bailiwick_core::Timestamp;
use bailiwick_core::id::TaskId;
use bailiwick_core::name::{AgentName, UserId};
use bailiwick_core::task::{Task, TaskState};

use crate::StoreError;

/// Which tasks to list; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// The agent that acts in it.
    pub agent: Option<AgentName>,
    /// On whose behalf.
    pub user: Option<UserId>,
    /// Where it is in its life.
    pub state: Option<TaskState>,
    /// The root of its tree.
    pub root: Option<TaskId>,
}

/// Reads of tasks.
pub trait Tasks {
    /// The task with this id.
    fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError>;

    /// A page of tasks, newest first, after the last one of the page before; at most [`crate::MAX_PAGE`].
    fn tasks(
        &self,
        filter: &TaskFilter,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError>;

    /// All open tasks, oldest first.
    fn open_tasks(&self) -> Result<Vec<Task>, StoreError>;

    /// A task and everything delegated from it, in any state, deepest first; empty if it does not exist.
    fn subtree(&self, id: TaskId) -> Result<Vec<Task>, StoreError>;

    /// The open tasks that were delegated from this one directly, oldest first.
    fn open_children(&self, id: TaskId) -> Result<Vec<Task>, StoreError>;

    /// The open tasks in which this agent acts, oldest first; their subtrees are not in it.
    fn open_tasks_of_agent(&self, agent: &AgentName) -> Result<Vec<Task>, StoreError>;

    /// The open tasks of a user, oldest first.
    fn open_tasks_of_user(&self, user: &UserId) -> Result<Vec<Task>, StoreError>;

    /// Open tasks whose `expires_at` is not after `now`, earliest first; at most [`crate::MAX_PAGE`].
    fn tasks_due(&self, now: Timestamp) -> Result<Vec<Task>, StoreError>;
}

/// Writes of tasks; each appends to the feed.
pub trait TasksMut {
    /// Stores the next version of a task. Its parent has to be there; a new one has `born_seq` at most `head() + 1`; an ended one
    /// stays in its end state; parent, ancestors, agent, user and birth never change ([`StoreError::Refused`]).
    fn put_task(&mut self, task: &Task) -> Result<(), StoreError>;
}
