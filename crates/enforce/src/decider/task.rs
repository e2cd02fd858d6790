//! Whether anything at all may be done in a task now, by this caller.

use bailiwick_core::Code;

use super::LocalDecider;
use super::refusals::{Refusal, unbound_refusal};
use super::rows::Rows;

impl LocalDecider {
    pub(super) fn task_refusal(&self, rows: &Rows) -> Option<Refusal> {
        self.task_over(rows).or_else(|| self.behind(rows))
    }

    /// What is live of the task waits too long to be decided again: nothing new begins in it before that.
    fn behind(&self, rows: &Rows) -> Option<Refusal> {
        let tool = rows.tool.as_ref().map(|tool| &tool.tool);
        let late = self.backlog.is_late(&rows.view, &rows.server.name, tool);
        late.then(|| {
            let reason = "a change that concerns the task is not worked off yet".to_owned();
            let fix = "try again; if that lasts, read the node's log".to_owned();
            (Code::ReevaluationBehind, "trigger", reason, fix)
        })
    }

    pub(super) fn task_over(&self, rows: &Rows) -> Option<Refusal> {
        let (task, now) = (&rows.view.task, self.clock.wall());
        let over = task
            .refusal(now)
            .or((now >= task.scope.deadline()).then_some(Code::TaskExpired));
        let Some(code) = over else {
            return unbound_refusal(rows);
        };
        let reason = match code {
            Code::TaskExpired => format!(
                "the task ended by itself at {}",
                task.expires_at.min(task.scope.deadline())
            ),
            _ => format!("the task is {}", task.state.as_str()),
        };
        Some((code, "task", reason, "open a new task".to_owned()))
    }
}
