//! A bundle that is tried on live calls: what it would decide otherwise, counted with a few examples. Nothing of it is enforced, and no
//! call waits for it.

use std::sync::{Mutex, PoisonError};

use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::event::{Event, EventType, ShadowRef};
use bailiwick_core::{Digest, Timestamp};
use bailiwick_policy::{Shift, Tally, Terms};
use serde::Serialize;

use crate::decider::Decided;

/// What the tried bundle said to a call that policy decided.
#[derive(Debug)]
pub struct Tried {
    /// The bundle.
    pub bundle: Digest,
    /// Its decision with how that differs; none if it was not compiled yet, or does not know the call.
    pub said: Option<(Decision, Option<Shift>)>,
    /// What policy decided, before observing or the budget changed anything.
    pub decided: Terms,
}

/// What was counted since the trial began, or since the node started.
#[derive(Debug, Clone, Serialize)]
pub struct Counted {
    /// The bundle that is tried.
    pub bundle: Digest,
    /// When the first call was counted.
    pub since: Timestamp,
    /// Calls that could not be compared, as the bundle was not compiled yet or does not know them.
    pub missed: u64,
    /// The differences.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Counts for the one bundle that is tried.
#[derive(Debug, Default)]
pub struct Trial {
    counted: Mutex<Option<Counted>>,
}

impl Trial {
    /// What was counted so far; none if nothing was.
    pub fn counted(&self) -> Option<Counted> {
        self.counted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Counts a decision that goes on record as `event`, and notes in the event what the tried bundle says otherwise.
    pub(crate) fn count(&self, event: &mut Event, decided: &Decided, now: Timestamp) {
        // Of a call that was held, the decision is in `tool.held`; what came after was a person's.
        let repeated =
            event.kind == EventType::ToolRefused && decided.decision.outcome == Outcome::StepUp;
        let (Some(tried), Some(view), Some(tool)) = (&decided.tried, &decided.view, &decided.tool)
        else {
            return;
        };
        if repeated {
            return;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = match &mut *counted {
            Some(counted) if counted.bundle == tried.bundle => counted,
            other => other.insert(Counted {
                bundle: tried.bundle,
                since: now,
                missed: 0,
                tally: Tally::default(),
            }),
        };
        let Some((said, shift)) = &tried.said else {
            counted.missed += 1;
            return;
        };
        let whose = (&view.agent.name, &tool.tool, tool.effect);
        counted
            .tally
            .add(&event.id.to_string(), whose, &tried.decided, said);
        if let (Some(_), Some(decision)) = (shift, event.decision.as_mut()) {
            let sources = said.reasons.iter();
            decision.shadow = Some(ShadowRef {
                bundle: tried.bundle,
                effect: said.outcome,
                reasons: sources.map(|reason| reason.source.clone()).collect(),
            });
        }
    }
}
