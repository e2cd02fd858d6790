//! Entity types and ids of the namespace `Bailiwick`. Ids are built from parts, never from text: a tool name may hold quotes.

use std::sync::LazyLock;

use cedar_policy_core::ast::{Eid, EntityType, EntityUID};

use crate::flaw::{Flaw, PolicyErrors};

/// The action that every tool is a member of, through its effect.
pub(crate) const USE: &str = "use";

/// Names of action groups and built-in actions. A server of such a name gets no group of its own: a server called `read`
/// must not make its tools members of `Action::"read"`.
pub(crate) const RESERVED: &[&str] = &[
    "use",
    "read",
    "write",
    "escalate",
    "egress",
    "spend",
    "destroy",
    "lease",
    "open_task",
    "delegate",
    "exchange",
    "set_stage",
    "prompt",
    "resource_read",
    "sample",
    "elicit",
    "approve",
    "lower_risk",
    "declassify",
];

/// The entity types, parsed once per bundle.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    pub(crate) agent: EntityType,
    pub(crate) owner: EntityType,
    pub(crate) user: EntityType,
    pub(crate) server: EntityType,
    pub(crate) opaque: EntityType,
    pub(crate) action: EntityType,
    pub(crate) agent_group: EntityType,
    pub(crate) server_group: EntityType,
    pub(crate) group: EntityType,
    pub(crate) task: EntityType,
    pub(crate) credential: EntityType,
    pub(crate) credential_group: EntityType,
    pub(crate) item: EntityType,
}

impl Types {
    pub(crate) fn new() -> Result<Self, PolicyErrors> {
        let named = |name: &str| {
            format!("Bailiwick::{name}")
                .parse::<EntityType>()
                .map_err(|error| PolicyErrors {
                    flaws: vec![
                        Flaw::whole(error.to_string())
                            .help("report this: it is a fault of Bailiwick"),
                    ],
                })
        };
        Ok(Self {
            agent: named("Agent")?,
            owner: named("Owner")?,
            user: named("User")?,
            server: named("Server")?,
            opaque: named("Opaque")?,
            action: named("Action")?,
            agent_group: named("AgentGroup")?,
            server_group: named("ServerGroup")?,
            group: named("Group")?,
            task: named("Task")?,
            credential: named("Credential")?,
            credential_group: named("CredentialGroup")?,
            item: named("Item")?,
        })
    }

    /// The action of a tool (`server/tool`), or a group of actions.
    pub(crate) fn action(&self, id: &str) -> EntityUID {
        uid(&self.action, id)
    }
}

/// The entity of this type and id.
pub(crate) fn uid(kind: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(kind.clone(), Eid::new(id), None)
}

/// The item of this id. Facts come without the types of a bundle.
pub(crate) fn item(id: &str) -> Option<EntityUID> {
    static ITEM: LazyLock<Option<EntityType>> = LazyLock::new(|| "Bailiwick::Item".parse().ok());
    Some(uid(ITEM.as_ref()?, id))
}
