//! How much evaluating a call may take: counted, not timed, so that every node comes to the same answer (P1, P8).
//!
//! A policy is at most 16 MiB of text away from its author; arguments come from whoever has talked the agent into something.
//! What grows with arguments are comparisons of text and of sets, and there a short policy meets 64 KiB again and again.

use cedar_policy_core::ast::{
    BinaryOp, Expr, ExprKind, Literal, Pattern, PatternElem, Value, ValueKind, Var,
};

/// A call may take this many steps, each about a nanosecond: 10 ms.
pub(crate) const MAX_WORK: u64 = 10_000_000;
/// Steps of evaluating one node of an expression.
const NODE: u64 = 100;
/// Steps for each byte of arguments in a comparison other than `like`.
const COMPARISON: u64 = 4;

/// What evaluating one policy takes.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Whatever the arguments.
    fixed: u64,
    /// For each byte of the arguments it looks at.
    for_each_byte: u64,
    /// Which arguments these are, as members of `context.input`.
    arguments: Vec<Vec<String>>,
}

impl Work {
    /// Of a policy with this body.
    pub(crate) fn of(body: Option<&Expr>) -> Self {
        let mut work = Self::default();
        work.fixed += NODE;
        if let Some(body) = body {
            work.visit(body);
        }
        work.arguments.sort_unstable();
        work.arguments.dedup();
        work
    }

    /// For a call with these arguments, whose text has so many bytes.
    pub(crate) fn with(&self, arguments: &Value, bytes: usize) -> u64 {
        if self.for_each_byte == 0 {
            return self.fixed;
        }
        let bytes = self
            .arguments
            .iter()
            .map(|path| size(arguments, path, bytes) as u64);
        self.fixed
            .saturating_add(self.for_each_byte.saturating_mul(bytes.sum()))
    }

    fn visit(&mut self, expression: &Expr) {
        self.fixed += NODE;
        if let Some(mut path) = path(expression) {
            if path.first().is_some_and(|first| first == "input") {
                path.remove(0);
                self.arguments.push(path);
            }
            return;
        }
        match expression.expr_kind() {
            // Asking whether an argument is there does not look at it.
            ExprKind::HasAttr { expr, .. } | ExprKind::ExtHasAttr { expr, .. } => {
                if path(expr).is_none() {
                    self.visit(expr);
                }
            }
            ExprKind::Like { expr, pattern } => {
                self.for_each_byte += like(pattern);
                self.visit(expr);
            }
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                self.for_each_byte += comparison(*op, arg1, arg2);
                self.visit(arg1);
                self.visit(arg2);
            }
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => {
                self.visit(test_expr);
                self.visit(then_expr);
                self.visit(else_expr);
            }
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.visit(left);
                self.visit(right);
            }
            ExprKind::UnaryApp { arg: expr, .. }
            | ExprKind::GetAttr { expr, .. }
            | ExprKind::Is { expr, .. } => self.visit(expr),
            ExprKind::ExtensionFunctionApp { args, .. } => {
                args.iter().for_each(|arg| self.visit(arg));
            }
            ExprKind::Set(elements) => elements.iter().for_each(|element| self.visit(element)),
            ExprKind::Record(members) => members.values().for_each(|member| self.visit(member)),
            ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => {}
        }
    }
}

/// The members that lead from `context` to this; none if it is something else.
pub(crate) fn path(expression: &Expr) -> Option<Vec<String>> {
    match expression.expr_kind() {
        ExprKind::Var(Var::Context) => Some(Vec::new()),
        ExprKind::GetAttr { expr, attr } => {
            let mut path = path(expr)?;
            path.push(attr.to_string());
            Some(path)
        }
        _ => None,
    }
}

/// Cedar copies the text and goes back to the last `*` at each mismatch: as far as what is written between two of them.
fn like(pattern: &Pattern) -> u64 {
    let runs = pattern
        .get_elems()
        .split(|element| matches!(element, PatternElem::Wildcard));
    let longest = runs.skip(1).map(<[_]>::len).max().unwrap_or(0);
    2 + longest as u64
}

fn comparison(operator: BinaryOp, one: &Expr, other: &Expr) -> u64 {
    let is_literal = |side: &Expr| matches!(side.expr_kind(), ExprKind::Lit(_));
    match operator {
        BinaryOp::Eq | BinaryOp::ContainsAll | BinaryOp::ContainsAny | BinaryOp::Contains => {
            // Against one literal it ends where that ends; a set finds one by its hash.
            if is_literal(one) || is_literal(other) {
                0
            } else {
                COMPARISON
            }
        }
        _ => 0,
    }
}

/// Bytes of the argument at this path, at most those of all arguments.
fn size(arguments: &Value, path: &[String], all: usize) -> usize {
    let mut value = arguments;
    for name in path {
        let ValueKind::Record(members) = &value.value else {
            return 0;
        };
        let Some(member) = members.get(name.as_str()) else {
            return 0;
        };
        value = member;
    }
    match &value.value {
        ValueKind::Lit(Literal::String(text)) => text.len(),
        ValueKind::Lit(_) | ValueKind::ExtensionValue(_) => 0,
        ValueKind::Set(_) | ValueKind::Record(_) => all,
    }
}

#[cfg(test)]
mod tests;
