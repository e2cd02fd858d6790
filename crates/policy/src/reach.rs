//! What policy would say to a tool whatever the arguments: the question behind what somebody *could* have done.
//!
//! A policy that reads no argument says the same to every call of the tool. One that does may be satisfied or not, unless a condition
//! beside it already fails: its decision is open. Where all that is open leads to the same outcome, that is the answer.

use std::collections::BTreeSet;

use bailiwick_core::decision::Outcome;
use cedar_policy_core::ast::{Expr, ExprKind, Value, Var};
use serde::Serialize;

use crate::annotation::Token;
use crate::bundle::Bundle;
use crate::call::Call;
use crate::clause::{Verdict, evaluate};
use crate::decide::{Known, MAX_CANDIDATES, Sorted, of};
use crate::outcome::outcome;
use crate::recorded::Recorded;
use crate::rule::Rule;
use crate::shape::Record;

/// How far a tool can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Every call is denied.
    Deny,
    /// Every call waits for a person.
    StepUp,
    /// It depends on the arguments.
    Depends,
    /// Every call is allowed.
    Allow,
}

impl Bundle {
    /// What it says to calls of a tool whatever their arguments; those of `call` are not looked at.
    pub fn reach(&self, call: &Recorded) -> Reach {
        call.ask(|call| reach(self, call))
    }
}

fn reach(bundle: &Bundle, call: &Call<'_>) -> Reach {
    let Ok(known) = Known::new(bundle, call) else {
        return Reach::Deny;
    };
    let candidates = known.candidates(bundle, call);
    if candidates.len() > MAX_CANDIDATES {
        return Reach::Deny;
    }
    // Policy does not see arguments that the tool's definition does not name: to it they are absent in every call.
    let arguments = &known.tool.arguments;
    let nothing: [(&str, Value); 0] = [];
    let evaluator = known.evaluator(bundle, call, Some(Value::record(nothing, None)));
    let reads_arguments = |expression: &Expr| reads(expression, arguments);
    let mut settled = Sorted::default();
    let mut open: [Vec<&Rule>; KINDS] = Default::default();
    for rule in of(bundle, &candidates) {
        if rule.marks.observed {
            continue;
        }
        let reads = rule.clause.body.as_deref().is_some_and(reads_arguments);
        let fails = || {
            rule.conjuncts()
                .filter(|conjunct| !reads_arguments(&conjunct.expression))
                .any(|conjunct| evaluate(&conjunct.expression, &evaluator) == Verdict::NotSatisfied)
        };
        let lapsed = rule.marks.expires.is_some_and(|at| call.now >= at);
        let action = &known.tool.action;
        if !reads || rule.broken.at(action) || lapsed {
            settled.put(rule, rule.verdict(action, call.now, &evaluator));
        } else if fails() {
            settled.put(rule, Verdict::NotSatisfied);
        } else if let Some(kind) = open.get_mut(kind(rule)) {
            kind.push(rule);
        }
    }
    // What follows depends on a policy only by its kind, so it is enough to take all or none of each.
    let mut outcomes = BTreeSet::new();
    for chosen in 0..1_u32 << KINDS {
        let mut sorted = settled.clone();
        for (at, rules) in open.iter().enumerate() {
            let satisfied = chosen >> at & 1 == 1;
            for rule in rules {
                let verdict = if satisfied {
                    Verdict::Satisfied
                } else {
                    Verdict::NotSatisfied
                };
                sorted.put(rule, verdict);
            }
        }
        outcomes.insert(outcome(&sorted, &call.question()).outcome.as_str());
    }
    match (outcomes.len(), outcomes.first().copied()) {
        (1, Some(one)) if one == Outcome::Allow.as_str() => Reach::Allow,
        (1, Some(one)) if one == Outcome::StepUp.as_str() => Reach::StepUp,
        (1, _) => Reach::Deny,
        _ => Reach::Depends,
    }
}

/// Hard and soft permits, hard forbids, forbids that ask a person, forbids that demand a duty.
const KINDS: usize = 5;

fn kind(rule: &Rule) -> usize {
    match (rule.is_permit(), &rule.marks.token) {
        (true, None) => 0,
        (true, Some(_)) => 1,
        (false, None) => 2,
        (false, Some(Token::Approval(_))) => 3,
        (false, Some(Token::Duty(_))) => 4,
    }
}

/// Whether what an expression says depends on an argument that the tool has, or on what is known of arguments.
fn reads(expression: &Expr, arguments: &Record) -> bool {
    let all = |expression: &Expr| reads(expression, arguments);
    match expression.expr_kind() {
        ExprKind::Var(Var::Context) => true,
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
            if is_member(expr, "input") {
                return arguments.fields.contains_key(attr.as_str());
            }
            if is_member(expr, "bw") {
                return OF_ARGUMENTS.contains(&attr.as_str());
            }
            match expr.expr_kind() {
                ExprKind::Var(Var::Context) => attr.as_str() == "input",
                _ => all(expr),
            }
        }
        ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. }
        | ExprKind::UnaryApp { arg: expr, .. } => all(expr),
        ExprKind::BinaryApp { arg1, arg2, .. } => all(arg1) || all(arg2),
        ExprKind::And { left, right } | ExprKind::Or { left, right } => all(left) || all(right),
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => all(test_expr) || all(then_expr) || all(else_expr),
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().any(all),
        ExprKind::Set(elements) => elements.iter().any(all),
        ExprKind::Record(members) => members.values().any(all),
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => false,
    }
}

/// Whether it is this member of `context`.
fn is_member(expression: &Expr, name: &str) -> bool {
    match expression.expr_kind() {
        ExprKind::GetAttr { expr, attr } => {
            attr.as_str() == name && matches!(expr.expr_kind(), ExprKind::Var(Var::Context))
        }
        _ => false,
    }
}

/// Facts that arguments make.
const OF_ARGUMENTS: [&str; 4] = ["arg_effects", "first_use", "items", "provenance"];
