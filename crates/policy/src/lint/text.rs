//! Policies that are not what their reviewer reads: invisible characters, and letters that look like others.

use cedar_policy_core::ast::{Expr, ExprKind, Literal, PatternElem};
use unicode_security::MixedScript as _;

use super::{Found, Subject};
use crate::flaw::{Flaw, FlawCode};
use crate::fold::{fold, is_invisible};
use crate::rule::Rule;

pub(super) fn lint(subject: &Subject<'_>, found: &mut Found) {
    for (file, text) in subject.source.below("", ".cedar") {
        if let Some((at, character)) = text.char_indices().find(|(_, c)| is_invisible(*c)) {
            let span = at..at + character.len_utf8();
            let message = format!(
                "the invisible character U+{:04X} stands here",
                u32::from(character)
            );
            let flaw = Flaw::at(file, text, span, message).code(FlawCode::LookAlike);
            found.error(flaw.help("remove it; in a text that must hold it, write \\u{…}"));
        }
    }
    for rule in subject.rules {
        if let Some(body) = &rule.clause.body {
            for part in body.subexpressions() {
                if let Some(written) = literal(part) {
                    text(subject, rule, part, &written, found);
                }
            }
        }
    }
}

fn literal(expression: &Expr) -> Option<String> {
    match expression.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => Some(text.to_string()),
        ExprKind::Like { pattern, .. } => {
            let elements = pattern.get_elems().iter();
            let written = elements.filter_map(|element| match element {
                PatternElem::Char(character) => Some(*character),
                PatternElem::Wildcard => None,
            });
            Some(written.collect())
        }
        _ => None,
    }
}

fn text(subject: &Subject<'_>, rule: &Rule, place: &Expr, written: &str, found: &mut Found) {
    if written.is_ascii() {
        return;
    }
    let id = &rule.marks.id;
    match fold(written) {
        Some(folded) if folded.is_ascii() => {
            let message =
                format!("policy `{id}`: this text looks like {folded:?} and is another one");
            let help = format!(
                "write {folded:?}; a forbid is asked about look-alikes as well, a permit is not"
            );
            found.error(
                subject
                    .within(rule, place, message, FlawCode::LookAlike)
                    .help(help),
            );
        }
        _ if !written.is_single_script() => {
            let message = format!("policy `{id}`: this text mixes letters of several scripts");
            let help = "check that each letter is the one it looks like";
            found.warn(
                subject
                    .within(rule, place, message, FlawCode::LookAlike)
                    .help(help),
            );
        }
        _ => {}
    }
}
