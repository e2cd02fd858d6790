//! The conditions that made the difference, with the values they looked at.

use bailiwick_core::decision::Outcome;
use cedar_policy_core::ast::{Expr, ExprKind, Literal, SlotEnv, Value, ValueKind, Var};
use cedar_policy_core::evaluator::Evaluator;
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::call::Call;
use crate::decide::weigh;
use crate::rule::{Conjunct, Rule};

/// Of permits that were near, at most this many are named.
const MAX_PERMITS: usize = 3;
/// Texts are shown up to this many characters.
const MAX_SHOWN: usize = 80;
/// Of sets and records, at most this many members are shown.
const MAX_MEMBERS: usize = 8;

/// One condition of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// The policy.
    pub policy: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// File within the bundle.
    pub file: String,
    /// Line of the condition, or of the policy, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The condition as it is written; none if the policy has no condition: then its scope alone decides.
    pub clause: Option<String>,
    /// Whether it held; none if it could not be evaluated.
    pub holds: Option<bool>,
    /// What it looked at.
    pub values: Vec<Shown>,
}

/// A value that a condition looked at. Arguments are those that the caller sent; who the user is, is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// How policy names it, such as `context.input.path`.
    pub name: String,
    /// The value in Cedar's notation, cut to 80 characters; `absent` if there is none.
    pub value: String,
}

/// What stands behind a decision; nothing behind an allow, or where policies were not asked.
pub(super) fn because(bundle: &Bundle, call: &Call<'_>) -> Vec<Because> {
    let Ok(weighed) = weigh(bundle, call) else {
        return Vec::new();
    };
    let (sorted, evaluator) = (&weighed.sorted, &weighed.forms.sent);
    let held = |rule: &&Rule| of(rule, weighed.forms.of(rule), true);
    if weighed.decision.outcome == Outcome::Allow {
        return Vec::new();
    }
    if !sorted.forbids.is_empty() || !sorted.failed_forbids.is_empty() {
        let failed = sorted
            .failed_forbids
            .iter()
            .flat_map(|rule| of(rule, weighed.forms.of(rule), false));
        return sorted.forbids.iter().flat_map(held).chain(failed).collect();
    }
    if sorted.permits.is_empty() && sorted.soft_permits.is_empty() {
        let mut near: Vec<(&Rule, Vec<Because>)> = sorted
            .unsatisfied_permits
            .iter()
            .chain(&sorted.failed_permits)
            .map(|rule| (*rule, of(rule, evaluator, false)))
            .collect();
        near.sort_by(|(a, x), (b, y)| (x.len(), &a.marks.id).cmp(&(y.len(), &b.marks.id)));
        let near = near.into_iter().take(MAX_PERMITS);
        return near.flat_map(|(_, conditions)| conditions).collect();
    }
    let soft = sorted.soft_forbids.iter().chain(&sorted.soft_permits);
    let soft = soft.filter(|rule| {
        let reasons = &weighed.decision.reasons;
        reasons.iter().any(|reason| reason.source == rule.marks.id)
    });
    soft.flat_map(held).collect()
}

/// The conditions of a policy that hold, or those that do not.
fn of(rule: &Rule, evaluator: &Evaluator<'_>, hold: bool) -> Vec<Because> {
    let conditions: Vec<Because> = rule
        .conjuncts()
        .map(|conjunct| (conjunct, conjunct.holds(evaluator)))
        .filter(|(_, holds)| (*holds == Some(true)) == hold)
        .map(|(conjunct, holds)| Because {
            clause: Some(conjunct.text()),
            holds,
            values: values(&conjunct.expression, evaluator),
            ..placed(rule, conjunct)
        })
        .collect();
    if conditions.is_empty() && hold {
        return vec![whole(rule)];
    }
    conditions
}

fn whole(rule: &Rule) -> Because {
    Because {
        policy: rule.marks.id.clone(),
        permits: rule.is_permit(),
        file: rule.written.file.to_string(),
        line: rule.written.line,
        column: 1,
        clause: None,
        holds: Some(true),
        values: Vec::new(),
    }
}

fn placed(rule: &Rule, conjunct: &Conjunct) -> Because {
    let (line, column) = rule.place_of(conjunct);
    Because {
        line,
        column,
        ..whole(rule)
    }
}

/// What the expression looks at: attributes of principal, resource and context, each once.
fn values(expression: &Expr, evaluator: &Evaluator<'_>) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    attributes(expression, &mut |attribute| {
        let name = attribute.to_string();
        if found.iter().any(|shown| shown.name == name) {
            return;
        }
        let value = evaluator.interpret(attribute, &SlotEnv::default());
        let value = value.map_or_else(|_| "absent".to_owned(), |value| shown(&value));
        found.push(Shown { name, value });
    });
    found
}

/// Calls `visit` with the longest chains of attributes.
fn attributes(expression: &Expr, visit: &mut impl FnMut(&Expr)) {
    if is_attribute(expression) {
        visit(expression);
        return;
    }
    let mut all = |parts: &mut dyn Iterator<Item = &Expr>| {
        for part in parts {
            attributes(part, visit);
        }
    };
    match expression.expr_kind() {
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => all(&mut [test_expr, then_expr, else_expr]
            .into_iter()
            .map(|part| &**part)),
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            all(&mut [left, right].into_iter().map(|part| &**part));
        }
        ExprKind::BinaryApp { arg1, arg2, .. } => {
            all(&mut [arg1, arg2].into_iter().map(|part| &**part));
        }
        // Of `a has b` the value is that of `a.b`, if it is there.
        ExprKind::HasAttr { expr, attr } => {
            visit(&Expr::get_attr((**expr).clone(), attr.clone()));
        }
        ExprKind::UnaryApp { arg: expr, .. }
        | ExprKind::GetAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => attributes(expr, visit),
        ExprKind::ExtensionFunctionApp { args, .. } => all(&mut args.iter()),
        ExprKind::Set(elements) => all(&mut elements.iter()),
        ExprKind::Record(members) => all(&mut members.values()),
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => {}
    }
}

fn is_attribute(expression: &Expr) -> bool {
    match expression.expr_kind() {
        ExprKind::Var(Var::Principal | Var::Resource) => true,
        ExprKind::GetAttr { expr, .. } => {
            is_attribute(expr) || matches!(expr.expr_kind(), ExprKind::Var(Var::Context))
        }
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    match &value.value {
        // Who the user is stands in the record under a pseudonym.
        ValueKind::Lit(Literal::EntityUID(uid)) if is_user(&uid.entity_type().to_string()) => {
            "the user of the task".to_owned()
        }
        ValueKind::Lit(Literal::String(text)) => format!("{:?}", cut(text)),
        ValueKind::Set(set) => {
            let members = set.authoritative.iter().take(MAX_MEMBERS).map(shown);
            let more = if set.authoritative.len() > MAX_MEMBERS {
                ", …"
            } else {
                ""
            };
            format!("[{}{more}]", members.collect::<Vec<_>>().join(", "))
        }
        ValueKind::Record(members) => {
            let members = members.iter().take(MAX_MEMBERS);
            let members = members.map(|(name, value)| format!("{name}: {}", shown(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        ValueKind::Lit(_) | ValueKind::ExtensionValue(_) => cut(&value.to_string()),
    }
}

fn is_user(kind: &str) -> bool {
    kind == "Bailiwick::User"
}

fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(MAX_SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
