//! Reads every `*.cedar` file of a bundle into rules; parse and annotation errors with their place.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy_core::ast::Template;
use cedar_policy_core::parser::{Loc, parse_policyset};
use miette::Diagnostic;

use crate::annotation;
use crate::clause::{Clause, Named};
use crate::flaw::{Flaw, FlawCode};
use crate::nesting;
use crate::rule::{Rule, Written};
use crate::source::BundleSource;

/// All policies of the bundle, in order of id: nothing that is said of a call depends on where a policy stands. What cannot be
/// read goes to `flaws`; the rest is handed back all the same, so that all that is wrong with a bundle is said at once. `validate` sees
/// each rule with the form that Cedar checks, which is many times what a rule keeps and is dropped at once.
pub(crate) fn rules(
    source: &BundleSource,
    flaws: &mut Vec<Flaw>,
    validate: &mut dyn FnMut(&mut Rule, &Template),
) -> Vec<Rule> {
    if let Some(flaw) = source.bounds() {
        flaws.push(flaw);
        return Vec::new();
    }
    let mut rules: Vec<Rule> = Vec::new();
    let mut named = Named::default();
    for (file, text) in source.below("", ".cedar") {
        if let Some(flaw) = nesting::of_text(file, text) {
            flaws.push(flaw);
            continue;
        }
        let shared = Arc::from(file);
        let mut lines = 0;
        for (offset, piece) in pieces(text) {
            let of = Piece {
                text: piece,
                offset,
                lines,
            };
            lines += piece.matches('\n').count();
            match parse_policyset(piece) {
                Ok(set) => {
                    let mut templates: Vec<Template> = set.all_templates().cloned().collect();
                    templates.sort_by_key(|template| template.loc().map_or(0, Loc::start));
                    for template in templates {
                        if let Some(mut rule) = rule(&template, &shared, text, &of, flaws) {
                            rule.clause.scope.share(&mut named);
                            validate(&mut rule, &template);
                            rules.push(rule);
                        }
                    }
                }
                Err(errors) => {
                    let all = errors.iter();
                    flaws.extend(all.map(|error| flaw(file, text, offset, error)));
                }
            }
        }
    }
    let mut seen: HashMap<&str, &Rule> = HashMap::new();
    for rule in &rules {
        if let Some(first) = seen.insert(&rule.marks.id, rule) {
            let text = source
                .files
                .get(&*rule.written.file)
                .map_or("", String::as_str);
            let message = format!(
                "the id `{}` is taken by a policy of {}",
                rule.marks.id, first.written.file
            );
            let flaw = Flaw::at(&rule.written.file, text, rule.written.span.clone(), message);
            let help = "give each policy of the bundle an id of its own";
            flaws.push(flaw.code(FlawCode::DuplicateId).help(help));
        }
    }
    rules.sort_by(|a, b| a.marks.id.cmp(&b.marks.id));
    rules.shrink_to_fit();
    rules
}

fn rule(
    template: &Template,
    file: &Arc<str>,
    text: &str,
    piece: &Piece<'_>,
    flaws: &mut Vec<Flaw>,
) -> Option<Rule> {
    let offset = piece.offset;
    let span = place(template.loc(), offset);
    let Some(clause) = Clause::of(template) else {
        let flaw = Flaw::at(file, text, span, "a policy cannot have slots".to_owned());
        flaws.push(flaw.help("name the agent, group or server instead of ?principal or ?resource"));
        return None;
    };
    if let Some(flaw) = nesting::of_body(template, file, text, span.clone()) {
        flaws.push(flaw);
        return None;
    }
    let marks = annotation::read(template, file, text, offset, flaws)?;
    let start = template.loc().map_or(0, Loc::start);
    let above = piece.text.get(..start).unwrap_or_default();
    let written = Written {
        file: Arc::clone(file),
        span,
        line: piece.lines + above.matches('\n').count() + 1,
        offset,
        lines: piece.lines,
    };
    Some(Rule::new(marks, clause, written))
}

/// Some policies of a file.
struct Piece<'a> {
    text: &'a str,
    /// Where it begins in the file.
    offset: usize,
    /// How many lines of the file are before it.
    lines: usize,
}

/// Where something stands in the file of which a piece begins at `offset`.
pub(crate) fn place(loc: Option<&Loc>, offset: usize) -> Range<usize> {
    loc.map_or(0..0, |loc| loc.start() + offset..loc.end() + offset)
}

/// The text in pieces that begin with a line and hold whole policies, each with where it begins. The parser takes a hundred
/// times the memory of what it reads.
fn pieces(text: &str) -> Vec<(usize, &str)> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in nesting::lines_after_policies(text) {
        if end - start >= PIECE {
            pieces.extend(text.get(start..end).map(|piece| (start, piece)));
            start = end;
        }
    }
    pieces.extend(text.get(start..).map(|piece| (start, piece)));
    pieces
}

const GRAMMAR: &str =
    "what Cedar takes here: https://docs.cedarpolicy.com/policies/syntax-grammar.html";

/// A piece has at least this many bytes, if it is not the last.
const PIECE: usize = 16 << 10;

/// An error of Cedar in a piece of the file that begins at `offset`, with its first label's place and its help.
pub(crate) fn flaw(
    file: &str,
    text: &str,
    offset: usize,
    error: &(dyn Diagnostic + 'static),
) -> Flaw {
    let label = error.labels().and_then(|mut labels| labels.next());
    let help = error
        .help()
        .map_or_else(String::new, |help| help.to_string());
    let flaw = match &label {
        Some(label) => {
            let start = label.offset() + offset;
            let span = start..start + label.len();
            Flaw::at(file, text, span, error.to_string())
        }
        None => Flaw::in_file(file, error.to_string()),
    };
    let hint = label.and_then(|label| label.label().map(str::to_owned));
    flaw.help(if help.is_empty() {
        hint.unwrap_or_else(|| GRAMMAR.to_owned())
    } else {
        help
    })
}
