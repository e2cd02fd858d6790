//! Tasks in SQL.

use bailiwick_core::Timestamp;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::id::TaskId;
use bailiwick_core::name::{AgentName, UserId};
use bailiwick_core::task::{Task, TaskState};

use super::view::{View, encode, next_version, page, refused, signed};
use crate::{MAX_PAGE, StoreError, TaskFilter, Tasks, TasksMut};

const KIND: &str = "task";

impl Tasks for View<'_> {
    fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM task WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn tasks(
        &self,
        filter: &TaskFilter,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM task
             WHERE (id < ?1 OR ?1 IS NULL) AND (agent = ?2 OR ?2 IS NULL) AND (user = ?3 OR ?3 IS NULL)
               AND (state = ?4 OR ?4 IS NULL) AND (root = ?5 OR ?5 IS NULL)
             ORDER BY id DESC LIMIT ?6",
            (
                after.map(|id| id.to_string()),
                filter.agent.as_ref().map(AgentName::as_str),
                filter.user.as_ref().map(UserId::as_str),
                filter.state.map(TaskState::as_str),
                filter.root.map(|id| id.to_string()),
                page(limit),
            ),
        )
    }

    fn open_tasks(&self) -> Result<Vec<Task>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM task WHERE state = 'open' ORDER BY id",
            (),
        )
    }

    fn subtree(&self, id: TaskId) -> Result<Vec<Task>, StoreError> {
        self.many(
            KIND,
            "WITH RECURSIVE tree (id, depth) AS (
                 SELECT id, depth FROM task WHERE id = ?1
                 UNION ALL
                 SELECT task.id, task.depth FROM task JOIN tree ON task.parent = tree.id)
             SELECT body FROM task JOIN tree USING (id) ORDER BY tree.depth DESC, id DESC",
            [id.to_string()],
        )
    }

    fn open_children(&self, id: TaskId) -> Result<Vec<Task>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM task WHERE parent = ?1 AND state = 'open' ORDER BY id",
            [id.to_string()],
        )
    }

    fn open_tasks_of_agent(&self, agent: &AgentName) -> Result<Vec<Task>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM task WHERE agent = ?1 AND state = 'open' ORDER BY id",
            [agent.as_str()],
        )
    }

    fn open_tasks_of_user(&self, user: &UserId) -> Result<Vec<Task>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM task WHERE user = ?1 AND state = 'open' ORDER BY id",
            [user.as_str()],
        )
    }

    fn tasks_due(&self, now: Timestamp) -> Result<Vec<Task>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM task WHERE state = 'open' AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
            (now.as_micros(), page(MAX_PAGE)),
        )
    }
}

impl TasksMut for View<'_> {
    fn put_task(&mut self, task: &Task) -> Result<(), StoreError> {
        let id = task.id.to_string();
        match self.task(task.id)? {
            None => self.may_open(&id, task)?,
            Some(stored) => may_change(&id, &stored, task)?,
        }
        self.execute(
            KIND,
            &id,
            "INSERT INTO task (id, parent, root, depth, agent, user, state, expires_at, version, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at,
                 version = excluded.version, body = excluded.body",
            (
                &id,
                task.parent.map(|parent| parent.to_string()),
                task.root().to_string(),
                i64::try_from(task.depth()).unwrap_or(i64::MAX),
                task.agent.as_str(),
                task.user.as_str(),
                task.state.as_str(),
                task.expires_at.as_micros(),
                signed(KIND, task.version)?,
                encode(KIND, task)?,
            ),
        )?;
        self.append(&id, ChangeBody::Task(task.clone()))
    }
}

impl View<'_> {
    fn may_open(&self, id: &str, task: &Task) -> Result<(), StoreError> {
        next_version(KIND, id, 0, task.version)?;
        if task.born_seq > self.head().saturating_add(1) {
            return Err(refused(
                KIND,
                id,
                "it is born after the next change, so a fence could miss it",
            ));
        }
        let Some(parent) = task.parent else {
            return if task.ancestors.is_empty() {
                Ok(())
            } else {
                Err(refused(KIND, id, "it has ancestors but no parent"))
            };
        };
        let Some(parent) = self.task(parent)? else {
            return Err(refused(KIND, id, "its parent is not there"));
        };
        // The transaction that ends a tree must find all of it: nothing may grow below an ended task.
        if parent.state != TaskState::Open {
            return Err(refused(KIND, id, "its parent has ended"));
        }
        if !task
            .ancestors
            .iter()
            .eq(parent.ancestors.iter().chain([&parent.id]))
        {
            return Err(refused(
                KIND,
                id,
                "its ancestors are not its parent's and its parent",
            ));
        }
        Ok(())
    }
}

fn may_change(id: &str, stored: &Task, task: &Task) -> Result<(), StoreError> {
    next_version(KIND, id, stored.version, task.version)?;
    if stored.state != TaskState::Open && stored.state != task.state {
        return Err(refused(KIND, id, "it has ended"));
    }
    let same = stored.parent == task.parent
        && stored.ancestors == task.ancestors
        && stored.agent == task.agent
        && stored.user == task.user
        && stored.born_seq == task.born_seq;
    if same {
        Ok(())
    } else {
        Err(refused(
            KIND,
            id,
            "its agent, user, ancestors and birth never change",
        ))
    }
}
