//! One policy, compiled: its scope as data, its body as an expression, and what its annotations make of it.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bailiwick_core::Timestamp;
use cedar_policy_core::ast::{
    ActionConstraint, Effect, Entity, EntityReference, EntityUID, Expr, ExprKind, Literal,
    PrincipalOrResourceConstraint, SlotEnv, Template, Value, ValueKind,
};
use cedar_policy_core::entities::{Dereference, Entities};
use cedar_policy_core::evaluator::Evaluator;

use crate::annotation::Marks;

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) marks: Marks,
    pub(crate) effect: Effect,
    /// File and byte range.
    pub(crate) file: String,
    pub(crate) span: Range<usize>,
    pub(crate) template: Arc<Template>,
    /// Calls for which it does not fit the schema.
    pub(crate) broken: Broken,
    body: Option<Arc<Expr>>,
    conjuncts: Vec<Conjunct>,
}

/// For which actions a policy does not validate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    Nowhere,
    At(HashSet<EntityUID>),
    Everywhere,
}

/// One top-level condition.
#[derive(Debug)]
pub(crate) struct Conjunct {
    pub(crate) text: String,
    pub(crate) expression: Arc<Expr>,
}

/// What a policy says to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Satisfied,
    NotSatisfied,
    /// It could not be evaluated, or does not fit the schema.
    Failed,
}

impl Rule {
    pub(crate) fn new(marks: Marks, file: &str, template: Arc<Template>) -> Self {
        let mut conjuncts = Vec::new();
        if let Some(body) = template.non_scope_constraints_arc() {
            split(body, &mut conjuncts);
        }
        Self {
            effect: template.effect(),
            file: file.to_owned(),
            span: template.loc().map_or(0..0, |loc| loc.start()..loc.end()),
            body: template.non_scope_constraints_arc().cloned(),
            broken: Broken::Nowhere,
            marks,
            template,
            conjuncts,
        }
    }

    /// Whether the scope clauses (principal, action, resource) reach the call. They cannot fail.
    pub(crate) fn reaches(&self, call: &Call<'_>) -> bool {
        let action = match self.template.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(wanted) => **wanted == *call.action.uid,
            ActionConstraint::In(wanted) => wanted.iter().any(|wanted| call.action.is_in(wanted)),
        };
        action
            && call
                .principal
                .fits(self.template.principal_constraint().as_inner())
            && call
                .resource
                .fits(self.template.resource_constraint().as_inner())
    }

    /// What the body says to a call that the scope reaches.
    pub(crate) fn verdict(&self, call: &Call<'_>, evaluator: &Evaluator<'_>) -> Verdict {
        let broken = match &self.broken {
            Broken::Nowhere => false,
            Broken::At(actions) => actions.contains(call.action.uid),
            Broken::Everywhere => true,
        };
        if broken {
            return Verdict::Failed;
        }
        if self.marks.expires.is_some_and(|at| call.now >= at) {
            return Verdict::NotSatisfied;
        }
        self.body
            .as_ref()
            .map_or(Verdict::Satisfied, |body| evaluate(body, evaluator))
    }

    /// The top-level conditions, with what each says. One that fails because an earlier one does not hold counts as not
    /// holding.
    pub(crate) fn conjuncts<'a>(
        &'a self,
        evaluator: &'a Evaluator<'_>,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        self.conjuncts.iter().map(|conjunct| {
            let holds = evaluate(&conjunct.expression, evaluator) == Verdict::Satisfied;
            (conjunct.text.as_str(), holds)
        })
    }

    pub(crate) fn is_permit(&self) -> bool {
        self.effect == Effect::Permit
    }
}

/// The three entities of a request, with their ancestors, and the time.
pub(crate) struct Call<'a> {
    pub(crate) principal: Party<'a>,
    pub(crate) action: Party<'a>,
    pub(crate) resource: Party<'a>,
    pub(crate) now: Timestamp,
}

/// One entity of a request.
pub(crate) struct Party<'a> {
    pub(crate) uid: &'a EntityUID,
    entity: Option<&'a Entity>,
}

impl<'a> Party<'a> {
    pub(crate) fn of(uid: &'a EntityUID, entities: &'a Entities) -> Self {
        let entity = match entities.entity(uid) {
            Dereference::Data(entity) => Some(entity),
            Dereference::NoSuchEntity | Dereference::Residual(_) => None,
        };
        Self { uid, entity }
    }

    /// Whether the registry knows it.
    pub(crate) fn is_known(&self) -> bool {
        self.entity.is_some()
    }

    fn is_in(&self, group: &EntityUID) -> bool {
        self.uid == group
            || self
                .entity
                .is_some_and(|entity| entity.is_descendant_of(group))
    }

    fn fits(&self, constraint: &PrincipalOrResourceConstraint) -> bool {
        let named = |reference: &EntityReference, test: &dyn Fn(&EntityUID) -> bool| match reference
        {
            EntityReference::EUID(uid) => test(uid),
            // Templates are refused at load.
            EntityReference::Slot(_) => false,
        };
        match constraint {
            PrincipalOrResourceConstraint::Any => true,
            PrincipalOrResourceConstraint::Eq(one) => named(one, &|uid| self.uid == uid),
            PrincipalOrResourceConstraint::In(group) => named(group, &|uid| self.is_in(uid)),
            PrincipalOrResourceConstraint::Is(kind) => self.uid.entity_type() == &**kind,
            PrincipalOrResourceConstraint::IsIn(kind, group) => {
                self.uid.entity_type() == &**kind && named(group, &|uid| self.is_in(uid))
            }
        }
    }
}

fn evaluate(expression: &Expr, evaluator: &Evaluator<'_>) -> Verdict {
    match evaluator.interpret(expression, &SlotEnv::default()) {
        Ok(Value {
            value: ValueKind::Lit(Literal::Bool(true)),
            ..
        }) => Verdict::Satisfied,
        Ok(Value {
            value: ValueKind::Lit(Literal::Bool(false)),
            ..
        }) => Verdict::NotSatisfied,
        _ => Verdict::Failed,
    }
}

fn split(expression: &Arc<Expr>, conjuncts: &mut Vec<Conjunct>) {
    match expression.expr_kind() {
        ExprKind::And { left, right } => {
            split(left, conjuncts);
            split(right, conjuncts);
        }
        // An empty `when` list reads as `true`; it explains nothing.
        ExprKind::Lit(Literal::Bool(true)) => {}
        _ => {
            let snippet = expression.source_loc().and_then(|loc| loc.snippet());
            let written = snippet.map_or_else(|| expression.to_string(), str::to_owned);
            conjuncts.push(Conjunct {
                text: written.split_whitespace().collect::<Vec<_>>().join(" "),
                expression: Arc::clone(expression),
            });
        }
    }
}
