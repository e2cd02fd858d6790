//! What tasks do and what becomes of it, as later decisions remember it.

use bailiwick_core::approval::Approval;
use bailiwick_core::id::{ApprovalId, TaskId};

use super::{Decided, LocalDecider};
use crate::provenance::{Answered, Doings, Memory, Standing};

impl LocalDecider {
    /// An answer is about to be read.
    pub(crate) fn has_read(&self, root: TaskId, answered: &Answered<'_>) {
        self.note(root, |memory| memory.answer(answered));
    }

    /// A call is let through: its tool and stage are part of the task's history.
    pub(crate) fn has_called(&self, decided: &Decided) {
        let (Some(view), Some(tool)) = (&decided.view, &decided.tool) else {
            return;
        };
        let now = self.clock.wall();
        self.note(view.task.root(), |memory| {
            memory.done(view.task.id, |doings| {
                doings.tools.insert(tool.tool.to_string());
                doings.stages.insert(view.task.stage.to_string());
                doings.last = Some(now);
            });
        });
    }

    /// A call was refused.
    pub(crate) fn was_refused(&self, decided: &Decided) {
        self.of_task(decided, |doings| doings.denied += 1);
    }

    /// A person approved a call: what was in it stands from now on.
    pub(crate) fn people_approved(&self, decided: &Decided) {
        let Some(view) = &decided.view else { return };
        self.note(view.task.root(), |memory| {
            for value in &decided.judged.values {
                memory.stands(value, Standing::APPROVED);
            }
        });
    }

    /// A person refused a call: what was odd about it, or all of it if nothing was, is not asked for again.
    pub(crate) fn people_refused(&self, decided: &Decided) {
        let Some(view) = &decided.view else { return };
        let judged = &decided.judged;
        let values = if judged.odd.is_empty() {
            &judged.values
        } else {
            &judged.odd
        };
        self.note(view.task.root(), |memory| {
            for value in values {
                memory.stands(value, Standing::REFUSED);
            }
            memory.done(view.task.id, |doings| {
                doings.refused += 1;
                doings.denied += 1;
            });
        });
    }

    /// A call waits for people, at most until its approval expires.
    pub(crate) fn waits(&self, decided: &Decided, approval: &Approval) {
        self.of_task(decided, |doings| {
            doings.waiting.insert(approval.id, approval.expires_at);
        });
    }

    /// A call waits no more.
    pub(crate) fn waited(&self, decided: &Decided, approval: ApprovalId) {
        self.of_task(decided, |doings| {
            doings.waiting.remove(&approval);
        });
    }

    fn of_task(&self, decided: &Decided, note: impl FnOnce(&mut Doings)) {
        if let Some(view) = &decided.view {
            self.note(view.task.root(), |memory| memory.done(view.task.id, note));
        }
    }

    fn note(&self, root: TaskId, note: impl FnOnce(&mut Memory)) {
        let fresh = || self.budgets.usage(root).calls == 0;
        self.provenance.note(root, fresh, note);
    }
}
