//! The ways that lead to a permission, and those that stand against it.

use std::collections::HashMap;

use bailiwick_core::name::ToolRef;
use bailiwick_core::{Effect, Timestamp};
use cedar_policy_core::ast::{BinaryOp, Context, Expr, ExprKind, Request, UnaryOp, Var};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use serde::{Deserialize, Serialize};

use super::Pair;
use crate::annotation::Token;
use crate::bundle::Bundle;
use crate::clause::{Verdict, evaluate};
use crate::parties::known;
use crate::rule::{Broken, Rule};

/// What leads to a permission and what stands against it. No permits: there is no way to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    /// One of these must hold.
    pub permits: Vec<Way>,
    /// None of these may hold; with `needs`, unless that is done.
    pub forbids: Vec<Way>,
}

/// One policy, as far as it concerns an agent and a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The policy.
    pub policy: String,
    /// What the call must fulfil for it to apply, in Cedar; empty: every call does.
    pub conditions: Vec<String>,
    /// `approval:<who>`, or the duty that goes with it.
    pub needs: Option<String>,
    /// How many people must agree.
    pub quorum: u32,
    /// For how many seconds their yes can be used.
    pub valid_s: u64,
    /// How many more calls alike one answer may be for.
    #[serde(default)]
    pub standing: u32,
    /// From then on it does not count.
    pub expires: Option<Timestamp>,
    /// It may fail to be evaluated: a forbid that fails denies, a permit that fails does not count.
    pub can_fail: bool,
}

/// Numbers for what policies say, so that equal ones of two bundles are found without comparing text each time.
#[derive(Default)]
pub(super) struct Fingerprints(HashMap<String, u32>);

/// One bundle of the two.
pub(super) struct Side<'a> {
    pub(super) bundle: &'a Bundle,
    /// Of each rule; none for one in observe mode.
    prints: Vec<Option<u32>>,
}

impl Fingerprints {
    pub(super) fn side<'a>(&mut self, bundle: &'a Bundle) -> Side<'a> {
        let prints = bundle.rules.iter().map(|rule| {
            if rule.marks.observed {
                return None;
            }
            let marks = &rule.marks;
            let body = rule.clause.body.as_ref().map(ToString::to_string);
            let broken = match &rule.broken {
                Broken::Nowhere => String::new(),
                other => format!("{}{other:?}", marks.id),
            };
            let says = format!(
                "{} {:?} {} {} {} {:?} {broken} {body:?}",
                rule.is_permit(),
                marks.token,
                marks.quorum,
                marks.valid_s,
                marks.standing,
                marks.expires,
            );
            let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
            Some(*self.0.entry(says).or_insert(next))
        });
        Side {
            bundle,
            prints: prints.collect(),
        }
    }
}

impl Side<'_> {
    /// The ways on both sides, unless the same policies reach the calls.
    pub(super) fn differs(
        &self,
        new: &Self,
        call: (&ToolRef, Effect),
        before: Pair<'_>,
        after: Pair<'_>,
    ) -> Option<(Access, Access)> {
        let (mine, theirs) = (
            self.reach(call, before).unwrap_or_default(),
            new.reach(call, after).unwrap_or_default(),
        );
        (self.said(&mine) != new.said(&theirs)).then(|| {
            (
                self.access(&mine, call, before),
                new.access(&theirs, call, after),
            )
        })
    }

    /// Numbers of the rules whose scope reaches calls of this kind.
    fn reach(
        &self,
        (tool, effect): (&ToolRef, Effect),
        (agent, known): Pair<'_>,
    ) -> Option<Vec<u32>> {
        let server = self.bundle.parties.servers.get(&tool.server)?;
        let keys = known.keys.of(effect);
        Some(
            self.bundle
                .index
                .candidates(&agent.keys, keys, &server.keys),
        )
    }

    fn said(&self, rules: &[u32]) -> Vec<u32> {
        let mut said: Vec<u32> = rules
            .iter()
            .filter_map(|&rule| self.prints.get(rule as usize).copied().flatten())
            .collect();
        said.sort_unstable();
        said.dedup();
        said
    }

    fn access(
        &self,
        rules: &[u32],
        (tool, effect): (&ToolRef, Effect),
        (agent, known_tool): Pair<'_>,
    ) -> Access {
        let Some(server) = self.bundle.parties.servers.get(&tool.server) else {
            return Access::default();
        };
        let evaluator = Evaluator::new(
            Request::new_unchecked(
                known(&agent.uid),
                known(&known_tool.action),
                known(&server.uid),
                Some(Context::empty()),
            ),
            self.bundle.world.of(effect),
            Extensions::all_available(),
        );
        let mut access = Access::default();
        for rule in rules
            .iter()
            .filter_map(|&rule| self.bundle.rules.get(rule as usize))
            .filter(|rule| !rule.marks.observed)
        {
            let Some(way) = Way::of(rule, known_tool, &evaluator) else {
                continue;
            };
            let list = if rule.is_permit() {
                &mut access.permits
            } else {
                &mut access.forbids
            };
            list.push(way);
        }
        access.closed()
    }
}

impl Access {
    /// With nothing in it if nothing can be let through.
    fn closed(self) -> Self {
        let barred = self
            .forbids
            .iter()
            .any(|way| way.conditions.is_empty() && way.needs.is_none());
        if barred || self.permits.is_empty() {
            Self::default()
        } else {
            self
        }
    }
}

impl Way {
    /// None if the policy cannot apply to any call of this agent and tool.
    fn of(
        rule: &Rule,
        tool: &crate::parties::CompiledTool,
        evaluator: &Evaluator<'_>,
    ) -> Option<Self> {
        let marks = &rule.marks;
        let mut way = Self {
            policy: marks.id.clone(),
            conditions: Vec::new(),
            needs: marks.token.as_ref().map(Token::text),
            quorum: marks.quorum,
            valid_s: marks.valid_s,
            standing: marks.standing,
            expires: marks.expires,
            can_fail: false,
        };
        if rule.broken.at(&tool.action) {
            // It fails for every call: a permit leads nowhere, a forbid denies whatever is discharged.
            way.needs = None;
            return (!rule.is_permit()).then_some(way);
        }
        for conjunct in rule.conjuncts().map(|conjunct| &*conjunct.expression) {
            let fails = is_fallible(conjunct);
            if asks_about_the_call(conjunct) {
                way.conditions.push(conjunct.to_string());
                way.can_fail |= fails;
                continue;
            }
            match evaluate(conjunct, evaluator) {
                Verdict::Satisfied => {}
                // Before it stands nothing that fails, so a forbid ends here as well.
                Verdict::NotSatisfied if rule.is_permit() || !way.can_fail => return None,
                Verdict::Failed if rule.is_permit() => return None,
                failed => {
                    way.conditions.push(conjunct.to_string());
                    way.can_fail |= fails || failed == Verdict::Failed;
                }
            }
        }
        Some(way)
    }
}

/// Whether its value depends on the call.
fn asks_about_the_call(expression: &Expr) -> bool {
    expression
        .subexpressions()
        .any(|part| matches!(part.expr_kind(), ExprKind::Var(Var::Context)))
}

/// Whether it can fail although it fits the schema: arithmetic overflows, and a decimal or an address is read from text.
fn is_fallible(expression: &Expr) -> bool {
    expression.subexpressions().any(|part| {
        matches!(
            part.expr_kind(),
            ExprKind::BinaryApp {
                op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::GetTag,
                ..
            } | ExprKind::UnaryApp {
                op: UnaryOp::Neg,
                ..
            } | ExprKind::ExtensionFunctionApp { .. }
        )
    })
}
