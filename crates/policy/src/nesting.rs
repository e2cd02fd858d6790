//! How deep a policy may be. Cedar parses, checks and evaluates by recursion on whatever stack is left: a parser that runs out
//! takes the process with it, and an evaluator that runs short fails the policy, so that the decision would depend on the
//! thread. Within these bounds a policy fits 2 MiB, the stack of any of our threads, also without optimisation.

use std::ops::Range;

use cedar_policy_core::ast::{Expr, ExprKind, Template};

use crate::flaw::{Flaw, FlawCode};

/// A policy has at most this many brackets open at once.
const MAX_BRACKETS: usize = 16;
/// A policy has at most this many characters of operators.
const MAX_OPERATORS: usize = 1_024;
/// A policy has at most this many `if`, wherever the two letters stand together outside texts and comments.
const MAX_IFS: usize = 32;
/// The conditions of a policy are at most this deep; each `&&` or `||` of a chain is one deeper.
const MAX_DEPTH: usize = 32;
const TOO_DEEP: &str = "this policy is too deep";

/// A policy of a file that is too much for the parser. Looks at characters only, policy by policy.
pub(crate) fn of_text(file: &str, text: &str) -> Option<Flaw> {
    let mut count = Nesting::default();
    let mut start = 0;
    for (at, character) in code(text) {
        match character {
            ';' => (count, start) = (Nesting::default(), at + 1),
            '(' | '[' | '{' => count.open += 1,
            ')' | ']' | '}' => count.open = count.open.saturating_sub(1),
            '&' | '|' | '!' | '+' | '-' | '*' | '=' | '<' | '>' | '.' => count.operators += 1,
            'i' if text.get(at..).is_some_and(|rest| rest.starts_with("if")) => count.ifs += 1,
            _ => {}
        }
        let over = if count.open > MAX_BRACKETS {
            format!("{MAX_BRACKETS} brackets open at once")
        } else if count.operators > MAX_OPERATORS {
            format!("{MAX_OPERATORS} operators")
        } else if count.ifs > MAX_IFS {
            format!("{MAX_IFS} ifs")
        } else {
            continue;
        };
        let flaw = Flaw::at(file, text, start..at, TOO_DEEP.to_owned()).code(FlawCode::Bound);
        return Some(flaw.help(format!("split it: a policy has at most {over}")));
    }
    None
}

/// Where lines begin that follow the end of a policy, with nothing but blanks between.
pub(crate) fn lines_after_policies(text: &str) -> impl Iterator<Item = usize> {
    let mut ended = false;
    code(text).filter_map(move |(at, character)| match character {
        ';' => {
            ended = true;
            None
        }
        '\n' if ended => Some(at + 1),
        character => {
            ended &= character.is_whitespace();
            None
        }
    })
}

/// The characters that are neither in a text nor in a comment. The line break after a comment is one of them.
fn code(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut characters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, character) = characters.next()?;
            match character {
                '"' => {
                    while let Some((_, inside)) = characters.next() {
                        match inside {
                            '\\' => drop(characters.next()),
                            '"' => break,
                            _ => {}
                        }
                    }
                }
                '/' if characters.next_if(|(_, next)| *next == '/').is_some() => {
                    while characters.next_if(|(_, next)| *next != '\n').is_some() {}
                }
                _ => return Some((at, character)),
            }
        }
    })
}

#[derive(Default)]
struct Nesting {
    open: usize,
    operators: usize,
    ifs: usize,
}

/// A policy that is too much for the evaluator.
pub(crate) fn of_body(
    template: &Template,
    file: &str,
    text: &str,
    span: Range<usize>,
) -> Option<Flaw> {
    let body = template.non_scope_constraints()?;
    is_deeper(body, MAX_DEPTH).then(|| {
        Flaw::at(file, text, span, TOO_DEEP.to_owned())
            .code(FlawCode::Bound)
            .help(format!(
            "at most {MAX_DEPTH} conditions in a row: compare with a set, [..].contains(..), or write several policies"
        ))
    })
}

fn is_deeper(expression: &Expr, limit: usize) -> bool {
    let Some(limit) = limit.checked_sub(1) else {
        return true;
    };
    let inside = |inner: &Expr| is_deeper(inner, limit);
    match expression.expr_kind() {
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => inside(test_expr) || inside(then_expr) || inside(else_expr),
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            inside(left) || inside(right)
        }
        ExprKind::BinaryApp { arg1, arg2, .. } => inside(arg1) || inside(arg2),
        ExprKind::UnaryApp { arg: expr, .. }
        | ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => inside(expr),
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().any(inside),
        ExprKind::Set(elements) => elements.iter().any(inside),
        ExprKind::Record(members) => members.values().any(inside),
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => false,
    }
}
