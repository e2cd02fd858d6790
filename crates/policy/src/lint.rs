//! What is wrong with policies that Cedar takes for good: rules that cannot be enforced, that never apply, or that let more
//! through than their author can have meant. Asked when a bundle is checked or published, not when it is compiled for calls.

mod evidence;
mod facts;
mod names;
mod overflow;
mod reach;
mod text;

use cedar_policy_core::ast::Expr;

use crate::flaw::{Flaw, FlawCode};
use crate::load::place;
use crate::manifest::Manifest;
use crate::registry::Registry;
use crate::rule::Rule;
use crate::source::BundleSource;
use crate::uid::Types;
use crate::workflow::Workflows;

/// What lints look at.
pub(crate) struct Subject<'a> {
    pub(crate) source: &'a BundleSource,
    pub(crate) rules: &'a [Rule],
    pub(crate) manifest: &'a Manifest,
    pub(crate) workflows: &'a Workflows,
    pub(crate) registry: &'a Registry,
    pub(crate) types: &'a Types,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// These refuse the bundle.
    pub(crate) errors: Vec<Flaw>,
    /// These do not.
    pub(crate) warnings: Vec<Flaw>,
}

impl Found {
    fn error(&mut self, flaw: Flaw) {
        self.errors.push(flaw);
    }

    fn warn(&mut self, flaw: Flaw) {
        self.warnings.push(flaw);
    }

    /// A rule that never applies: a forbid is a promise that is not kept, a permit only lets nothing through.
    fn idle(&mut self, rule: &Rule, flaw: Flaw) {
        if rule.is_permit() {
            self.warn(flaw);
        } else {
            self.error(flaw);
        }
    }
}

/// Every lint.
pub(crate) fn lint(subject: &Subject<'_>) -> Found {
    let mut found = Found::default();
    text::lint(subject, &mut found);
    names::lint(subject, &mut found);
    reach::lint(subject, &mut found);
    for rule in subject.rules {
        overflow::lint(subject, rule, &mut found);
        evidence::lint(subject, rule, &mut found);
        if facts::lint(subject, rule, &mut found) && rule.impossible {
            let message = format!(
                "policy `{}` never applies: its conditions exclude each other",
                rule.marks.id
            );
            let help = "remove it, or correct the condition that cannot hold";
            found.idle(
                rule,
                subject.at(rule, message, FlawCode::NeverApplies).help(help),
            );
        }
    }
    untested(subject, &mut found);
    for list in [&mut found.errors, &mut found.warnings] {
        list.sort_by(|a, b| {
            (&a.file, a.span.start, &a.message).cmp(&(&b.file, b.span.start, &b.message))
        });
        list.dedup();
    }
    found
}

impl Subject<'_> {
    fn text(&self, file: &str) -> &str {
        self.source.files.get(file).map_or("", String::as_str)
    }

    /// A flaw of the whole rule.
    fn at(&self, rule: &Rule, message: String, code: FlawCode) -> Flaw {
        let text = self.text(&rule.written.file);
        // Its first line is enough to find it.
        let end = text
            .get(rule.written.span.clone())
            .and_then(|policy| policy.find('\n'))
            .map_or(rule.written.span.end, |length| {
                rule.written.span.start + length
            });
        Flaw::at(
            &rule.written.file,
            text,
            rule.written.span.start..end,
            message,
        )
        .code(code)
    }

    /// A flaw of one expression of the rule.
    fn within(&self, rule: &Rule, expression: &Expr, message: String, code: FlawCode) -> Flaw {
        match expression.source_loc() {
            Some(loc) => {
                let text = self.text(&rule.written.file);
                let span = place(Some(loc), rule.written.offset);
                Flaw::at(&rule.written.file, text, span, message).code(code)
            }
            None => self.at(rule, message, code),
        }
    }
}

/// A bundle without tests promises nothing.
fn untested(subject: &Subject<'_>, found: &mut Found) {
    let has_cases = subject
        .source
        .below("tests/", ".toml")
        .any(|(_, text)| text.contains("[[case]]"));
    if !has_cases && !subject.rules.is_empty() {
        let flaw = Flaw::whole("the bundle has no tests".to_owned()).code(FlawCode::Untested);
        found.warn(flaw.help("add tests/*.toml with a [[case]] for each thing it promises"));
    }
}
