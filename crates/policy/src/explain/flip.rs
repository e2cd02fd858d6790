//! What would make a condition say the opposite: alternatives, each a list of steps that are all needed. They are suggestions; the
//! search tries them.

mod lever;

use bailiwick_core::zone::Zone;
use cedar_policy_core::ast::{
    BinaryOp, Expr, ExprKind, Literal, Pattern, PatternElem, SlotEnv, UnaryOp, Value, ValueKind,
};
use cedar_policy_core::evaluator::Evaluator;
use serde_json::json;

use super::step::Step;
use crate::clause::{Verdict, evaluate};
use crate::recorded::Recorded;
use crate::shape::Record;
use crate::work::path;
use crate::workflow::Workflows;
use lever::{argument, names};

/// A condition has at most this many alternatives.
const MAX_ALTERNATIVES: usize = 12;
/// A text that stands for any other: nothing known is like it.
const ANOTHER: &str = "x";

/// Steps that are all needed.
pub(super) type Steps = Vec<Step>;

/// Everything that alternatives are made from.
pub(super) struct Flip<'a> {
    pub(super) call: &'a Recorded,
    pub(super) arguments: &'a Record,
    pub(super) workflows: &'a Workflows,
    pub(super) evaluator: &'a Evaluator<'a>,
    /// In which the bundle tells the hour.
    pub(super) zone: &'a Zone,
}

impl Flip<'_> {
    /// What would make the condition say `want`. Empty: nothing is known that would.
    pub(super) fn to(&self, condition: &Expr, want: bool) -> Vec<Steps> {
        let now = evaluate(condition, self.evaluator);
        let already = if want {
            Verdict::Satisfied
        } else {
            Verdict::NotSatisfied
        };
        if now == already {
            return vec![Vec::new()];
        }
        let mut alternatives = self.alternatives(condition, want);
        alternatives.truncate(MAX_ALTERNATIVES);
        alternatives
    }

    fn alternatives(&self, condition: &Expr, want: bool) -> Vec<Steps> {
        if let Some(path) = path(condition) {
            return self.set(&path, &Value::from(want));
        }
        match condition.expr_kind() {
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => self.to(arg, !want),
            ExprKind::UnaryApp {
                op: UnaryOp::IsEmpty,
                arg,
            } if want => path(arg).map_or_else(Vec::new, |path| self.emptied(&path)),
            ExprKind::And { left, right } if want => {
                product(&self.to(left, true), &self.to(right, true))
            }
            ExprKind::Or { left, right } if !want => {
                product(&self.to(left, false), &self.to(right, false))
            }
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                either(self.to(left, want), self.to(right, want))
            }
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => either(
                product(&self.to(test_expr, true), &self.to(then_expr, want)),
                product(&self.to(test_expr, false), &self.to(else_expr, want)),
            ),
            ExprKind::HasAttr { expr, attr } => self.presence(expr, &[attr.to_string()], want),
            ExprKind::ExtHasAttr { expr, attrs } => {
                let attributes: Vec<String> = attrs.iter().map(ToString::to_string).collect();
                self.presence(expr, &attributes, want)
            }
            ExprKind::Like { expr, pattern } => path(expr).map_or_else(Vec::new, |path| {
                let texts = if want {
                    vec![like(pattern, ""), like(pattern, ANOTHER)]
                } else {
                    vec![ANOTHER.to_owned(), String::new()]
                };
                self.one_of(&path, texts.into_iter().map(Value::from), !want)
            }),
            ExprKind::BinaryApp { op, arg1, arg2 } => self.comparison(*op, arg1, arg2, want),
            ExprKind::ExtensionFunctionApp { args, .. } => {
                // Comparisons of decimals: at the bound, below, above.
                let fact = args.first().and_then(path);
                let bound = args.get(1).and_then(decimal);
                match (fact, bound) {
                    (Some(fact), Some(bound)) => [bound, bound - 1, bound + 1]
                        .into_iter()
                        .filter_map(|bound| argument(&fact, Some(json!(bound))))
                        .map(|step| vec![step])
                        .collect(),
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    fn comparison(&self, op: BinaryOp, one: &Expr, other: &Expr, want: bool) -> Vec<Steps> {
        let (fact, side, turned) = match (path(one), path(other)) {
            // Of two facts the first is set to the second.
            (Some(fact), _) => (fact, other, false),
            (None, Some(fact)) => (fact, one, true),
            (None, None) => return Vec::new(),
        };
        let Ok(value) = self.evaluator.interpret(side, &SlotEnv::default()) else {
            return Vec::new();
        };
        match op {
            BinaryOp::Eq if want => self.set(&fact, &value),
            BinaryOp::Eq => self.one_of(&fact, self.others(&fact, &value), true),
            BinaryOp::Less | BinaryOp::LessEq => {
                let ValueKind::Lit(Literal::Long(bound)) = value.value else {
                    return Vec::new();
                };
                let strict = op == BinaryOp::Less;
                // fact < bound, fact <= bound; turned: bound < fact, bound <= fact.
                let number = match (turned, want) {
                    (false, true) => bound.checked_sub(i64::from(strict)),
                    (false, false) => bound.checked_add(i64::from(!strict)),
                    (true, true) => bound.checked_add(i64::from(strict)),
                    (true, false) => bound.checked_sub(i64::from(!strict)),
                };
                number.map_or_else(Vec::new, |number| {
                    self.one_of(&fact, [Value::from(number)], !want)
                })
            }
            BinaryOp::Contains if turned => {
                // `[…].contains(fact)`.
                let ValueKind::Set(set) = &value.value else {
                    return Vec::new();
                };
                let members = set.authoritative.iter();
                if want {
                    self.one_of(&fact, members.cloned(), false)
                } else {
                    let others = members.flat_map(|member| self.others(&fact, member));
                    self.one_of(&fact, others, true)
                }
            }
            BinaryOp::Contains => self.membership(&fact, &[value], want),
            BinaryOp::ContainsAll | BinaryOp::ContainsAny if !turned => match &value.value {
                ValueKind::Set(set) => {
                    let members: Vec<Value> = set.authoritative.iter().cloned().collect();
                    let all = (op == BinaryOp::ContainsAll) == want;
                    if all {
                        self.membership(&fact, &members, want)
                    } else {
                        let each = members.iter().flat_map(|member| {
                            self.membership(&fact, std::slice::from_ref(member), want)
                        });
                        each.collect()
                    }
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// The fact is one of these values, each an alternative; or, if it may be, absent.
    fn one_of(
        &self,
        fact: &[String],
        values: impl IntoIterator<Item = Value>,
        or_absent: bool,
    ) -> Vec<Steps> {
        let mut alternatives: Vec<Steps> = values
            .into_iter()
            .flat_map(|value| self.set(fact, &value))
            .collect();
        if or_absent {
            alternatives.extend(self.absent(fact));
        }
        alternatives
    }

    /// Values that are not this one.
    fn others(&self, fact: &[String], value: &Value) -> Vec<Value> {
        let task = names(fact);
        match (&*task, &value.value) {
            (["bw", "task", "stage"], _) => {
                let workflow = self.workflows.named(&self.call.task.workflow);
                let stages = workflow.into_iter().flat_map(|workflow| &workflow.stages);
                let stages = stages.map(|stage| Value::from(stage.name.as_str()));
                let stages: Vec<Value> = stages.filter(|stage| stage != value).collect();
                if stages.is_empty() {
                    vec![Value::from(ANOTHER)]
                } else {
                    stages
                }
            }
            (["bw", "task", "requested_by"], _) => ["user", "orchestrator", "agent"]
                .map(Value::from)
                .into_iter()
                .filter(|source| source != value)
                .collect(),
            (_, ValueKind::Lit(Literal::Bool(is))) => vec![Value::from(!is)],
            (_, ValueKind::Lit(Literal::Long(number))) => {
                let near = [number.checked_sub(1), number.checked_add(1)];
                near.into_iter().flatten().map(Value::from).collect()
            }
            (_, ValueKind::Lit(Literal::String(text))) => {
                let other = if text == ANOTHER { "y" } else { ANOTHER };
                vec![Value::from(other)]
            }
            (_, ValueKind::Set(_)) => vec![Value::empty_set(None)],
            _ => Vec::new(),
        }
    }
}

/// Both are needed.
pub(super) fn product(one: &[Steps], other: &[Steps]) -> Vec<Steps> {
    let pairs = one
        .iter()
        .flat_map(|first| other.iter().map(move |second| merged(first, second)));
    pairs.take(MAX_ALTERNATIVES).collect()
}

/// The later steps after the earlier ones, which they replace where both set the same.
pub(super) fn merged(earlier: &[Step], later: &[Step]) -> Steps {
    let kept = earlier
        .iter()
        .filter(|step| !later.iter().any(|later| later.replaces(step)));
    kept.chain(later).cloned().collect()
}

fn either(mut one: Vec<Steps>, other: Vec<Steps>) -> Vec<Steps> {
    one.extend(other);
    one
}

/// A text that the pattern matches.
fn like(pattern: &Pattern, wildcard: &str) -> String {
    let mut text = String::new();
    for element in pattern.get_elems() {
        match element {
            PatternElem::Char(character) => text.push(*character),
            PatternElem::Wildcard => text.push_str(wildcard),
        }
    }
    text
}

/// The whole part of a decimal that is written out.
fn decimal(expression: &Expr) -> Option<i64> {
    let ExprKind::ExtensionFunctionApp { args, .. } = expression.expr_kind() else {
        return None;
    };
    let ExprKind::Lit(Literal::String(text)) = args.first()?.expr_kind() else {
        return None;
    };
    let whole: i64 = text.split('.').next()?.parse().ok()?;
    (-1_000_000_000..1_000_000_000)
        .contains(&whole)
        .then_some(whole)
}
