//! Arithmetic on arguments in a forbid: whoever chooses the argument can make it fail, and a forbid that fails denies.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp};

use super::{Found, Subject};
use crate::flaw::FlawCode;
use crate::rule::Rule;
use crate::work::path;

pub(super) fn lint(subject: &Subject<'_>, rule: &Rule, found: &mut Found) {
    let Some(body) = rule.clause.body.as_deref().filter(|_| !rule.is_permit()) else {
        return;
    };
    if let Some(sum) = body.subexpressions().find(|part| overflows(part)) {
        let message = format!(
            "policy `{}`: this overflows for some arguments, and a forbid that cannot be evaluated denies",
            rule.marks.id
        );
        let flaw = subject.within(rule, sum, message, FlawCode::Overflow);
        found.error(flaw.help(help(body, sum)));
    }
}

fn overflows(part: &Expr) -> bool {
    let operands: Vec<&Expr> = match part.expr_kind() {
        ExprKind::BinaryApp {
            op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul,
            arg1,
            arg2,
        } => vec![arg1, arg2],
        ExprKind::UnaryApp {
            op: UnaryOp::Neg,
            arg,
        } => vec![arg],
        _ => return false,
    };
    operands.iter().any(|operand| {
        let mut parts = operand.subexpressions();
        parts.any(|part| is_argument(part).is_some())
    })
}

fn is_argument(part: &Expr) -> Option<String> {
    let path = path(part)?;
    (path.first()? == "input" && path.len() > 1).then(|| format!("context.{}", path.join(".")))
}

/// The same comparison without the arithmetic, where there is one.
fn help(body: &Expr, sum: &Expr) -> String {
    // Cedar keeps `a > b` as `!(a <= b)`.
    let negated = body
        .subexpressions()
        .find_map(|part| match part.expr_kind() {
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => Some((compared(arg, sum)?, true)),
            _ => None,
        });
    let plain = || {
        body.subexpressions()
            .find_map(|part| Some((compared(part, sum)?, false)))
    };
    let solved = negated
        .or_else(plain)
        .and_then(|(comparison, negated)| Some((comparison.solved()?, negated)));
    match solved {
        Some((
            Solved {
                argument,
                sign,
                bound,
            },
            negated,
        )) => {
            let sign = if negated { sign.opposite() } else { sign };
            format!(
                "write {argument} {} {bound}, which cannot fail",
                sign.as_str()
            )
        }
        None => "compare arguments with each other or with numbers, without working anything out"
            .to_owned(),
    }
}

/// `sum < bound` and the like.
struct Comparison<'a> {
    sum: &'a Expr,
    sign: Sign,
    bound: i64,
}

/// The argument alone beside a number.
struct Solved {
    argument: String,
    sign: Sign,
    bound: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Sign {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// What holds where this does not.
    const fn opposite(self) -> Self {
        match self {
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::More,
            Self::More => Self::AtMost,
            Self::AtLeast => Self::Less,
        }
    }

    /// The same with the sides exchanged, or with the sign of both sides changed.
    const fn turned(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }
}

fn compared<'a>(part: &'a Expr, sum: &Expr) -> Option<Comparison<'a>> {
    let ExprKind::BinaryApp { op, arg1, arg2 } = part.expr_kind() else {
        return None;
    };
    let sign = match op {
        BinaryOp::Less => Sign::Less,
        BinaryOp::LessEq => Sign::AtMost,
        _ => return None,
    };
    let (side, bound, sign) = match (long(arg1), long(arg2)) {
        (None, Some(bound)) => (arg1, bound, sign),
        (Some(bound), None) => (arg2, bound, sign.turned()),
        _ => return None,
    };
    (**side == *sum).then_some(Comparison {
        sum: side,
        sign,
        bound,
    })
}

impl Comparison<'_> {
    /// With what the arithmetic did to the argument undone.
    fn solved(&self) -> Option<Solved> {
        let (argument, sign, bound) = match self.sum.expr_kind() {
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                let (argument, number, number_first) = match (is_argument(arg1), long(arg2)) {
                    (Some(argument), Some(number)) => (argument, number, false),
                    _ => (is_argument(arg2)?, long(arg1)?, true),
                };
                let (sign, bound) = match (op, number_first) {
                    (BinaryOp::Add, _) => (self.sign, self.bound.checked_sub(number)?),
                    (BinaryOp::Sub, false) => (self.sign, self.bound.checked_add(number)?),
                    (BinaryOp::Sub, true) => (self.sign.turned(), number.checked_sub(self.bound)?),
                    (BinaryOp::Mul, _) => self.divided(number)?,
                    _ => return None,
                };
                (argument, sign, bound)
            }
            ExprKind::UnaryApp {
                op: UnaryOp::Neg,
                arg,
            } => (
                is_argument(arg)?,
                self.sign.turned(),
                self.bound.checked_neg()?,
            ),
            _ => return None,
        };
        Some(Solved {
            argument,
            sign,
            bound,
        })
    }

    /// Of `argument * factor`, for a factor above zero: of whole numbers, those up to and above the rounded quotient.
    fn divided(&self, factor: i64) -> Option<(Sign, i64)> {
        if factor <= 0 {
            return None;
        }
        let (down, exact) = (
            self.bound.div_euclid(factor),
            self.bound.rem_euclid(factor) == 0,
        );
        let sign = match self.sign {
            sign if exact => sign,
            Sign::Less | Sign::AtMost => Sign::AtMost,
            Sign::More | Sign::AtLeast => Sign::More,
        };
        Some((sign, down))
    }
}

fn long(side: &Expr) -> Option<i64> {
    match side.expr_kind() {
        ExprKind::Lit(Literal::Long(number)) => Some(*number),
        _ => None,
    }
}
