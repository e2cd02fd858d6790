//! What tasks have used of their budgets, in memory. Counted on allowed calls only, on the task and on every ancestor, all or nothing:
//! exact under any number of parallel calls of one node.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::budget::{Budget, Usage};
use bailiwick_core::id::TaskId;
use bailiwick_core::{Effect, Timestamp};

/// Counters of all tasks that have called something.
#[derive(Debug, Default)]
pub struct Budgets {
    spent: Mutex<HashMap<TaskId, Spent>>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    usage: Usage,
    first: Timestamp,
}

/// A bound that is used up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {bound} budget of {task} is used up")]
pub struct Exhausted {
    /// The task whose budget it is: the calling one or an ancestor.
    pub task: TaskId,
    /// `calls`, `writes`, `escalations` or `wall_time`.
    pub bound: &'static str,
}

impl Budgets {
    /// Sets a task's counters to what the record says, after a restart.
    pub fn restore(&self, task: TaskId, usage: Usage, first_call: Timestamp) {
        self.lock().insert(
            task,
            Spent {
                usage,
                first: first_call,
            },
        );
    }

    /// What a task and its descendants have used.
    pub fn usage(&self, task: TaskId) -> Usage {
        self.lock()
            .get(&task)
            .map(|spent| spent.usage)
            .unwrap_or_default()
    }

    /// Forgets tasks that have ended: they call nothing any more.
    pub fn retain(&self, lives: impl Fn(TaskId) -> bool) {
        self.lock().retain(|task, _| lives(*task));
    }

    /// Whether one more call would fit. Counts nothing.
    pub fn fits(
        &self,
        chain: &[(TaskId, Budget)],
        effect: Effect,
        now: Timestamp,
    ) -> Result<(), Exhausted> {
        try_all(&self.lock(), chain, effect, now).map(|_| ())
    }

    /// Counts one more call on every task of the chain, or on none.
    pub fn reserve(
        &self,
        chain: &[(TaskId, Budget)],
        effect: Effect,
        now: Timestamp,
    ) -> Result<(), Exhausted> {
        let mut spent = self.lock();
        let counted = try_all(&spent, chain, effect, now)?;
        spent.extend(counted);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Spent>> {
        // No code that can panic runs under this lock.
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn try_all(
    spent: &HashMap<TaskId, Spent>,
    chain: &[(TaskId, Budget)],
    effect: Effect,
    now: Timestamp,
) -> Result<Vec<(TaskId, Spent)>, Exhausted> {
    let try_one = |(task, budget): &(TaskId, Budget)| {
        let mut own = spent.get(task).copied().unwrap_or(Spent {
            usage: Usage::default(),
            first: now,
        });
        let elapsed: Duration = now.since(own.first);
        own.usage
            .reserve(budget, effect, elapsed)
            .map_err(|bound| Exhausted { task: *task, bound })?;
        Ok((*task, own))
    };
    chain.iter().map(try_one).collect()
}

#[cfg(test)]
mod tests;
