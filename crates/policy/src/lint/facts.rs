//! Conditions that cannot hold, whatever the call: on values that a fact never has, or on several at once.

use std::collections::BTreeMap;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp};

use super::{Found, Subject};
use crate::flaw::FlawCode;
use crate::nearest::nearest;
use crate::rule::Rule;
use crate::work::path;

/// What is known of one fact from the conditions so far.
#[derive(Debug, Clone)]
enum Known {
    /// From the first to the second, both included.
    Between(i64, i64),
    Is(String),
}

/// Whether nothing was found: then there may be a reason that is not ours to name.
pub(super) fn lint(subject: &Subject<'_>, rule: &Rule, found: &mut Found) -> bool {
    let mut known: BTreeMap<Vec<String>, Known> = BTreeMap::new();
    for conjunct in rule.conjuncts() {
        let expression = &conjunct.expression;
        let problem = match expression.expr_kind() {
            ExprKind::Lit(Literal::Bool(false)) => Some((
                "it is always false".to_owned(),
                "remove the policy, or this condition".to_owned(),
            )),
            _ => word(subject, expression).or_else(|| number(expression, &mut known)),
        };
        let problem = problem.or_else(|| contradiction(expression, &mut known));
        if let Some((why, help)) = problem {
            let message = format!(
                "policy `{}` never applies, for this cannot hold: {why}",
                rule.marks.id
            );
            let flaw = subject.within(rule, expression, message, FlawCode::NeverApplies);
            found.idle(rule, flaw.help(help));
            return false;
        }
    }
    true
}

/// `fact == "word"` where the fact has no such value.
fn word(subject: &Subject<'_>, expression: &Expr) -> Option<(String, String)> {
    let (fact, word) = equals_text(expression)?;
    let names: Vec<&str> = fact.iter().map(String::as_str).collect();
    let (what, words): (&str, Vec<String>) = match &*names {
        ["bw", "task", "stage"] => (
            "stage",
            subject
                .workflows
                .iter()
                .flat_map(|workflow| &workflow.stages)
                .map(|stage| stage.name.to_string())
                .collect(),
        ),
        ["bw", "task", "workflow"] => (
            "workflow",
            subject
                .workflows
                .iter()
                .map(|one| one.name.to_string())
                .collect(),
        ),
        ["bw", "task", "requested_by"] => (
            "source of a request",
            owned(&["user", "orchestrator", "agent"]),
        ),
        ["bw", "effect"] => ("effect", owned(&["read", "write", "escalate"])),
        _ => return None,
    };
    if words.contains(&word) {
        return None;
    }
    let help = nearest(&word, words.iter().map(String::as_str), 2).map_or_else(
        || format!("there is {}", words.join(", ")),
        |known| format!("did you mean {known:?}?"),
    );
    Some((format!("there is no {what} {word:?}"), help))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A comparison with a number that leaves nothing of what the fact can be, with what was said of it before.
fn number(expression: &Expr, known: &mut BTreeMap<Vec<String>, Known>) -> Option<(String, String)> {
    let (fact, low, high) = range(expression)?;
    let (least, most) = domain(&fact);
    let entry = known
        .entry(fact.clone())
        .or_insert(Known::Between(least, most));
    let Known::Between(least_left, most_left) = entry else {
        return None;
    };
    let (low, high) = (low.max(*least_left), high.min(*most_left));
    if low <= high {
        (*least_left, *most_left) = (low, high);
        return None;
    }
    let name = fact.join(".");
    let why = if (*least_left, *most_left) == (least, most) {
        format!("`context.{name}` is {least} to {most}")
    } else {
        format!("another condition leaves `context.{name}` only {least_left} to {most_left}")
    };
    Some((why, "correct one of the numbers".to_owned()))
}

/// `fact == "a" && fact == "b"`.
fn contradiction(
    expression: &Expr,
    known: &mut BTreeMap<Vec<String>, Known>,
) -> Option<(String, String)> {
    let (fact, word) = equals_text(expression)?;
    match known.get(&fact) {
        Some(Known::Is(other)) if *other != word => Some((
            format!(
                "another condition says that `context.{}` is {other:?}",
                fact.join(".")
            ),
            "to allow several, write [..].contains(..), or one policy for each".to_owned(),
        )),
        Some(_) => None,
        None => {
            known.insert(fact, Known::Is(word));
            None
        }
    }
}

/// `context… == "text"`, either way round.
fn equals_text(expression: &Expr) -> Option<(Vec<String>, String)> {
    let ExprKind::BinaryApp {
        op: BinaryOp::Eq,
        arg1,
        arg2,
    } = expression.expr_kind()
    else {
        return None;
    };
    let text = |side: &Expr| match side.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => Some(text.to_string()),
        _ => None,
    };
    match (path(arg1), text(arg2)) {
        (Some(fact), Some(text)) => Some((fact, text)),
        _ => Some((path(arg2)?, text(arg1)?)),
    }
}

/// The numbers that a comparison of a fact lets through.
fn range(expression: &Expr) -> Option<(Vec<String>, i64, i64)> {
    match expression.expr_kind() {
        ExprKind::UnaryApp {
            op: UnaryOp::Not,
            arg,
        } => {
            // What is left of a range that is open on one side.
            match range(arg)? {
                (fact, i64::MIN, high) => Some((fact, high.checked_add(1)?, i64::MAX)),
                (fact, low, i64::MAX) => Some((fact, i64::MIN, low.checked_sub(1)?)),
                _ => None,
            }
        }
        ExprKind::BinaryApp { op, arg1, arg2 } => {
            let long = |side: &Expr| match side.expr_kind() {
                ExprKind::Lit(Literal::Long(number)) => Some(*number),
                _ => None,
            };
            let (fact, bound, turned) = match (path(arg1), long(arg2)) {
                (Some(fact), Some(bound)) => (fact, bound, false),
                _ => (path(arg2)?, long(arg1)?, true),
            };
            match (op, turned) {
                (BinaryOp::Eq, _) => Some((fact, bound, bound)),
                (BinaryOp::Less, false) => Some((fact, i64::MIN, bound.checked_sub(1)?)),
                (BinaryOp::LessEq, false) => Some((fact, i64::MIN, bound)),
                (BinaryOp::Less, true) => Some((fact, bound.checked_add(1)?, i64::MAX)),
                (BinaryOp::LessEq, true) => Some((fact, bound, i64::MAX)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What a fact can be.
fn domain(fact: &[String]) -> (i64, i64) {
    let names: Vec<&str> = fact.iter().map(String::as_str).collect();
    match &*names {
        ["bw", "task", "risk"] => (0, 3),
        ["bw", "now", "hour"] => (0, 23),
        ["bw", "now", "weekday"] => (0, 6),
        ["bw", "depth"] | ["bw", "task", _] => (0, i64::MAX),
        _ => (i64::MIN, i64::MAX),
    }
}
