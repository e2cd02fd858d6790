//! Agents, servers and tools as a decision meets them: entity, and where policies about it are found. Built once per compiled
//! bundle, so that a call looks each up by its name and builds none.

use std::collections::HashMap;
use std::convert::Infallible;

use bailiwick_core::definition::Tool;
use bailiwick_core::name::{AgentName, ServerName, ToolRef};
use bailiwick_core::{Digest, Effect};
use cedar_policy_core::ast::{EntityUID, EntityUIDEntry};
use cedar_policy_core::entities::{Dereference, Entities};

use crate::entities::{PerEffect, World};
use crate::index::{Index, Keys};
use crate::registry::Registry;
use crate::shape::Record;
use crate::uid::{Types, uid};

/// Everybody that the registry knows.
#[derive(Debug)]
pub(crate) struct Parties {
    pub(crate) agents: HashMap<AgentName, Party>,
    pub(crate) servers: HashMap<ServerName, Party>,
    pub(crate) tools: HashMap<ToolRef, CompiledTool>,
}

/// The principal or resource of a call.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) uid: EntityUID,
    pub(crate) keys: Keys,
}

/// What a decision needs to know of a tool.
#[derive(Debug)]
pub(crate) struct CompiledTool {
    pub(crate) action: EntityUID,
    pub(crate) keys: PerEffect<Keys>,
    pub(crate) arguments: Record,
    /// Its own effect; a call may be raised above it.
    pub(crate) effect: Effect,
    /// Digest of the definition it was compiled from.
    pub(crate) approved: Option<Digest>,
}

impl Parties {
    pub(crate) fn new(registry: &Registry, world: &World, types: &Types, index: &Index) -> Self {
        // Agents and servers are the same whatever the effect.
        let entities = world.of(Effect::Read);
        let party = |uid: EntityUID| Party {
            keys: keys(index, &uid, entities),
            uid,
        };
        let agents = registry.agents.iter().map(|agent| {
            let party = party(uid(&types.agent, agent.name.as_str()));
            (agent.name.clone(), party)
        });
        let servers = registry.servers.iter().map(|server| {
            let party = party(uid(&types.server, server.name.as_str()));
            (server.name.clone(), party)
        });
        let tools = registry.tools.iter().map(|tool| {
            (
                tool.tool.clone(),
                CompiledTool::new(tool, world, types, index),
            )
        });
        Self {
            agents: agents.collect(),
            servers: servers.collect(),
            tools: tools.collect(),
        }
    }
}

impl CompiledTool {
    fn new(tool: &Tool, world: &World, types: &Types, index: &Index) -> Self {
        let action = types.action(&tool.tool.to_string());
        let Ok(keys) = PerEffect::try_new(|effect| {
            Ok::<_, Infallible>(keys(index, &action, world.of(effect)))
        });
        Self {
            action,
            keys,
            arguments: Record::of_definition(&tool.definition),
            approved: tool.approved,
            effect: tool.effect,
        }
    }
}

/// Where policies about an entity are found.
pub(crate) fn keys(index: &Index, uid: &EntityUID, entities: &Entities) -> Keys {
    match entities.entity(uid) {
        Dereference::Data(entity) => index.keys(uid, entity.ancestors()),
        Dereference::NoSuchEntity | Dereference::Residual(_) => index.keys(uid, []),
    }
}

/// As a request names it.
pub(crate) fn known(uid: &EntityUID) -> EntityUIDEntry {
    EntityUIDEntry::known(uid.clone(), None)
}
