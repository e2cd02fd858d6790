//! The entities of a registry, prebuilt once per compiled bundle and shared by all its decisions.
//!
//! Never built with the schema attached: that would add every action to each request (03 of the design).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bailiwick_core::Effect;
use bailiwick_core::agent::Agent;
use bailiwick_core::server::Server;
use cedar_policy_core::ast::{Entity, EntityType, EntityUID, PartialValue, Value};
use cedar_policy_core::entities::err::EntitiesError;
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;

use crate::flaw::{Flaw, PolicyErrors};
use crate::manifest::{Manifest, Marked};
use crate::registry::Registry;
use crate::uid::{Types, USE, uid};

/// The same entities three times: with each tool's action in the group of each effect. A call may be raised above its
/// tool's effect, and the call's effect is what `action in Action::"escalate"` asks about. All but these actions is shared.
pub(crate) type World = PerEffect<Entities>;

/// One for each effect that a call may have.
#[derive(Debug)]
pub(crate) struct PerEffect<T> {
    read: T,
    write: T,
    escalate: T,
}

impl<T> PerEffect<T> {
    pub(crate) fn try_new<E>(mut one: impl FnMut(Effect) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            read: one(Effect::Read)?,
            write: one(Effect::Write)?,
            escalate: one(Effect::Escalate)?,
        })
    }

    /// The one for a call of this effect.
    pub(crate) fn of(&self, effect: Effect) -> &T {
        match effect {
            Effect::Read => &self.read,
            Effect::Write => &self.write,
            Effect::Escalate => &self.escalate,
        }
    }
}

/// The entities of a registry.
pub(crate) fn world(
    registry: &Registry,
    manifest: &Manifest,
    types: &Types,
) -> Result<World, PolicyErrors> {
    let failed = |error: EntitiesError| PolicyErrors {
        flaws: vec![
            Flaw::whole(format!("the registry contradicts itself: {error}"))
                .help("report this: it is a fault of Bailiwick"),
        ],
    };
    let shared = Entities::from_entities(
        shared(registry, manifest, types),
        None::<&NoEntitiesSchema>,
        TCComputation::AssumeAlreadyComputed,
        Extensions::all_available(),
    )
    .map_err(failed)?;
    PerEffect::try_new(|effect| {
        shared
            .clone()
            .add_entities(
                actions(registry, manifest, types, effect).map(Arc::new),
                None::<&NoEntitiesSchema>,
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .map_err(failed)
    })
}

/// All but the actions of tools.
fn shared(registry: &Registry, manifest: &Manifest, types: &Types) -> Vec<Entity> {
    let everything = types.action(USE);
    let mut entities = vec![Entity::with_uid(everything.clone())];
    entities.extend(Effect::ALL.map(|group| {
        member(
            types.action(group.as_str()),
            [everything.clone()].into(),
            HashSet::new(),
        )
    }));
    let mut servers: HashMap<&str, Option<&Server>> = registry
        .tools
        .iter()
        .map(|tool| (tool.tool.server.as_str(), None))
        .collect();
    servers.extend(
        registry
            .servers
            .iter()
            .map(|server| (server.name.as_str(), Some(server))),
    );
    for (name, registered) in servers {
        if !manifest.is_taken(name) {
            entities.push(Entity::with_uid(types.action(name)));
        }
        entities.extend(registered.map(|registered| server(registered, manifest, types)));
    }
    entities.extend(
        registry
            .agents
            .iter()
            .map(|registered| agent(registered, manifest, types)),
    );
    // Of people and credentials that the bundle says nothing of, nothing is known but the name.
    let users = manifest.users.iter();
    entities.extend(users.map(|(name, one)| declared(name, one, (&types.user, &types.group))));
    let credentials = manifest.credentials.iter();
    entities.extend(credentials.map(|(name, one)| {
        let kinds = (&types.credential, &types.credential_group);
        declared(name.as_str(), one, kinds)
    }));
    let owners: HashSet<_> = registry.agents.iter().map(|agent| &agent.owner).collect();
    entities.extend(
        owners
            .into_iter()
            .map(|owner| Entity::with_uid(uid(&types.owner, owner.as_str()))),
    );
    entities
}

/// The action of each tool, for calls of this effect.
fn actions(
    registry: &Registry,
    manifest: &Manifest,
    types: &Types,
    effect: Effect,
) -> impl Iterator<Item = Entity> {
    let everything = types.action(USE);
    registry.tools.iter().map(move |tool| {
        let parents = manifest
            .groups(&tool.tool, effect)
            .map(|id| types.action(id));
        member(
            types.action(&tool.tool.to_string()),
            parents.collect(),
            [everything.clone()].into(),
        )
    })
}

fn agent(agent: &Agent, manifest: &Manifest, types: &Types) -> Entity {
    let owner = Value::from(uid(&types.owner, agent.owner.as_str()));
    let declared = manifest.agents.get(&agent.name);
    let groups = declared.into_iter().flat_map(|declared| &declared.groups);
    marked(
        uid(&types.agent, agent.name.as_str()),
        [
            ("owner", owner),
            ("base_risk", agent.base_risk.as_long().into()),
            (
                "autonomous",
                declared.is_some_and(|declared| declared.autonomous).into(),
            ),
        ],
        groups.map(|group| uid(&types.agent_group, group.as_str())),
        declared.into_iter().flat_map(|declared| &declared.tags),
    )
}

fn server(server: &Server, manifest: &Manifest, types: &Types) -> Entity {
    let declared = manifest.servers.get(&server.name);
    let groups = declared.into_iter().flat_map(|declared| &declared.groups);
    marked(
        uid(&types.server, server.name.as_str()),
        [("trust", server.trust.as_str().into())],
        groups.map(|group| uid(&types.server_group, group.as_str())),
        declared.into_iter().flat_map(|declared| &declared.tags),
    )
}

/// Something that the bundle says something of, and the registry nothing.
fn declared(name: &str, declared: &Marked, (kind, group): (&EntityType, &EntityType)) -> Entity {
    let groups = declared.groups.iter();
    marked(
        uid(kind, name),
        [],
        groups.map(|one| uid(group, one.as_str())),
        &declared.tags,
    )
}

fn marked<'a, const N: usize>(
    uid: EntityUID,
    attributes: [(&str, Value); N],
    groups: impl Iterator<Item = EntityUID>,
    tags: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Entity {
    let value = |value: Value| PartialValue::Value(value);
    let attributes = attributes.map(|(name, one)| (name.into(), value(one)));
    let tags = tags
        .into_iter()
        .map(|(name, text)| (name.as_str().into(), value(text.as_str().into())));
    let tags: Vec<_> = tags.collect();
    Entity::new_with_attr_partial_value(uid, attributes, HashSet::new(), groups.collect(), tags)
}

fn member(uid: EntityUID, parents: HashSet<EntityUID>, above: HashSet<EntityUID>) -> Entity {
    Entity::new_with_attr_partial_value(uid, [], above, parents, [])
}
