//! A policy as the evaluator needs it: effect, scope as data, body as an expression. Knows nothing of Bailiwick's schema.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy_core::ast::{
    ActionConstraint, Effect, EntityReference, EntityType, EntityUID, Expr, Literal,
    PrincipalOrResourceConstraint, SlotEnv, Template, Value, ValueKind,
};
use cedar_policy_core::evaluator::Evaluator;

/// A policy without its annotations.
#[derive(Debug)]
pub(crate) struct Clause {
    pub(crate) effect: Effect,
    pub(crate) scope: Scope,
    /// `when` and `unless` together; none is `true`.
    pub(crate) body: Option<Arc<Expr>>,
}

/// `(principal …, action …, resource …)`.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) principal: Bound,
    /// One of these.
    pub(crate) actions: Vec<Anchor>,
    pub(crate) resource: Bound,
}

/// What a scope says of principal or resource.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) anchor: Anchor,
    /// `is`.
    pub(crate) kind: Option<Arc<EntityType>>,
}

/// Where in the hierarchy an entity must stand.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Anchor {
    Any,
    /// `==`.
    Is(Arc<EntityUID>),
    /// `in`: it or a descendant of it.
    In(Arc<EntityUID>),
}

/// Entities that scopes name, each kept once: a bundle grows by policies about the same few hundred things.
#[derive(Debug, Default)]
pub(crate) struct Named(HashSet<Arc<EntityUID>>);

impl Named {
    fn share(&mut self, anchor: &mut Anchor) {
        let (Anchor::Is(uid) | Anchor::In(uid)) = anchor else {
            return;
        };
        match self.0.get(&**uid) {
            Some(known) => *uid = Arc::clone(known),
            None => drop(self.0.insert(Arc::clone(uid))),
        }
    }
}

impl Scope {
    /// Names what others name as well by the same entity.
    pub(crate) fn share(&mut self, named: &mut Named) {
        named.share(&mut self.principal.anchor);
        named.share(&mut self.resource.anchor);
        self.actions
            .iter_mut()
            .for_each(|action| named.share(action));
        self.actions.shrink_to_fit();
    }
}

/// What a policy says to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Satisfied,
    NotSatisfied,
    /// It could not be evaluated, or does not fit the schema.
    Failed,
}

impl Clause {
    /// None for a template with slots.
    pub(crate) fn of(template: &Template) -> Option<Self> {
        Some(Self {
            effect: template.effect(),
            scope: Scope {
                principal: Bound::of(template.principal_constraint().as_inner())?,
                actions: match template.action_constraint() {
                    ActionConstraint::Any => vec![Anchor::Any],
                    ActionConstraint::Eq(action) => vec![Anchor::Is(Arc::clone(action))],
                    ActionConstraint::In(groups) => groups
                        .iter()
                        .map(|group| Anchor::In(Arc::clone(group)))
                        .collect(),
                },
                resource: Bound::of(template.resource_constraint().as_inner())?,
            },
            body: template.non_scope_constraints_arc().cloned(),
        })
    }

    /// What the body says to a call that the scope reaches.
    pub(crate) fn verdict(&self, evaluator: &Evaluator<'_>) -> Verdict {
        self.body
            .as_ref()
            .map_or(Verdict::Satisfied, |body| evaluate(body, evaluator))
    }
}

impl Bound {
    fn of(constraint: &PrincipalOrResourceConstraint) -> Option<Self> {
        let named = |reference: &EntityReference| match reference {
            EntityReference::EUID(uid) => Some(Arc::clone(uid)),
            EntityReference::Slot(_) => None,
        };
        let (anchor, kind) = match constraint {
            PrincipalOrResourceConstraint::Any => (Anchor::Any, None),
            PrincipalOrResourceConstraint::Eq(one) => (Anchor::Is(named(one)?), None),
            PrincipalOrResourceConstraint::In(group) => (Anchor::In(named(group)?), None),
            PrincipalOrResourceConstraint::Is(kind) => (Anchor::Any, Some(kind)),
            PrincipalOrResourceConstraint::IsIn(kind, group) => {
                (Anchor::In(named(group)?), Some(kind))
            }
        };
        let kind = kind.map(Arc::clone);
        Some(Self { anchor, kind })
    }
}

/// What one condition says. Anything but a boolean is a failure.
pub(crate) fn evaluate(expression: &Expr, evaluator: &Evaluator<'_>) -> Verdict {
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
