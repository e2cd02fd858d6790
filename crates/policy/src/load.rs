//! Reads every `*.cedar` file of a bundle into rules; parse and annotation errors with their place.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy_core::ast::Template;
use cedar_policy_core::parser::{Loc, parse_policyset};
use miette::Diagnostic;

use crate::annotation;
use crate::clause::Clause;
use crate::flaw::{Flaw, FlawCode};
use crate::nesting;
use crate::rule::Rule;
use crate::source::BundleSource;

/// All policies of the bundle, in order of id: nothing that is said of a call depends on where a policy stands. What cannot be
/// read goes to `flaws`; the rest is handed back all the same, so that all that is wrong with a bundle is said at once.
pub(crate) fn rules(source: &BundleSource, flaws: &mut Vec<Flaw>) -> Vec<Rule> {
    if let Some(flaw) = source.bounds() {
        flaws.push(flaw);
        return Vec::new();
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (file, text) in source.below("", ".cedar") {
        if let Some(flaw) = nesting::of_text(file, text) {
            flaws.push(flaw);
            continue;
        }
        match parse_policyset(text) {
            Ok(set) => {
                let mut templates: Vec<Template> = set.all_templates().cloned().collect();
                templates.sort_by_key(|template| template.loc().map_or(0, Loc::start));
                let file = Arc::from(file);
                for template in templates {
                    rules.extend(rule(template, &file, text, flaws));
                }
            }
            Err(errors) => flaws.extend(errors.iter().map(|error| flaw(file, text, error))),
        }
    }
    let mut seen: HashMap<&str, &Rule> = HashMap::new();
    for rule in &rules {
        if let Some(first) = seen.insert(&rule.marks.id, rule) {
            let text = source.files.get(&*rule.file).map_or("", String::as_str);
            let message = format!(
                "the id `{}` is taken by a policy of {}",
                rule.marks.id, first.file
            );
            let flaw = Flaw::at(&rule.file, text, rule.span.clone(), message);
            let help = "give each policy of the bundle an id of its own";
            flaws.push(flaw.code(FlawCode::DuplicateId).help(help));
        }
    }
    rules.sort_by(|a, b| a.marks.id.cmp(&b.marks.id));
    rules
}

fn rule(template: Template, file: &Arc<str>, text: &str, flaws: &mut Vec<Flaw>) -> Option<Rule> {
    let Some(clause) = Clause::of(&template) else {
        let span = template.loc().map_or(0..0, |loc| loc.start()..loc.end());
        let flaw = Flaw::at(file, text, span, "a policy cannot have slots".to_owned());
        flaws.push(flaw.help("name the agent, group or server instead of ?principal or ?resource"));
        return None;
    };
    if let Some(flaw) = nesting::of_body(&template, file, text) {
        flaws.push(flaw);
        return None;
    }
    let marks = annotation::read(&template, file, text, flaws)?;
    let start = template.loc().map_or(0, Loc::start);
    let line = text.get(..start).unwrap_or("").matches('\n').count() + 1;
    Some(Rule::new(
        marks,
        clause,
        Arc::clone(file),
        Arc::new(template),
        line,
    ))
}

/// An error of Cedar, with its first label's place and its help.
pub(crate) fn flaw(file: &str, text: &str, error: &(dyn Diagnostic + 'static)) -> Flaw {
    let label = error.labels().and_then(|mut labels| labels.next());
    let help = error
        .help()
        .map_or_else(String::new, |help| help.to_string());
    let flaw = match &label {
        Some(label) => {
            let span = label.offset()..label.offset() + label.len();
            Flaw::at(file, text, span, error.to_string())
        }
        None => Flaw::in_file(file, error.to_string()),
    };
    let hint = label
        .and_then(|label| label.label().map(str::to_owned))
        .unwrap_or_default();
    flaw.help(if help.is_empty() { hint } else { help })
}
