//! Calls that wait for people, as they were when they were stopped: what is asked anew when something changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailiwick_core::Timestamp;
use bailiwick_core::approval::Approval;
use bailiwick_core::id::ApprovalId;

use crate::decider::StandingCall;

/// Questions remembered. One beyond it is void at the next change that concerns it.
const MAX_QUESTIONS: usize = 10_000;

/// The calls that were stopped, by what people are asked about them.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<ApprovalId, Question>>);

#[derive(Debug)]
struct Question {
    call: Arc<StandingCall>,
    until: Timestamp,
}

impl Questions {
    /// Remembers a call that waits. Whoever asks the same again leaves the first one.
    pub(crate) fn keep(&self, approval: &Approval, call: impl FnOnce() -> Option<StandingCall>) {
        let mut all = self.lock();
        if all.len() >= MAX_QUESTIONS || all.contains_key(&approval.id) {
            return;
        }
        let valid = std::time::Duration::from_secs(approval.valid_s);
        if let Some(call) = call() {
            let question = Question {
                call: Arc::new(call),
                until: approval.expires_at.plus(valid),
            };
            all.insert(approval.id, question);
        }
    }

    /// The call that an approval is about.
    pub(crate) fn of(&self, approval: ApprovalId) -> Option<Arc<StandingCall>> {
        let all = self.lock();
        all.get(&approval)
            .map(|question| Arc::clone(&question.call))
    }

    /// Forgets what was used.
    pub(crate) fn forget(&self, approval: ApprovalId) {
        self.lock().remove(&approval);
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.lock().retain(|_, question| now < question.until);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ApprovalId, Question>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
