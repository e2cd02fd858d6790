//! Policy that is observed and not enforced.

use bailiwick_core::decision::{Decision, Outcome, WouldBe};
use bailiwick_core::rollout::Rollout;
use bailiwick_core::{Code, Timestamp};

/// What is enforced of a decision of policy: all of it, or while policy is observed nothing that refuses.
pub(super) fn enforced(decision: Decision, rollout: &Rollout, now: Timestamp) -> Decision {
    if rollout.observes(now) {
        observed(decision)
    } else {
        decision
    }
}

/// A refusal of policy goes through where policy is observed; the decision says what it would be. What could not be decided stays refused.
fn observed(decision: Decision) -> Decision {
    let of_policy = matches!(
        decision.code,
        Some(Code::Forbidden | Code::NoPermit | Code::StepUpRequired | Code::UnsupportedObligation)
    );
    if decision.outcome == Outcome::Allow || !of_policy {
        return decision;
    }
    let would_be = WouldBe {
        outcome: decision.outcome,
        code: decision.code,
        reasons: decision.reasons,
        policies: decision.policies.clone(),
        obligations: decision.obligations,
        needs: decision.needs,
    };
    Decision {
        outcome: Outcome::Allow,
        code: None,
        reasons: Vec::new(),
        obligations: Vec::new(),
        needs: None,
        would_allow: Vec::new(),
        would_be: Some(Box::new(would_be)),
        policies: decision.policies,
        versions: decision.versions,
    }
}
