//! One policy of a bundle, compiled: what it says, and what its annotations make of it.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bailiwick_core::Timestamp;
use cedar_policy_core::ast::{Effect, EntityUID, Expr, ExprKind, Literal};
use cedar_policy_core::evaluator::Evaluator;

use crate::annotation::Marks;
use crate::clause::{Anchor, Clause, Verdict, evaluate};
use crate::flaw::Flaw;
use crate::include;
use crate::work::Work;

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) marks: Marks,
    pub(crate) clause: Clause,
    pub(crate) work: Work,
    pub(crate) written: Written,
    /// Whether its conditions exclude each other, by their types, for every tool it reaches.
    pub(crate) impossible: bool,
    /// Calls for which it does not fit the schema.
    pub(crate) broken: Broken,
    conjuncts: Vec<Conjunct>,
}

/// Where a policy stands.
#[derive(Debug)]
pub(crate) struct Written {
    /// File within the bundle.
    pub(crate) file: Arc<str>,
    /// Byte range in the file.
    pub(crate) span: Range<usize>,
    /// Where it begins, from 1.
    pub(crate) line: usize,
    /// Where the piece of the file begins that it was parsed from: places of its expressions count from there.
    pub(crate) offset: usize,
    /// How many lines are before that piece.
    pub(crate) lines: usize,
}

/// For which actions a policy does not validate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    Nowhere,
    At(HashSet<EntityUID>),
    Everywhere,
}

impl Broken {
    /// Whether it does not validate for calls of `action`.
    pub(crate) fn at(&self, action: &EntityUID) -> bool {
        match self {
            Self::Nowhere => false,
            Self::At(actions) => actions.contains(action),
            Self::Everywhere => true,
        }
    }
}

/// One top-level condition.
#[derive(Debug)]
pub(crate) struct Conjunct {
    pub(crate) expression: Arc<Expr>,
}

impl Conjunct {
    /// As it is written, on one line.
    pub(crate) fn text(&self) -> String {
        let snippet = self.expression.source_loc().and_then(|loc| loc.snippet());
        // The place of an `unless` is that of the whole clause, which says the opposite of what is evaluated.
        let snippet = snippet.filter(|text| !text.starts_with("unless"));
        let written = snippet.map_or_else(|| self.expression.to_string(), str::to_owned);
        written.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether it holds; none if it cannot be evaluated, as when an earlier one does not hold.
    pub(crate) fn holds(&self, evaluator: &Evaluator<'_>) -> Option<bool> {
        match evaluate(&self.expression, evaluator) {
            Verdict::Satisfied => Some(true),
            Verdict::NotSatisfied => Some(false),
            Verdict::Failed => None,
        }
    }
}

impl Rule {
    pub(crate) fn new(marks: Marks, clause: Clause, written: Written) -> Self {
        let mut conjuncts = Vec::new();
        if let Some(body) = &clause.body {
            split(body, &mut conjuncts);
        }
        Self {
            written,
            broken: Broken::Nowhere,
            work: Work::of(clause.body.as_deref()),
            marks,
            clause,
            impossible: false,
            conjuncts,
        }
    }

    /// What it says to a call of `action` that its scope reaches.
    pub(crate) fn verdict(
        &self,
        action: &EntityUID,
        now: Timestamp,
        evaluator: &Evaluator<'_>,
    ) -> Verdict {
        if self.broken.at(action) {
            return Verdict::Failed;
        }
        if self.marks.expires.is_some_and(|at| now >= at) {
            return Verdict::NotSatisfied;
        }
        self.clause.verdict(evaluator)
    }

    /// The top-level conditions, in order.
    pub(crate) fn conjuncts(&self) -> impl Iterator<Item = &Conjunct> {
        self.conjuncts.iter()
    }

    /// Line and column, from 1, of one of its conditions in its file.
    pub(crate) fn place_of(&self, conjunct: &Conjunct) -> (usize, usize) {
        let place = conjunct.expression.source_loc().map(|loc| {
            let place = Flaw::at("", &loc.src, loc.start()..loc.end(), String::new());
            (self.written.lines + place.line, place.column)
        });
        place.unwrap_or((self.written.line, 1))
    }

    /// Whether it came with a pack that the bundle includes.
    pub(crate) fn is_of_pack(&self) -> bool {
        self.written.file.starts_with(include::DIRECTORY)
    }

    /// Whether its scope says what it is about; else it is about everything.
    pub(crate) fn names_action(&self) -> bool {
        self.clause
            .scope
            .actions
            .iter()
            .all(|action| *action != Anchor::Any)
    }

    pub(crate) fn is_permit(&self) -> bool {
        self.clause.effect == Effect::Permit
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
        _ => conjuncts.push(Conjunct {
            expression: Arc::clone(expression),
        }),
    }
}
