//! The outcome of the policies that a call satisfies: the five steps of 03 of the design.
//!
//! H = satisfied hard forbids, S = tokens of satisfied soft forbids, P = satisfied hard permits, Q = tokens of satisfied soft
//! permits, D = discharged tokens. The result does not depend on the order of policies and is monotone in D.

use std::fmt;

use bailiwick_core::Code;
use bailiwick_core::decision::{Decision, Needs, Outcome, Reason, Versions};

use crate::annotation::Token;
use crate::call::Call;
use crate::decide::Sorted;
use crate::duty;
use crate::rule::Rule;

/// What the outcome depends on beside the policies.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// D.
    pub(crate) discharged: &'a [String],
    /// Kinds of duty that are performed.
    pub(crate) performs: &'a [&'a str],
    pub(crate) versions: Versions,
    /// What is asked, for a refusal that no policy has words for.
    pub(crate) what: &'a dyn fmt::Display,
}

impl Call<'_> {
    /// What the outcome depends on.
    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            discharged: self.discharged,
            performs: self.performs,
            versions: self.versions,
            what: self,
        }
    }
}

/// The decision, without what would change it.
pub(crate) fn outcome(sorted: &Sorted<'_>, asked: &Question<'_>) -> Decision {
    let mut decision = Decision {
        outcome: Outcome::Deny,
        code: None,
        reasons: Vec::new(),
        policies: sorted.satisfied(),
        obligations: Vec::new(),
        needs: None,
        would_allow: Vec::new(),
        would_be: None,
        versions: asked.versions,
    };
    let failed = sorted.failed_forbids.iter().chain(&sorted.failed_permits);
    let failed: Vec<Reason> = failed.map(|rule| not_evaluated(rule)).collect();
    let discharged = |rule: &Rule| is_discharged(rule, asked);
    // Step 1: a forbid that fails could have forbidden the call.
    if !sorted.forbids.is_empty() || !sorted.failed_forbids.is_empty() {
        decision.code = Some(if sorted.forbids.is_empty() {
            Code::PolicyError
        } else {
            Code::Forbidden
        });
        decision.reasons = reasons(&sorted.forbids);
        decision.reasons.extend(failed);
        return decision;
    }
    // Step 2.
    if sorted.permits.is_empty() && sorted.soft_permits.is_empty() {
        decision.code = Some(Code::NoPermit);
        decision.reasons = vec![no_permit(asked)];
        decision.reasons.extend(failed);
        return decision;
    }
    // Step 3: S without D that nobody performs.
    let is_approval = |rule: &&Rule| matches!(rule.marks.token, Some(Token::Approval(_)));
    let open: Vec<&Rule> = sorted
        .soft_forbids
        .iter()
        .copied()
        .filter(|rule| !discharged(rule))
        .collect();
    let unsupported: Vec<&Rule> = open
        .iter()
        .copied()
        .filter(|rule| !is_approval(rule))
        .collect();
    if !unsupported.is_empty() {
        decision.code = Some(Code::UnsupportedObligation);
        decision.reasons = reasons(&unsupported);
        decision.reasons.extend(failed);
        return decision;
    }
    // Step 4.
    let permitted =
        !sorted.permits.is_empty() || sorted.soft_permits.iter().any(|rule| discharged(rule));
    let any_of: &[&Rule] = if permitted { &[] } else { &sorted.soft_permits };
    if !open.is_empty() || !any_of.is_empty() {
        decision.outcome = Outcome::StepUp;
        decision.code = Some(Code::StepUpRequired);
        decision.reasons = reasons(&open);
        decision.reasons.extend(reasons(any_of));
        decision.needs = needs(&open, any_of);
    } else {
        // Step 5. `needs` says which approvals the allow counts on, and how many people they must come from.
        let used = sorted
            .soft_forbids
            .iter()
            .copied()
            .filter(is_approval)
            .collect::<Vec<_>>();
        let opened: Vec<&Rule> = if sorted.permits.is_empty() {
            sorted
                .soft_permits
                .iter()
                .copied()
                .filter(|rule| discharged(rule))
                .collect()
        } else {
            Vec::new()
        };
        decision.outcome = Outcome::Allow;
        decision.needs = needs(&used, &opened);
        decision.obligations =
            duty::strictest(sorted.soft_forbids.iter().filter_map(
                |rule| match &rule.marks.token {
                    Some(Token::Duty(duty)) => Some(duty),
                    _ => None,
                },
            ));
    }
    decision.reasons.extend(failed);
    decision
}

fn is_discharged(rule: &Rule, asked: &Question<'_>) -> bool {
    match &rule.marks.token {
        Some(Token::Approval(token)) => asked.discharged.contains(token),
        Some(Token::Duty(duty)) => {
            asked.performs.contains(&duty.kind.as_str())
                || asked
                    .discharged
                    .iter()
                    .any(|token| duty::is_token(duty, token))
        }
        None => false,
    }
}

fn needs(all_of: &[&Rule], any_of: &[&Rule]) -> Option<Needs> {
    let tokens = |rules: &[&Rule]| {
        let tokens = rules
            .iter()
            .filter_map(|rule| rule.marks.token.as_ref().map(Token::text));
        let mut tokens: Vec<String> = tokens.collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    };
    let both = || all_of.iter().chain(any_of);
    let quorum = both().map(|rule| rule.marks.quorum).max()?;
    Some(Needs {
        all_of: tokens(all_of),
        any_of: tokens(any_of),
        quorum,
        valid_s: both().map(|rule| rule.marks.valid_s).min()?,
        // An answer that needs more than one person is for one call.
        standing: if quorum > 1 {
            0
        } else {
            both().map(|rule| rule.marks.standing).min()?
        },
    })
}

fn reasons(rules: &[&Rule]) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = rules
        .iter()
        .map(|rule| Reason {
            source: rule.marks.id.clone(),
            reason: rule.marks.reason.clone(),
            fix: rule.marks.fix.clone(),
        })
        .collect();
    reasons.sort_unstable_by(|a, b| a.source.cmp(&b.source));
    reasons
}

fn not_evaluated(rule: &Rule) -> Reason {
    let counts = if rule.is_permit() {
        "so it does not count"
    } else {
        "so it counts as forbidding"
    };
    Reason {
        source: rule.marks.id.clone(),
        reason: format!("this policy could not be evaluated for the call, {counts}"),
        fix: "run `bailiwick policy check` and correct the policy".to_owned(),
    }
}

fn no_permit(asked: &Question<'_>) -> Reason {
    Reason {
        source: "policy".to_owned(),
        reason: format!("no policy permits {}", asked.what),
        fix: "ask for a policy that permits it, or do without".to_owned(),
    }
}
