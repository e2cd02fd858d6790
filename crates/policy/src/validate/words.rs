//! Errors of Cedar's validator in the words of people who write policy: the policy by its id, the tool that it does not fit, and
//! the nearest name there is.

use bailiwick_core::name::ToolRef;
use cedar_policy_core::ast::EntityUID;
use cedar_policy_core::validator::validation_errors::AttributeAccess;
use cedar_policy_core::validator::{ValidationError, ValidatorSchema};

use crate::act::Act;
use crate::flaw::{Flaw, FlawCode};
use crate::nearest::nearest;
use crate::registry::Registry;
use crate::schema;

pub(super) fn act_of(action: &EntityUID) -> Option<Act> {
    Act::named(action.eid().as_ref())
}

pub(super) fn about_act(flaw: Flaw, act: Act, named: bool) -> Flaw {
    let flaw = Flaw {
        message: format!("{} (for the action {})", flaw.message, act.as_str()),
        ..flaw
    };
    if named {
        flaw
    } else {
        flaw.help("to speak of tools alone, write action in Bailiwick::Action::\"use\"")
    }
}

pub(super) fn tool_of(action: &EntityUID) -> Option<ToolRef> {
    let id: &str = action.eid().as_ref();
    id.parse().ok()
}

pub(super) fn about_tool(flaw: Flaw, tool: Option<&ToolRef>) -> Flaw {
    match tool {
        Some(tool) => Flaw {
            message: format!("{} (for calls of {tool})", flaw.message),
            ..flaw
        },
        None => flaw,
    }
}

/// Cedar names a policy by its number in the file; people know its id.
pub(super) fn named(flaw: Flaw, id: &str) -> Flaw {
    Flaw {
        message: format!("policy `{id}`: {}", without_number(&flaw.message)),
        help: without_number(&flaw.help).to_owned(),
        ..flaw
    }
}

pub(super) fn code(error: &ValidationError) -> FlawCode {
    match error {
        ValidationError::UnrecognizedActionId(_) | ValidationError::UnrecognizedEntityType(_) => {
            FlawCode::UnknownName
        }
        ValidationError::UnsafeAttributeAccess(_) => FlawCode::UnknownAttribute,
        ValidationError::UnsafeOptionalAttributeAccess(_) => FlawCode::OptionalAttribute,
        _ => FlawCode::Type,
    }
}

/// Names the nearest action, entity type or attribute there is. Cedar's own suggestion depends on the order of a hash map.
pub(super) fn suggest(
    flaw: Flaw,
    error: &ValidationError,
    schema: &ValidatorSchema,
    registry: &Registry,
) -> Flaw {
    let (written, known): (&str, Vec<String>) = match error {
        ValidationError::UnrecognizedActionId(unknown) => (
            &unknown.actual_action_id,
            schema.actions().map(ToString::to_string).collect(),
        ),
        ValidationError::UnrecognizedEntityType(unknown) => (
            &unknown.actual_entity_type,
            schema
                .entity_type_names()
                .map(ToString::to_string)
                .collect(),
        ),
        ValidationError::UnsafeAttributeAccess(unsafe_access) => {
            return match attribute(&unsafe_access.attribute_access, registry) {
                Some(help) => flaw.help(help),
                None => flaw,
            };
        }
        _ => return flaw,
    };
    match nearest(written, known.iter().map(String::as_str), 3) {
        Some(known) => flaw.help(format!("did you mean `{known}`?")),
        None => flaw.help("bailiwick policy schema lists what there is"),
    }
}

/// What there is instead of an attribute that there is not.
fn attribute(access: &AttributeAccess, registry: &Registry) -> Option<String> {
    // Cedar keeps the names from the last to the first.
    let (written, known, of) = match access {
        AttributeAccess::Context(action, path) => {
            let context = match (act_of(action), tool_of(action)) {
                (Some(act), _) => schema::context_of_act(act),
                (None, tool) => {
                    let tool = tool?;
                    schema::context(registry.tools.iter().find(|one| one.tool == tool)?)
                }
            };
            let (written, above) = path.split_first()?;
            let above: Vec<&str> = above.iter().rev().map(AsRef::as_ref).collect();
            let known = schema::members(&context, &above);
            let of: Vec<&str> = std::iter::once("context").chain(above).collect();
            (written, known, of.join("."))
        }
        AttributeAccess::EntityLUB(lub, path) => {
            let kind = lub.get_single_entity()?.to_string();
            let (written, above) = path.split_first()?;
            let above: Vec<&str> = above.iter().rev().map(AsRef::as_ref).collect();
            let known = schema::members(&schema::entity_shape(&kind), &above);
            (written, known, kind)
        }
        AttributeAccess::Other(_) => return None,
    };
    let near = nearest(written, known.iter().map(String::as_str), 2);
    Some(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("`{of}` has no attributes"),
        None => format!("`{of}` has {}", known.join(", ")),
    })
}

fn without_number(text: &str) -> &str {
    let rest = text
        .strip_prefix("for policy `")
        .and_then(|rest| rest.split_once("`, "));
    rest.map_or(text, |(_, rest)| rest)
}
