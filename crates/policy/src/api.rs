//! Roles of people on our own API, decided by the same engine as the calls of agents: the principal is an `Account` in its `Role`s,
//! the action an operation, the resource the deployment. The policies are built in (`api/roles.cedar`); what none permits is refused,
//! and so is everything if they could not be read.

use std::collections::HashSet;
use std::sync::LazyLock;

use bailiwick_core::account::Role;
use cedar_policy_core::ast::{Entity, EntityType, EntityUID, EntityUIDEntry, PolicySet, Request};
use cedar_policy_core::authorizer::{Authorizer, Decision};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::parser::parse_policyset;

use crate::uid::uid;

/// The policies, as they are shown to people.
pub const ROLES: &str = include_str!("../api/roles.cedar");

/// Whether an account that holds these roles may do this operation: `read`, `write_policy`, … An operation that no policy names
/// is refused to everybody.
pub fn permits(roles: &[Role], operation: &str) -> bool {
    POLICIES
        .as_ref()
        .is_some_and(|policies| policies.permits(roles, operation))
}

/// The roles that alone suffice for an operation, for people who lack them.
pub fn roles_for(operation: &str) -> Vec<Role> {
    Role::ALL
        .into_iter()
        .filter(|role| permits(&[*role], operation))
        .collect()
}

static POLICIES: LazyLock<Option<Policies>> = LazyLock::new(|| Policies::read(ROLES));

struct Policies {
    set: PolicySet,
    account: EntityUID,
    deployment: EntityUID,
    role: EntityType,
    action: EntityType,
}

impl Policies {
    fn read(text: &str) -> Option<Self> {
        let kind = |name: &str| format!("Bailiwick::{name}").parse::<EntityType>().ok();
        Some(Self {
            set: parse_policyset(text).ok()?,
            account: uid(&kind("Account")?, "caller"),
            deployment: uid(&kind("Deployment")?, "this"),
            role: kind("Role")?,
            action: kind("Action")?,
        })
    }

    fn permits(&self, roles: &[Role], operation: &str) -> bool {
        let parents: HashSet<EntityUID> = roles
            .iter()
            .map(|role| uid(&self.role, role.as_str()))
            .collect();
        let account = Entity::new_with_attr_partial_value(
            self.account.clone(),
            [],
            HashSet::new(),
            parents,
            [],
        );
        let entities = Entities::from_entities(
            [account],
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        );
        let Ok(entities) = entities else {
            return false;
        };
        let known = |uid: &EntityUID| EntityUIDEntry::known(uid.clone(), None);
        let request = Request::new_unchecked(
            known(&self.account),
            known(&uid(&self.action, &format!("api:{operation}"))),
            known(&self.deployment),
            Some(cedar_policy_core::ast::Context::empty()),
        );
        let answer = Authorizer::new().is_authorized(request, &self.set, &entities);
        // A policy that fails must not open anything, whichever kind it is.
        answer.decision == Decision::Allow && answer.diagnostics.errors.is_empty()
    }
}

#[cfg(test)]
mod tests;
