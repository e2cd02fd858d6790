//! What calls and acts there can be, and which of them a policy's scope reaches.

use std::collections::{BTreeSet, HashMap};

use cedar_policy_core::ast::EntityUID;
use cedar_policy_core::validator::types::RequestEnv;
use cedar_policy_core::validator::{ValidationMode, ValidatorSchema};

use crate::clause::{Anchor, Scope};
use crate::manifest::Manifest;
use crate::registry::Registry;
use crate::uid::{Types, USE};

/// What calls there can be: one environment for each tool. A policy is checked in those that its scope reaches, and that once,
/// so that a bundle of many policies about single tools loads in time that grows with its own length.
pub(super) struct Environments<'a> {
    /// In order of tool: Cedar's is that of a hash map, and people get the same report each time.
    pub(super) all: Vec<RequestEnv<'a>>,
    /// Numbers in `all`, by action.
    exactly: HashMap<EntityUID, Vec<usize>>,
    /// Numbers in `all`, by action and by each of its groups.
    within: HashMap<EntityUID, Vec<usize>>,
}

impl<'a> Environments<'a> {
    pub(super) fn new(
        schema: &'a ValidatorSchema,
        registry: &Registry,
        manifest: &Manifest,
        types: &Types,
    ) -> Self {
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
                let groups = manifest.groups(&tool.tool, tool.effect).chain([USE]);
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

    /// Numbers in `all`, in order of tool.
    pub(super) fn reached_by(&self, scope: &Scope) -> BTreeSet<usize> {
        let named = scope.actions.iter().flat_map(|action| match action {
            Anchor::Any => (0..self.all.len()).collect(),
            Anchor::Is(uid) => self.exactly.get(&**uid).cloned().unwrap_or_default(),
            Anchor::In(uid) => self.within.get(&**uid).cloned().unwrap_or_default(),
        });
        named.collect()
    }
}
