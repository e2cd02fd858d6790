//! What would have allowed a call: for people with the right to read explanations, never for the agent.

use bailiwick_core::decision::{Decision, Outcome};
use cedar_policy_core::evaluator::Evaluator;

use crate::annotation::Token;
use crate::call::Call;
use crate::decide::Sorted;
use crate::rule::Rule;

/// An explanation names at most this many changes.
const MAX_CHANGES: usize = 3;

/// Smallest changes that lead past the decision, nearest first.
pub(crate) fn would_allow(
    sorted: &Sorted<'_>,
    decision: &Decision,
    call: &Call<'_>,
    evaluator: &Evaluator<'_>,
) -> Vec<String> {
    let forbidden = sorted.forbids.iter().map(|rule| lift(rule, evaluator));
    let failed = sorted.failed_forbids.iter().map(|rule| {
        format!(
            "a policy `{}` that can be evaluated for this call",
            rule.marks.id
        )
    });
    let mut changes: Vec<String> = forbidden.chain(failed).collect();
    if changes.is_empty() && decision.outcome == Outcome::StepUp {
        changes.extend(decision.needs.iter().flat_map(|needs| {
            let all = needs.all_of.iter().map(|token| who(token));
            let any: Vec<String> = needs.any_of.iter().map(|token| who(token)).collect();
            all.chain((!any.is_empty()).then(|| any.join(" or ")))
        }));
    }
    if changes.is_empty() && sorted.permits.is_empty() && sorted.soft_permits.is_empty() {
        changes = nearest(sorted, call, evaluator);
    }
    if changes.is_empty() {
        changes.extend(decision.reasons.iter().map(|reason| {
            format!(
                "an enforcement point that performs the duty of policy `{}`",
                reason.source
            )
        }));
    }
    changes.truncate(MAX_CHANGES);
    changes
}

/// Permits that reach the call, those with the fewest conditions that do not hold first.
fn nearest(sorted: &Sorted<'_>, call: &Call<'_>, evaluator: &Evaluator<'_>) -> Vec<String> {
    let mut permits: Vec<(Vec<&str>, &Rule)> = sorted
        .unsatisfied_permits
        .iter()
        .map(|rule| {
            let unmet = rule.conjuncts(evaluator).filter(|(_, holds)| !holds);
            (unmet.map(|(text, _)| text).collect(), *rule)
        })
        .collect();
    permits.sort_by(|(a, x), (b, y)| (a.len(), &x.marks.id).cmp(&(b.len(), &y.marks.id)));
    if permits.is_empty() {
        let (tool, effect, agent) = (call.tool, call.effect, call.agent);
        return vec![format!(
            "a policy that permits {tool} ({effect}) to agent {agent}; none reaches this call"
        )];
    }
    permits
        .into_iter()
        .map(|(unmet, rule)| {
            let conditions = if unmet.is_empty() {
                "it had not expired".to_owned()
            } else {
                unmet
                    .into_iter()
                    .map(|text| format!("`{text}`"))
                    .collect::<Vec<_>>()
                    .join(" and ")
            };
            let approval = match &rule.marks.token {
                Some(Token::Approval(token)) => format!(", with {}", who(token)),
                _ => String::new(),
            };
            format!(
                "policy `{}` would permit it if {conditions}{approval}",
                rule.marks.id
            )
        })
        .collect()
}

fn lift(rule: &Rule, evaluator: &Evaluator<'_>) -> String {
    let held: Vec<String> = rule
        .conjuncts(evaluator)
        .filter(|(_, holds)| *holds)
        .map(|(text, _)| format!("`{text}`"))
        .collect();
    match held.as_slice() {
        [] => format!(
            "a change of policy `{}`, which forbids this whatever the arguments",
            rule.marks.id
        ),
        _ => format!(
            "a call where not all of this holds, which policy `{}` forbids: {}",
            rule.marks.id,
            held.join(" and ")
        ),
    }
}

fn who(token: &str) -> String {
    format!(
        "approval by {}",
        token.strip_prefix("approval:").unwrap_or(token)
    )
}
