//! Strict validation of each policy against the generated schema, tool by tool and act by act.

mod environments;
mod words;

use std::collections::HashSet;

use cedar_policy_core::ast::{EntityUID, Template};
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::{ValidationError, ValidationMode, Validator, ValidatorSchema};

use crate::clause::Anchor;
use crate::flaw::Flaw;
use crate::load::flaw;
use crate::manifest::Manifest;
use crate::registry::Registry;
use crate::rule::{Broken, Rule};
use crate::source::BundleSource;
use crate::uid::{Types, uid};
use environments::Environments;
use words::{about_act, about_tool, act_of, code, named, suggest, tool_of};

/// What validation found.
#[derive(Debug, Default)]
pub(crate) struct Validated {
    /// These keep a bundle from being published.
    pub(crate) flaws: Vec<Flaw>,
    /// These concern only tools without an approved definition: a server that nobody reviewed cannot make a bundle
    /// unpublishable.
    pub(crate) unreviewed: Vec<Flaw>,
    /// These keep a bundle from being published too: what could not be evaluated for a built-in action that it is about. A forbid
    /// that was published before there was such an action goes on, and denies.
    pub(crate) of_acts: Vec<Flaw>,
}

/// Validates rule after rule, so that none is kept in Cedar's own form longer than that takes.
pub(crate) struct Validation<'a> {
    source: &'a BundleSource,
    schema: &'a ValidatorSchema,
    registry: &'a Registry,
    types: &'a Types,
    checker: Typechecker<'a>,
    environments: Environments<'a>,
    approved: HashSet<EntityUID>,
    found: Validated,
}

/// What one rule does not fit.
#[derive(Default)]
struct Misfits {
    actions: HashSet<EntityUID>,
    everywhere: bool,
    /// In how many environments it was checked, and for how many of them its types do not exclude that it applies.
    reached: usize,
    relevant: usize,
}

impl<'a> Validation<'a> {
    pub(crate) fn new(
        source: &'a BundleSource,
        schema: &'a ValidatorSchema,
        registry: &'a Registry,
        manifest: &Manifest,
        types: &'a Types,
    ) -> Self {
        let approved = registry
            .tools
            .iter()
            .filter(|tool| tool.approved.is_some())
            .map(|tool| types.action(&tool.tool.to_string()));
        Self {
            source,
            schema,
            registry,
            types,
            checker: Typechecker::new(schema, ValidationMode::Strict),
            environments: Environments::new(schema, registry, manifest, types),
            approved: approved.collect(),
            found: Validated::default(),
        }
    }

    /// What was found in all rules.
    pub(crate) fn found(self) -> Validated {
        self.found
    }

    /// Marks in the rule the calls it does not fit, and keeps why.
    pub(crate) fn rule(&mut self, rule: &mut Rule, template: &Template) {
        let literal = Validator::validate_entity_types_and_literals(self.schema, template);
        let literal: Vec<Flaw> = literal.map(|error| self.flaw(rule, &error)).collect();
        let mut misfits = Misfits {
            everywhere: !literal.is_empty(),
            ..Misfits::default()
        };
        push(&mut self.found.flaws, literal);
        for number in self.environments.reached_by(&rule.clause.scope) {
            self.environment(number, rule, template, &mut misfits);
        }
        let Misfits {
            actions,
            everywhere,
            reached,
            relevant,
        } = misfits;
        rule.broken = match (everywhere, actions.is_empty()) {
            (true, _) => Broken::Everywhere,
            (false, true) => Broken::Nowhere,
            (false, false) => Broken::At(actions),
        };
        rule.impossible = reached > 0 && relevant == 0 && rule.broken == Broken::Nowhere;
    }

    fn environment(
        &mut self,
        number: usize,
        rule: &Rule,
        template: &Template,
        misfits: &mut Misfits,
    ) {
        let Some(environment) = self.environments.all.get(number) else {
            return;
        };
        let action = environment.action_entity_uid().cloned();
        // The type checker does not know that a tool's resource is always its own server.
        if action
            .as_ref()
            .is_some_and(|action| is_elsewhere(rule, action, self.types))
        {
            return;
        }
        let check = self
            .checker
            .typecheck_by_single_request_env(template, environment);
        let act = action.as_ref().and_then(act_of);
        // What names no action was written for tools; whether it can apply is asked of them.
        let named = act.is_none() || rule.names_action();
        misfits.reached += usize::from(named);
        let errors = match check {
            PolicyCheck::Irrelevant(errors, _) if errors.is_empty() => return,
            PolicyCheck::Success(_) => Vec::new(),
            PolicyCheck::Irrelevant(errors, _) | PolicyCheck::Fail(errors) => errors,
        };
        misfits.relevant += usize::from(named);
        if errors.is_empty() {
            return;
        }
        let mut flaws: Vec<Flaw> = errors.iter().map(|error| self.flaw(rule, error)).collect();
        flaws.sort_by(|a, b| (a.span.start, &a.message).cmp(&(b.span.start, &b.message)));
        let Some(action) = action else {
            misfits.everywhere = true;
            return;
        };
        match act {
            // A permit that names no action does not count for an act that it does not fit.
            Some(_) if !named && rule.is_permit() => {}
            Some(act) => {
                let flaws = flaws.into_iter().map(|flaw| about_act(flaw, act, named));
                push(&mut self.found.of_acts, flaws);
            }
            None => {
                let list = if self.approved.contains(&action) {
                    &mut self.found.flaws
                } else {
                    &mut self.found.unreviewed
                };
                let tool = tool_of(&action);
                let flaws = flaws
                    .into_iter()
                    .map(|flaw| about_tool(flaw, tool.as_ref()));
                push(list, flaws);
            }
        }
        misfits.actions.insert(action);
    }

    /// An error of Cedar in the words and at the place where people find it.
    fn flaw(&self, rule: &Rule, error: &ValidationError) -> Flaw {
        let written = &rule.written;
        let text = self.source.files.get(&*written.file);
        let text = text.map_or("", String::as_str);
        let flaw = named(
            flaw(&written.file, text, written.offset, error),
            &rule.marks.id,
        );
        suggest(flaw.code(code(error)), error, self.schema, self.registry)
    }
}

/// Whether the rule names another server as its resource than the one the tool belongs to.
fn is_elsewhere(rule: &Rule, action: &EntityUID, types: &Types) -> bool {
    let Anchor::Is(named) = &rule.clause.scope.resource.anchor else {
        return false;
    };
    tool_of(action).is_some_and(|tool| **named != uid(&types.server, tool.server.as_str()))
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
