//! Strict validation of each policy against the generated schema, tool by tool.

use std::collections::{BTreeSet, HashMap, HashSet};

use bailiwick_core::name::ToolRef;
use cedar_policy_core::ast::EntityUID;
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::types::RequestEnv;
use cedar_policy_core::validator::validation_errors::AttributeAccess;
use cedar_policy_core::validator::{ValidationError, ValidationMode, Validator, ValidatorSchema};

use crate::clause::{Anchor, Scope};
use crate::flaw::{Flaw, FlawCode};
use crate::load::flaw;
use crate::nearest::nearest;
use crate::registry::Registry;
use crate::rule::{Broken, Rule};
use crate::schema;
use crate::source::BundleSource;
use crate::uid::{Types, USE, groups, uid};

/// What validation found.
#[derive(Debug, Default)]
pub(crate) struct Validated {
    /// These keep a bundle from being published.
    pub(crate) flaws: Vec<Flaw>,
    /// These concern only tools without an approved definition: a server that nobody reviewed cannot make a bundle
    /// unpublishable.
    pub(crate) unreviewed: Vec<Flaw>,
    /// Numbers of the rules whose conditions exclude each other, by their types, for every tool they reach.
    pub(crate) impossible: Vec<usize>,
}

/// Marks in each rule the calls it does not fit, and says why.
pub(crate) fn rules(
    rules: &mut [Rule],
    source: &BundleSource,
    schema: &ValidatorSchema,
    registry: &Registry,
    types: &Types,
) -> Validated {
    let approved: HashSet<EntityUID> = registry
        .tools
        .iter()
        .filter(|tool| tool.approved.is_some())
        .map(|tool| types.action(&tool.tool.to_string()))
        .collect();
    let checker = Typechecker::new(schema, ValidationMode::Strict);
    let environments = Environments::new(schema, registry, types);
    let mut found = Validated::default();
    for (number, rule) in rules.iter_mut().enumerate() {
        let Some(template) = rule.template.take() else {
            continue;
        };
        let text = source
            .files
            .get(&*rule.written.file)
            .map_or("", String::as_str);
        let place = |error: &ValidationError| {
            named(
                flaw(&rule.written.file, text, rule.written.offset, error),
                &rule.marks.id,
            )
            .code(code(error))
        };
        let literal: Vec<Flaw> = Validator::validate_entity_types_and_literals(schema, &template)
            .map(|error| suggest(place(&error), &error, schema, registry))
            .collect();
        let mut actions = HashSet::new();
        let mut everywhere = !literal.is_empty();
        push(&mut found.flaws, literal);
        let (mut reached, mut relevant) = (0, 0);
        for environment in environments.reached_by(&rule.clause.scope) {
            // The type checker does not know that a tool's resource is always its own server.
            if let Some(action) = environment.action_entity_uid()
                && is_elsewhere(rule, action, types)
            {
                continue;
            }
            let check = checker.typecheck_by_single_request_env(&template, environment);
            reached += 1;
            let errors = match check {
                PolicyCheck::Success(_) => {
                    relevant += 1;
                    continue;
                }
                PolicyCheck::Irrelevant(errors, _) if errors.is_empty() => continue,
                PolicyCheck::Irrelevant(errors, _) | PolicyCheck::Fail(errors) => errors,
            };
            relevant += 1;
            let mut flaws: Vec<Flaw> = errors
                .iter()
                .map(|error| suggest(place(error), error, schema, registry))
                .collect();
            flaws.sort_by(|a, b| (a.span.start, &a.message).cmp(&(b.span.start, &b.message)));
            match environment.action_entity_uid() {
                Some(action) => {
                    let list = if approved.contains(action) {
                        &mut found.flaws
                    } else {
                        &mut found.unreviewed
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
        if reached > 0 && relevant == 0 && rule.broken == Broken::Nowhere {
            found.impossible.push(number);
        }
    }
    found
}

/// What calls there can be: one environment for each tool. A policy is checked in those that its scope reaches, and that once,
/// so that a bundle of many policies about single tools loads in time that grows with its own length.
struct Environments<'a> {
    /// In order of tool: Cedar's is that of a hash map, and people get the same report each time.
    all: Vec<RequestEnv<'a>>,
    /// Numbers in `all`, by action.
    exactly: HashMap<EntityUID, Vec<usize>>,
    /// Numbers in `all`, by action and by each of its groups.
    within: HashMap<EntityUID, Vec<usize>>,
}

impl<'a> Environments<'a> {
    fn new(schema: &'a ValidatorSchema, registry: &Registry, types: &Types) -> Self {
        let mut all: Vec<_> = schema
            .unlinked_request_envs(ValidationMode::Strict)
            .collect();
        all.sort_by_cached_key(|environment| {
            environment.action_entity_uid().map(ToString::to_string)
        });
        let groups: HashMap<EntityUID, Vec<EntityUID>> = registry
            .tools
            .iter()
            .map(|tool| {
                let groups = groups(tool.tool.server.as_str(), tool.effect).chain([USE]);
                let groups = groups.map(|id| types.action(id)).collect();
                (types.action(&tool.tool.to_string()), groups)
            })
            .collect();
        let mut environments = Self {
            all: Vec::new(),
            exactly: HashMap::new(),
            within: HashMap::new(),
        };
        for (number, environment) in all.iter().enumerate() {
            let Some(action) = environment.action_entity_uid() else {
                continue;
            };
            let exactly = environments.exactly.entry(action.clone()).or_default();
            exactly.push(number);
            for group in groups.get(action).into_iter().flatten().chain([action]) {
                let within = environments.within.entry(group.clone()).or_default();
                within.push(number);
            }
        }
        environments.all = all;
        environments
    }

    /// In order of tool.
    fn reached_by(&self, scope: &Scope) -> impl Iterator<Item = &RequestEnv<'a>> {
        let named = scope.actions.iter().flat_map(|action| match action {
            Anchor::Any => (0..self.all.len()).collect(),
            Anchor::Is(uid) => self.exactly.get(&**uid).cloned().unwrap_or_default(),
            Anchor::In(uid) => self.within.get(&**uid).cloned().unwrap_or_default(),
        });
        let numbers: BTreeSet<usize> = named.collect();
        numbers
            .into_iter()
            .filter_map(|number| self.all.get(number))
    }
}

/// Whether the rule names another server as its resource than the one the tool belongs to.
fn is_elsewhere(rule: &Rule, action: &EntityUID, types: &Types) -> bool {
    let Anchor::Is(named) = &rule.clause.scope.resource.anchor else {
        return false;
    };
    tool_of(action).is_some_and(|tool| **named != uid(&types.server, tool.server.as_str()))
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
    Flaw {
        message: format!("policy `{id}`: {}", without_number(&flaw.message)),
        help: without_number(&flaw.help).to_owned(),
        ..flaw
    }
}

fn code(error: &ValidationError) -> FlawCode {
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
fn suggest(
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
            let tool = tool_of(action)?;
            let tool = registry.tools.iter().find(|one| one.tool == tool)?;
            let (written, above) = path.split_first()?;
            let above: Vec<&str> = above.iter().rev().map(AsRef::as_ref).collect();
            let known = schema::members(&schema::context(tool), &above);
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

/// The same mistake is found once per tool; it is reported for the first.
fn push(list: &mut Vec<Flaw>, flaws: impl IntoIterator<Item = Flaw>) {
    for flaw in flaws {
        if !list
            .iter()
            .any(|known| known.file == flaw.file && known.span == flaw.span)
        {
            list.push(flaw);
        }
    }
}
