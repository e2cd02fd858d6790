//! Strict validation of each policy against the generated schema, tool by tool.

use std::collections::HashSet;

use bailiwick_core::name::ToolRef;
use cedar_policy_core::ast::EntityUID;
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::{ValidationError, ValidationMode, Validator, ValidatorSchema};

use crate::flaw::Flaw;
use crate::load::flaw;
use crate::registry::Registry;
use crate::rule::{Broken, Rule};
use crate::source::BundleSource;
use crate::uid::Types;

/// Marks in each rule the calls it does not fit, and says why. A flaw that concerns only tools without an approved
/// definition is second in the pair: a server that nobody reviewed cannot make a bundle unpublishable.
pub(crate) fn rules(
    rules: &mut [Rule],
    source: &BundleSource,
    schema: &ValidatorSchema,
    registry: &Registry,
    types: &Types,
) -> (Vec<Flaw>, Vec<Flaw>) {
    let approved: HashSet<EntityUID> = registry
        .tools
        .iter()
        .filter(|tool| tool.approved.is_some())
        .map(|tool| types.action(&tool.tool.to_string()))
        .collect();
    let checker = Typechecker::new(schema, ValidationMode::Strict);
    let (mut hard, mut soft) = (Vec::new(), Vec::new());
    for rule in rules {
        let text = source.files.get(&rule.file).map_or("", String::as_str);
        let place = |error: &ValidationError| named(flaw(&rule.file, text, error), &rule.marks.id);
        let literal: Vec<Flaw> =
            Validator::validate_entity_types_and_literals(schema, &rule.template)
                .map(|error| place(&error))
                .collect();
        let mut actions = HashSet::new();
        let mut everywhere = !literal.is_empty();
        push(&mut hard, literal);
        for (environment, check) in checker.typecheck_by_request_env(&rule.template) {
            let errors = match check {
                PolicyCheck::Success(_) => continue,
                PolicyCheck::Irrelevant(errors, _) if errors.is_empty() => continue,
                PolicyCheck::Irrelevant(errors, _) | PolicyCheck::Fail(errors) => errors,
            };
            let flaws: Vec<Flaw> = errors.iter().map(&place).collect();
            match environment.action_entity_uid() {
                Some(action) => {
                    let list = if approved.contains(action) {
                        &mut hard
                    } else {
                        &mut soft
                    };
                    let tool = tool_of(action);
                    push(
                        list,
                        flaws.into_iter().map(|flaw| about(flaw, tool.as_ref())),
                    );
                    actions.insert(action.clone());
                }
                None => everywhere = true,
            }
        }
        rule.broken = match (everywhere, actions.is_empty()) {
            (true, _) => Broken::Everywhere,
            (false, true) => Broken::Nowhere,
            (false, false) => Broken::At(actions),
        };
    }
    (hard, soft)
}

fn tool_of(action: &EntityUID) -> Option<ToolRef> {
    let id: &str = action.eid().as_ref();
    id.parse().ok()
}

fn about(flaw: Flaw, tool: Option<&ToolRef>) -> Flaw {
    match tool {
        Some(tool) => Flaw {
            message: format!("{} (for calls of {tool})", flaw.message),
            ..flaw
        },
        None => flaw,
    }
}

/// Cedar names a policy by its number in the file; people know its id.
fn named(flaw: Flaw, id: &str) -> Flaw {
    let message = match flaw
        .message
        .strip_prefix("for policy `")
        .and_then(|rest| rest.split_once("`, "))
    {
        Some((_, rest)) => format!("policy `{id}`: {rest}"),
        None => format!("policy `{id}`: {}", flaw.message),
    };
    Flaw { message, ..flaw }
}

/// The same mistake is found once per tool; it is reported for the first.
fn push(list: &mut Vec<Flaw>, flaws: impl IntoIterator<Item = Flaw>) {
    for flaw in flaws {
        let bare = |message: &str| message.split(" (for calls of").next().map(str::to_owned);
        let known = list.iter().any(|earlier| {
            earlier.file == flaw.file
                && earlier.span == flaw.span
                && bare(&earlier.message) == bare(&flaw.message)
        });
        if !known {
            list.push(flaw);
        }
    }
}
