//! The search for the smallest changes that allow a call. Each is tried: applied, and decided again.

use std::collections::BTreeMap;

use bailiwick_core::Code;
use bailiwick_core::decision::{Decision, Outcome};
use cedar_policy_core::ast::{Expr, ExprKind};

use super::flip::{Flip, Steps, merged, product};
use super::step::{Remedy, Step};
use crate::annotation::Token;
use crate::bundle::Bundle;
use crate::call::Call;
use crate::decide::{Known, Sorted, Unasked, of, weigh};
use crate::load;
use crate::outcome::outcome;
use crate::recorded::Recorded;
use crate::rule::Rule;
use crate::shape::Record;
use crate::source::BundleSource;
use crate::work::path;

/// At most this many changes are offered.
const MAX_REMEDIES: usize = 3;
/// A change has at most this many steps.
const MAX_STEPS: usize = 6;
/// At most this many changed calls are decided.
const MAX_TRIES: usize = 32;
/// The changed calls are decided by at most so many policies together.
const MAX_POLICIES: usize = 20_000;

/// What would allow the call, smallest first. Nothing for a call that is allowed, or that the registry does not know.
pub(crate) fn remedies(bundle: &Bundle, call: &Recorded) -> Vec<Remedy> {
    let mut found: Vec<Remedy> = Vec::new();
    let mut open: BTreeMap<(usize, usize), Steps> = BTreeMap::from([((0, 0), Vec::new())]);
    let (mut tries, mut policies) = (0, 0);
    while let Some(((size, _), steps)) = open.pop_first() {
        let enough = found
            .first()
            .is_some_and(|first| first.steps.len() < size || found.len() >= MAX_REMEDIES);
        if enough || tries >= MAX_TRIES || policies > MAX_POLICIES {
            break;
        }
        let remedy = Remedy { steps };
        let Some(changed) = remedy.apply(call) else {
            continue;
        };
        let next = match attempt(bundle, call, &changed) {
            Attempt::Allowed => {
                if !found.iter().any(|other| other.is_like(&remedy)) && !remedy.steps.is_empty() {
                    found.push(remedy);
                }
                continue;
            }
            Attempt::Refused {
                policies: asked,
                next,
            } => {
                policies += asked;
                next
            }
        };
        for alternative in next {
            tries += 1;
            let steps = merged(&remedy.steps, &alternative);
            let known = open.values().any(|other| *other == steps);
            if steps.len() <= MAX_STEPS && steps != remedy.steps && !known {
                open.insert((steps.len(), tries), steps);
            }
        }
    }
    if found.is_empty() {
        found.extend(of_the_bundle(bundle, call));
    }
    found
}

/// What became of a changed call.
enum Attempt {
    Allowed,
    Refused {
        /// Policies that were asked.
        policies: usize,
        /// What may lead on.
        next: Vec<Steps>,
    },
}

fn attempt(bundle: &Bundle, call: &Recorded, changed: &Recorded) -> Attempt {
    let arguments = bundle
        .parties
        .tools
        .get(&changed.tool)
        .map(|tool| &tool.arguments);
    let Some(arguments) = arguments else {
        return Attempt::Refused {
            policies: 0,
            next: Vec::new(),
        };
    };
    // With other arguments it is about other items, and nobody knows what those carry.
    let other = changed.facts.items.is_some() && changed.arguments != call.arguments;
    changed.ask(|call| match weigh(bundle, call) {
        Ok(_) if other && asks_about_items(bundle, call) => Attempt::Refused {
            policies: 1,
            next: Vec::new(),
        },
        Ok(weighed) if weighed.decision.outcome == Outcome::Allow => Attempt::Allowed,
        Ok(weighed) => {
            let flip = |rule: &Rule| Flip {
                call: changed,
                arguments,
                workflows: bundle.workflows(),
                evaluator: weighed.forms.of(rule),
                zone: bundle.zone(),
            };
            Attempt::Refused {
                policies: weighed.sorted.len(),
                next: onward(&weighed.sorted, &weighed.decision, flip),
            }
        }
        Err(Unasked::Unknown(_)) => Attempt::Refused {
            policies: 0,
            next: Vec::new(),
        },
        Err(Unasked::Refused(decision)) => Attempt::Refused {
            policies: 1,
            next: fitting(&decision, changed, arguments),
        },
    })
}

/// Whether a policy that reaches the call looks at what the call is about.
fn asks_about_items(bundle: &Bundle, call: &Call<'_>) -> bool {
    let is_bw = |of: &Expr| path(of).is_some_and(|path| path == ["bw"]);
    let asks = |part: &Expr| match part.expr_kind() {
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
            attr == "items" && is_bw(expr)
        }
        _ => false,
    };
    let reached = Known::new(bundle, call).map(|known| known.candidates(bundle, call));
    reached.is_ok_and(|reached| {
        let bodies = of(bundle, &reached).filter_map(|rule| rule.clause.body.as_deref());
        let mut parts = bodies.flat_map(Expr::subexpressions);
        parts.any(asks)
    })
}

/// What may lead on from a decision that is not an allow.
fn onward<'a>(
    sorted: &Sorted<'_>,
    decision: &Decision,
    flip: impl Fn(&Rule) -> Flip<'a>,
) -> Vec<Steps> {
    // One forbid at a time: what lifts the first may lift others.
    if let Some(rule) = sorted.forbids.first() {
        return lifted(rule, &flip(rule));
    }
    if let Some(rule) = sorted.failed_forbids.first() {
        return lifted(rule, &flip(rule));
    }
    if sorted.permits.is_empty() && sorted.soft_permits.is_empty() {
        return sorted
            .unsatisfied_permits
            .iter()
            .chain(&sorted.failed_permits)
            .flat_map(|rule| permitted(rule, &flip(rule)))
            .collect();
    }
    dischargeable(sorted, decision)
}

/// Duties to perform, or approvals to give.
fn dischargeable(sorted: &Sorted<'_>, decision: &Decision) -> Vec<Steps> {
    if let Some(needs) = &decision.needs {
        let one: Vec<Option<&String>> = if needs.any_of.is_empty() {
            vec![None]
        } else {
            needs.any_of.iter().map(Some).collect()
        };
        let approvals = one.into_iter().map(|one| {
            let mut tokens: Vec<String> = needs.all_of.iter().chain(one).cloned().collect();
            tokens.dedup();
            vec![Step::Approval {
                tokens,
                quorum: needs.quorum,
            }]
        });
        return approvals.collect();
    }
    let mut kinds: Vec<String> = sorted
        .soft_forbids
        .iter()
        .filter_map(|rule| match &rule.marks.token {
            Some(Token::Duty(duty)) => Some(duty.kind.clone()),
            _ => None,
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    vec![vec![Step::Perform { kinds }]]
}

/// What makes one of a forbid's conditions not hold.
fn lifted(rule: &Rule, flip: &Flip<'_>) -> Vec<Steps> {
    rule.conjuncts()
        .flat_map(|conjunct| {
            let alternatives = flip.to(&conjunct.expression, false);
            let text = conjunct.text();
            alternatives
                .into_iter()
                .map(move |steps| explained(steps, &text, "does not hold"))
        })
        .filter(|steps| !steps.is_empty())
        .collect()
}

/// What makes all of a permit's conditions hold.
fn permitted(rule: &Rule, flip: &Flip<'_>) -> Vec<Steps> {
    let mut all: Vec<Steps> = vec![Vec::new()];
    for conjunct in rule.conjuncts() {
        if conjunct.holds(flip.evaluator) == Some(true) {
            continue;
        }
        let text = conjunct.text();
        let alternatives: Vec<Steps> = flip
            .to(&conjunct.expression, true)
            .into_iter()
            .map(|steps| explained(steps, &text, "holds"))
            .collect();
        all = product(&all, &alternatives);
    }
    all.retain(|steps| !steps.is_empty());
    all
}

fn explained(mut steps: Steps, text: &str, what: &str) -> Steps {
    for step in &mut steps {
        if let Step::Argument { so_that, .. } = step
            && so_that.is_empty()
        {
            *so_that = format!("`{text}` {what}");
        }
    }
    steps
}

/// Arguments that fit the schema: those that were sent, mended, or the least that would do.
fn fitting(decision: &Decision, call: &Recorded, shape: &Record) -> Vec<Steps> {
    if !matches!(
        decision.code,
        Some(Code::ArgumentsInvalid | Code::PolicyLimit)
    ) {
        return Vec::new();
    }
    let sent = serde_json::from_str(&call.arguments);
    let mended: Steps = match sent {
        Ok(serde_json::Value::Object(sent)) => shape
            .misfits(&sent)
            .into_iter()
            .map(|(name, to)| Step::Argument {
                path: vec![name],
                to,
                so_that: "it fits the tool's schema".to_owned(),
            })
            .collect(),
        _ => Vec::new(),
    };
    let least = vec![Step::Arguments(shape.example())];
    [mended, least]
        .into_iter()
        .filter(|steps| !steps.is_empty())
        .collect()
}

/// Without the policies that forbid it, and with one that permits it: a change of the bundle where none of the call will do.
fn of_the_bundle(bundle: &Bundle, call: &Recorded) -> Option<Remedy> {
    call.ask(|asked| {
        let weighed = weigh(bundle, asked).ok()?;
        if weighed.decision.outcome == Outcome::Allow {
            return None;
        }
        let mut steps = Vec::new();
        let mut sorted = weighed.sorted.clone();
        let against: Vec<String> = sorted
            .forbids
            .drain(..)
            .chain(sorted.failed_forbids.drain(..))
            .map(|rule| rule.marks.id.clone())
            .collect();
        if !against.is_empty() {
            steps.push(Step::Without { policies: against });
        }
        let permit = permit(call);
        let rules = rules(&permit);
        if sorted.permits.is_empty() && sorted.soft_permits.is_empty() {
            sorted.permits.push(rules.first()?);
            steps.push(permit);
        }
        // At most the duties, then the approvals are still open.
        let mut changed = call.clone();
        for _ in 0..3 {
            let decision = changed.ask(|asked| outcome(&sorted, &asked.question()));
            if decision.outcome == Outcome::Allow {
                return Some(Remedy { steps });
            }
            let next = dischargeable(&sorted, &decision).into_iter().next()?;
            let discharged = Remedy { steps: next };
            changed = discharged.apply(&changed)?;
            steps.extend(discharged.steps);
        }
        None
    })
}

/// A permit for exactly this agent and tool.
fn permit(call: &Recorded) -> Step {
    let agent = call.agent.as_str();
    let tool = call.tool.to_string();
    let id: String = format!("permit/{agent}/{tool}")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-/".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(128)
        .collect();
    let action = tool.escape_debug();
    Step::Permit {
        cedar: format!(
            "@id(\"{id}\")\n@reason(\"Say why this agent may do this.\")\npermit (\n  principal == Bailiwick::Agent::\"{}\",\n  action == Bailiwick::Action::\"{action}\",\n  resource\n);\n",
            agent.escape_debug(),
        ),
        what: format!("{tool} ({}) to agent {agent}", call.effect),
    }
}

fn rules(permit: &Step) -> Vec<Rule> {
    let Step::Permit { cedar, .. } = permit else {
        return Vec::new();
    };
    let source = BundleSource {
        files: [("permit.cedar".to_owned(), cedar.clone())].into(),
    };
    load::rules(&source, &mut Vec::new(), &mut |_, _| {})
}
